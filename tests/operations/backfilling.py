"""A small feed with a receiver to owe to, and plans for it."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from pipelines.ledger.models import Outbox
from pipelines.operations.backfill_planning import Planned, Wish, make_plan
from pipelines.operations.backfill_plans import slices_of
from pipelines.operations.backfill_running import Outcome, run_plan
from pipelines.operations.context import Context
from pipelines.settings import PROJECT_ROOT
from tests.operations.small_feed import FEED, MONDAY, THURSDAY, Installation

ENDPOINT = "province_sandbox"


def installed(folder: Path, ledger_url: str | None = None, **settings: Any) -> Installation:
    """An installation whose feed has an endpoint; nothing is delivered."""
    made = Installation(folder, ledger_url=ledger_url)
    endpoints = folder / "root" / "schemas" / "endpoints"
    endpoints.mkdir(exist_ok=True)
    shutil.copy(PROJECT_ROOT / "schemas" / "endpoints" / f"{ENDPOINT}.yaml", endpoints)
    made.describe(endpoints=[ENDPOINT], **settings)
    return made


def plan(
    context: Context, replay: Any = "pull", reprocess: Any = "all", first: date = MONDAY, last: date = THURSDAY
) -> Planned:
    return make_plan(context, Wish([FEED], first, last, replay, reprocess), "运维甲", "a test")


def run(context: Context, planned: Planned, **options: Any) -> Outcome:
    assert planned.number is not None
    return run_plan(context, planned.number, pause=0, **options)


def compared(context: Context, planned: Planned) -> list[tuple[date, str, Any, Any]]:
    """Per slice its day, state, expected and actual counts."""
    assert planned.number is not None
    return [
        (one.business_date, one.state, (one.expected or {})["counts"], one.actual)
        for one in slices_of(context, planned.number)
    ]


def queued(context: Context) -> int:
    with context.ledger.read() as session:
        return session.scalar(select(func.count()).select_from(Outbox)) or 0
