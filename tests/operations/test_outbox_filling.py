"""The outbox is filled in bulk, with the limit of each endpoint, in the transaction that publishes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from pipelines.ledger.models import Batch, Outbox, Run
from pipelines.operations.context import Context, open_context
from pipelines.operations.outbox import fill_outbox, idempotency_key
from pipelines.settings import PROJECT_ROOT, Settings
from tests.databases import new_postgresql_database

QUEUED_AT = datetime(2026, 11, 20, 1, 2, 3, 45)  # noqa: DTZ001 - the ledger stores UTC without zone
FEED, RUN = "market_penalty", "market_penalty-20261120-001"
SECOND = "city_sandbox"
LIMITS = f"""
  - {{endpoint: {SECOND}, since: 2026-11-12, policy: market_regulation_publicity}}
  - {{department: market, until: 2026-11-10, policy: penalty_removal}}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Context]:
    root = tmp_path / "root"
    for part in ("schemas", "expectations"):
        shutil.copytree(PROJECT_ROOT / part, root / part)
    first = root / "schemas" / "endpoints" / "province_sandbox.yaml"
    text = first.read_text(encoding="utf-8").replace("endpoint: province_sandbox", f"endpoint: {SECOND}")
    first.with_name(f"{SECOND}.yaml").write_text(text, encoding="utf-8")
    policies = root / "schemas" / "calendars" / "policies.yaml"
    policies.write_text(policies.read_text(encoding="utf-8") + LIMITS, encoding="utf-8")
    settings = Settings(root=root, home=tmp_path / "home")
    if request.param == "sqlite":
        yield open_context(settings)
        return
    with new_postgresql_database() as database:
        url = database.render_as_string(hide_password=False)
        opened = open_context(settings.model_copy(update={"ledger_url": url}))
        yield opened
        opened.ledger.engine.dispose()


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Versions of a run, as the record store keeps them: one of each change, decided on different days."""
    rows = [
        (f"{number:064x}", number, change, decided)
        for number, (change, decided) in enumerate(
            [
                ("new", date(2026, 11, 10)),
                ("changed", date(2026, 11, 11)),
                ("new", date(2026, 11, 12)),
                ("new", date(2026, 12, 24)),
                ("outdated", date(2026, 11, 12)),
            ],
            start=1,
        )
    ]
    path = tmp_path / "versions.parquet"
    pq.write_table(
        pa.table(
            {
                "record_key": [row[0] for row in rows],
                "version": pa.array([row[1] for row in rows], pa.int32()),
                "content_hash": [row[0][::-1] for row in rows],
                "change": [row[2] for row in rows],
                "decision_date": pa.array([row[3] for row in rows], pa.date32()),
            }
        ),
        path,
    )
    return path


def fill(context: Context, versions: Path, endpoints: tuple[str, ...] = ("province_sandbox", SECOND)) -> int:
    with context.session() as session, context.ledger.write() as ledger:
        run = ledger.get(Run, RUN)
        if run is None:
            batch = Batch(feed=FEED, business_date=date(2026, 11, 20))
            ledger.add(batch)
            ledger.flush()
            run = Run(
                id=RUN, batch_id=batch.id, feed=FEED, category="administrative_penalty", attempt=1,
                business_date=batch.business_date, state="published", stage="published", started_at=QUEUED_AT,
            )  # fmt: skip
            ledger.add(run)
        chosen = [context.catalogue.endpoints[name] for name in endpoints]
        return fill_outbox(context, ledger, session, versions, run, chosen, QUEUED_AT)


def rows(context: Context) -> list[Outbox]:
    with context.ledger.read() as session:
        return list(session.scalars(select(Outbox).order_by(Outbox.endpoint.desc(), Outbox.decision_date)))


def test_every_endpoint_gets_its_own_limit_and_deadline_within_one_batch(context: Context, versions: Path) -> None:
    assert fill(context, versions) == 8
    told = [
        (row.endpoint, row.decision_date.isoformat(), row.policy, row.deadline.isoformat(), row.deadline_provisional)
        for row in rows(context)
    ]
    assert told == [
        ("province_sandbox", "2026-11-10", "penalty_removal", "2026-11-17", False),
        ("province_sandbox", "2026-11-11", "public_credit", "2026-11-20", False),
        ("province_sandbox", "2026-11-12", "public_credit", "2026-11-23", False),
        ("province_sandbox", "2026-12-24", "public_credit", "2027-01-04", True),
        (SECOND, "2026-11-10", "penalty_removal", "2026-11-17", False),
        (SECOND, "2026-11-11", "public_credit", "2026-11-20", False),
        (SECOND, "2026-11-12", "market_regulation_publicity", "2026-12-10", False),
        (SECOND, "2026-12-24", "market_regulation_publicity", "2027-01-21", True),
    ]


def test_a_row_says_all_that_a_delivery_needs(context: Context, versions: Path) -> None:
    fill(context, versions, ("province_sandbox",))
    with context.ledger.read() as session:
        run = session.get_one(Run, RUN)
    first = rows(context)[0]
    assert (first.category, first.feed, first.run) == ("administrative_penalty", FEED, RUN)
    assert (first.record_key, first.version, first.content_hash) == (f"{1:064x}", 1, f"{1:064x}"[::-1])
    assert (first.act, first.family, first.operation, first.reason) == (0, "content", "new", None)
    assert (first.business_date, first.queued_at) == (date(2026, 11, 20), QUEUED_AT)
    assert [row.operation for row in rows(context)] == ["new", "update", "new", "new"]
    empty: dict[str, Any] = dict.fromkeys(
        ("packaged_at", "sent_at", "accepted_at", "rejected_at", "withheld_at", "withdrawn_at", "package", "upper_id")
    )
    assert {name: getattr(first, name) for name in empty} == empty
    for row in rows(context):
        assert row.idempotency_key == idempotency_key(row.endpoint, run, row.record_key, row.version, row.content_hash)


def test_what_is_stored_in_bulk_compares_with_what_is_stored_one_by_one(context: Context, versions: Path) -> None:
    """A date or an instant in another form would be found by no query."""
    fill(context, versions)
    with context.ledger.read() as session:
        found = session.scalars(
            select(Outbox).where(Outbox.queued_at == QUEUED_AT, Outbox.deadline == date(2026, 11, 17))
        ).all()
    assert len(found) == 2


def test_filling_a_run_twice_fails_and_leaves_what_was_there(context: Context, versions: Path) -> None:
    fill(context, versions)
    with pytest.raises(IntegrityError):
        fill(context, versions)
    assert len(rows(context)) == 8


def test_a_run_that_is_not_published_after_all_queues_nothing(context: Context, versions: Path) -> None:
    with pytest.raises(RuntimeError), context.session() as session, context.ledger.write() as ledger:
        batch = Batch(feed=FEED, business_date=date(2026, 11, 20))
        ledger.add(batch)
        ledger.flush()
        run = Run(
            id=RUN, batch_id=batch.id, feed=FEED, category="administrative_penalty", attempt=1,
            business_date=batch.business_date, state="published", stage="published", started_at=QUEUED_AT,
        )  # fmt: skip
        ledger.add(run)
        fill_outbox(context, ledger, session, versions, run, list(context.catalogue.endpoints.values()), QUEUED_AT)
        raise RuntimeError
    assert rows(context) == []


def test_nothing_is_queued_without_versions_or_for_endpoints_of_other_categories(
    context: Context, versions: Path, tmp_path: Path
) -> None:
    assert fill(context, tmp_path / "nothing.parquet") == 0
    table = pq.read_table(versions)
    outdated = table.filter(pa.compute.equal(table["change"], "outdated"))
    pq.write_table(outdated, tmp_path / "outdated.parquet")
    assert fill(context, tmp_path / "outdated.parquet") == 0
    assert fill(context, versions, ()) == 0
    assert rows(context) == []
