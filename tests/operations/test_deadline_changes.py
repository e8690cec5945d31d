"""Open deadlines follow the calendar and the limits, and an audit line says what changed."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import DeadlineChange, RecordAct
from pipelines.ledger.models import Batch, Outbox, Run
from pipelines.operations.context import Context, open_context
from pipelines.operations.deadline_changes import (
    deadline_changes,
    deadlines_are_current,
    hold_deadlines,
    keep_deadlines_current,
    recompute_deadlines,
)
from pipelines.settings import PROJECT_ROOT, Settings
from tests.databases import new_postgresql_database

AT = datetime(2026, 2, 14, 1, 0)  # noqa: DTZ001 - the ledger stores UTC without zone
CATEGORY, FEED, RUN = "administrative_penalty", "market_penalty", "market_penalty-20260214-001"
EXTENSION = """\
year: 2026
arrangement: amendment
version: 2
source: 关于延长2026年春节假期的通知（测试）
days_off: [2026-02-24, 2026-02-25]
working_days: []
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Context]:
    root = tmp_path / "root"
    for part in ("schemas", "expectations"):
        shutil.copytree(PROJECT_ROOT / part, root / part)
    settings = Settings(root=root, home=tmp_path / "home")
    if request.param == "sqlite":
        yield prepared(open_context(settings))
        return
    with new_postgresql_database() as database:
        url = database.render_as_string(hide_password=False)
        opened = open_context(settings.model_copy(update={"ledger_url": url}))
        yield prepared(opened)
        opened.ledger.engine.dispose()


def prepared(context: Context) -> Context:
    with context.ledger.write() as session:
        session.add(Batch(id=1, feed=FEED, business_date=date(2026, 2, 14)))
        session.flush()
        session.add(
            Run(
                id=RUN, batch_id=1, feed=FEED, category=CATEGORY, attempt=1, business_date=date(2026, 2, 14),
                state="published", stage="published", started_at=AT,
            )
        )  # fmt: skip
    return context


def owe(context: Context, key: str, decided: date, deadline: date, **other: Any) -> None:
    values: dict[str, Any] = {
        "endpoint": "province_sandbox", "category": CATEGORY, "feed": FEED, "run": RUN, "record_key": key,
        "version": 1, "content_hash": key, "operation": "new", "business_date": date(2026, 2, 14),
        "decision_date": decided, "deadline": deadline, "deadline_provisional": False, "policy": "public_credit",
        "idempotency_key": f"{key}{other.get('act', 0)}", "queued_at": AT,
    }  # fmt: skip
    with context.ledger.write() as session:
        session.add(Outbox(**{**values, **other}))


def extend_the_holiday(context: Context) -> None:
    (context.settings.schemas / "calendars" / "emergency.yaml").write_text(EXTENSION, encoding="utf-8")


def deadlines(context: Context) -> dict[str, date]:
    with context.ledger.read() as session:
        return {row.record_key: row.deadline for row in session.scalars(select(Outbox).order_by(Outbox.act.desc()))}


def test_an_emergency_notice_moves_what_is_open_and_says_so(context: Context) -> None:
    before_the_holiday, after_it = date(2026, 2, 13), date(2026, 2, 2)
    owe(context, "open", before_the_holiday, date(2026, 3, 2))
    owe(context, "rejected", before_the_holiday, date(2026, 3, 2), rejected_at=AT)
    owe(context, "withheld", before_the_holiday, date(2026, 3, 2), withheld_at=AT)
    owe(context, "accepted", before_the_holiday, date(2026, 3, 2), accepted_at=AT)
    owe(context, "not concerned", after_it, date(2026, 2, 11))
    recompute_deadlines(context, "guiji", "first time")
    assert deadlines_are_current(context)
    extend_the_holiday(context)
    assert not deadlines_are_current(context)
    change = recompute_deadlines(context, "王测试 11010519491231002X", "the notice of today")
    assert deadlines(context) == {
        "open": date(2026, 3, 4),
        "rejected": date(2026, 3, 4),
        "withheld": date(2026, 3, 4),
        "accepted": date(2026, 3, 2),
        "not concerned": date(2026, 2, 11),
    }
    assert (change.examined, change.changed) == (4, 3)
    assert change.details == [
        {
            "policy": "public_credit", "policy_before": "public_credit", "begins": "2026-02-13",
            "before": "2026-03-02", "after": "2026-03-04", "provisional": False, "records": 3,
        }
    ]  # fmt: skip
    first, second = reversed(deadline_changes(context))
    assert (first.before, first.changed) == (None, 0)
    assert (second.before, second.after) == (first.after, change.after)
    assert second.why == "the notice of today"
    assert "11010519491231002X" not in second.by
    assert deadlines_are_current(context)


def test_a_year_that_becomes_known_makes_deadlines_final(context: Context) -> None:
    owe(context, "estimated", date(2026, 12, 25), date(2027, 1, 5), deadline_provisional=True)
    recompute_deadlines(context, "guiji", "first time")
    days_off = "[2027-01-01, 2027-05-01, 2027-10-01, 2027-10-02, 2027-10-03]"
    (context.settings.schemas / "calendars" / "2027.yaml").write_text(
        f"year: 2027\narrangement: complete\nversion: 1\nsource: 测试用的通知\ndays_off: {days_off}\n"
        "working_days: [2026-12-27]\n",
        encoding="utf-8",
    )
    change = recompute_deadlines(context, "guiji", "2027 is known")
    assert change.details[0]["before"] == change.details[0]["after"] == "2027-01-05"
    with context.ledger.read() as session:
        assert not session.scalars(select(Outbox)).one().deadline_provisional


def test_acts_have_the_limit_of_their_kind_from_the_day_they_take_effect(context: Context) -> None:
    with context.ledger.write() as session:
        session.add(
            RecordAct(
                id=7, category=CATEGORY, feed=FEED, record_key="k", kind="withdraw", reason="revoked",
                effective_on=date(2026, 2, 13), by="王测试", at=AT, note="",
            )
        )  # fmt: skip
    owe(context, "k", date(2025, 6, 2), date(2025, 6, 11))
    owe(
        context, "k", date(2025, 6, 2), date(2026, 2, 27),
        act=7, family="withdrawal", operation="withdraw", policy="penalty_removal",
    )  # fmt: skip
    recompute_deadlines(context, "guiji", "first time")
    extend_the_holiday(context)
    change = recompute_deadlines(context, "guiji", "the notice of today")
    with context.ledger.read() as session:
        found = {row.act: (row.policy, row.deadline) for row in session.scalars(select(Outbox))}
    # Five working days after 13 February: 14, 26, 27, 28 February and 2 March.
    assert found == {0: ("public_credit", date(2025, 6, 11)), 7: ("penalty_removal", date(2026, 3, 2))}
    assert change.changed == 1


def test_a_changed_limit_moves_deadlines_too_and_rows_of_older_versions_learn_their_limit(context: Context) -> None:
    owe(context, "old", date(2026, 3, 2), date(2026, 3, 11), policy=None)
    change = recompute_deadlines(context, "guiji", "first time")
    assert [(line["policy_before"], line["policy"]) for line in change.details] == [(None, "public_credit")]
    path = context.settings.schemas / "calendars" / "policies.yaml"
    path.write_text(
        path.read_text(encoding="utf-8")
        + f"  - {{category: {CATEGORY}, department: market, policy: market_regulation_publicity}}\n",
        encoding="utf-8",
    )
    assert not deadlines_are_current(context)
    assert recompute_deadlines(context, "guiji", "20 days now").changed == 1
    assert deadlines(context) == {"old": date(2026, 3, 30)}


def test_nothing_changed_leaves_one_audit_line(context: Context) -> None:
    owe(context, "open", date(2026, 2, 13), date(2026, 3, 2))
    assert not deadlines_are_current(context)
    first = keep_deadlines_current(context)
    assert first is not None
    assert keep_deadlines_current(context) is None
    assert recompute_deadlines(context, "guiji", "once more").id == first.id
    assert len(deadline_changes(context)) == 1


def test_a_recomputation_that_fails_changes_nothing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    owe(context, "open", date(2026, 2, 13), date(2026, 3, 2))
    recompute_deadlines(context, "guiji", "first time")
    extend_the_holiday(context)

    def fail(self: DeadlineChange, **values: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(DeadlineChange, "__init__", fail)
        with pytest.raises(RuntimeError):
            recompute_deadlines(context, "guiji", "the notice of today")
    assert deadlines(context) == {"open": date(2026, 3, 2)}
    assert not deadlines_are_current(context)


def test_a_batch_that_is_being_published_meanwhile_is_not_forgotten(context: Context) -> None:
    """It has worked out its deadlines by the old calendar; the recomputation waits for it and corrects them."""
    recompute_deadlines(context, "guiji", "first time")
    has_worked_out, calendar_has_changed = threading.Event(), threading.Event()

    def publish() -> None:
        with context.ledger.write() as session:
            hold_deadlines(session)
            has_worked_out.set()
            assert calendar_has_changed.wait(30)
            session.add(
                Outbox(
                    endpoint="province_sandbox", category=CATEGORY, feed=FEED, run=RUN, record_key="late comer",
                    version=1, content_hash="c", operation="new", business_date=date(2026, 2, 14),
                    decision_date=date(2026, 2, 13), deadline=date(2026, 3, 2), deadline_provisional=False,
                    policy="public_credit", idempotency_key="late comer", queued_at=now(),
                )
            )  # fmt: skip

    publishing = threading.Thread(target=publish)
    publishing.start()
    assert has_worked_out.wait(30)
    extend_the_holiday(context)
    recomputing = threading.Thread(target=recompute_deadlines, args=(context, "guiji", "the notice of today"))
    recomputing.start()
    calendar_has_changed.set()
    publishing.join(30)
    recomputing.join(30)
    assert deadlines(context) == {"late comer": date(2026, 3, 4)}
