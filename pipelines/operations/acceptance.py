"""Acceptance profiles: a record may be right and still not acceptable to one receiver; it is withheld there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.endpoints import Endpoint
from pipelines.engine.duck import Session
from pipelines.ledger.bulk import CHUNK
from pipelines.ledger.database import now
from pipelines.ledger.models import Outbox, Run
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.quality.acceptance import REFUSALS, find_refusals, load_acceptance
from pipelines.quality.rules import Suite
from pipelines.records.reading import hidden_runs
from pipelines.reporting.batches import superseded

_ASKED = "asked_versions"
_OF_RUN = "versions_of_run"
_WANTED = "wanted_versions"
_Key = tuple[str, str, int]
_Refusals = Mapping[_Key, tuple[str, str]]


@dataclass(frozen=True)
class Refreshed:
    """Record versions that a changed profile withholds now, and that it lets go."""

    withheld: int
    released: int


def withhold_unaccepted(context: Context, ledger: LedgerSession, session: Session, run: Run) -> None:
    """Withhold what a run has just queued wherever the endpoint's profile refuses it.

    The record stays accepted here and goes to the other endpoints.
    """
    store = context.stores[run.category]
    for name in context.catalogue.feed(run.feed).endpoints:
        endpoint = context.catalogue.endpoints[name]
        suite = _suite(context, endpoint, run.category, run.business_date)
        if suite is None or not store.versions_of_run(session, _OF_RUN, run.feed, run.id):
            continue
        session.execute(
            f"CREATE OR REPLACE TEMP VIEW {_ASKED} AS SELECT * FROM {_OF_RUN} WHERE change IN ('new', 'changed')"
        )
        find_refusals(session, suite, context.catalogue.categories[run.category], run.business_date, _ASKED)
        of_run = and_(Outbox.endpoint == name, Outbox.run == run.id)
        ledger.execute(update(Outbox).where(of_run).values(acceptance=suite.hash))
        refused = _refusals(session)
        if refused:
            queued = ledger.execute(
                select(Outbox.id, Outbox.feed, Outbox.record_key, Outbox.version)
                .where(of_run)
                .execution_options(yield_per=CHUNK)
            )
            _withhold(ledger, {row.id: refused[key] for row in queued if (key := (*row[1:],)) in refused}, now())


def refresh_acceptance(context: Context, endpoint: Endpoint, today: date | None = None) -> Refreshed:
    """Ask again about what waits under another profile than today's.

    Looked at are record versions that an older profile withheld, and those that wait and were never asked about, or
    under an older one. What is in a package stays there. A version with a newer one behind it is not looked at: the
    receiver must not get an older state after a newer one.
    """
    withheld = released = 0
    day = today or today_in_shanghai()
    for category in endpoint.categories:
        suite = _suite(context, endpoint, category, day)
        mark = None if suite is None else suite.hash
        asked = _waiting(context, endpoint.endpoint, category, mark)
        if not asked:
            continue
        keys = {row.id: (row.feed, row.record_key, row.version) for row in asked}
        refused = {} if suite is None else _ask(context, suite, category, list(keys.values()), day)
        kept = {row.id: refused[keys[row.id]] for row in asked if keys[row.id] in refused}
        let_go = [row.id for row in asked if row.withheld_at is not None and row.id not in kept]
        with context.ledger.write() as ledger:
            _update(ledger, [{"row": row.id, "acceptance": mark} for row in asked])
            nothing = {"withheld_at": None, "withheld_rule": None, "withheld_reason": None}
            _update(ledger, [{"row": row, **nothing} for row in let_go])
            _withhold(ledger, kept, now())
        withheld += sum(row.withheld_at is None for row in asked if row.id in kept)
        released += len(let_go)
    return Refreshed(withheld, released)


def withheld_by_profile(context: Context) -> list[tuple[str, str, str, int]]:
    """(feed, endpoint, rule, record versions) that acceptance profiles keep back now."""
    query = (
        select(Outbox.feed, Outbox.endpoint, Outbox.withheld_rule, func.count())
        .where(Outbox.withheld_at.is_not(None), Outbox.withheld_rule.is_not(None), ~superseded())
        .group_by(Outbox.feed, Outbox.endpoint, Outbox.withheld_rule)
        .order_by(Outbox.feed, Outbox.endpoint, Outbox.withheld_rule)
    )
    with context.ledger.read() as session:
        found = session.execute(query).all()
    return [(feed, endpoint, str(rule), int(count)) for feed, endpoint, rule, count in found]


def _suite(context: Context, endpoint: Endpoint, category: str, day: date) -> Suite | None:
    """What an endpoint asks of a category on a day; None when that is nothing."""
    if category not in endpoint.categories:
        return None
    categories = context.catalogue.categories
    suite = load_acceptance(context.settings, endpoint.acceptance, categories[category], categories)
    in_force = suite.on(day) if suite is not None else None
    return in_force if in_force is not None and in_force.rules else None


def _waiting(context: Context, endpoint: str, category: str, mark: str | None) -> Sequence[Any]:
    query = select(Outbox.id, Outbox.feed, Outbox.record_key, Outbox.version, Outbox.withheld_at).where(
        Outbox.endpoint == endpoint,
        Outbox.category == category,
        # A profile says what may be shown; nothing keeps back a withdrawal or a mark.
        Outbox.family == "content",
        Outbox.accepted_at.is_(None),
        Outbox.rejected_at.is_(None),
        Outbox.package.is_(None),
        _is_ours(),
        Outbox.acceptance.is_distinct_from(mark),
        ~superseded(),
    )
    with context.ledger.read() as session:
        return session.execute(query.order_by(Outbox.id)).all()


def _is_ours() -> ColumnElement[bool]:
    """What is withheld without a rule waits for another reason: another feed reported it, or it cannot be sent."""
    return or_(Outbox.withheld_at.is_(None), Outbox.withheld_rule.is_not(None))


def _ask(context: Context, suite: Suite, category: str, keys: Sequence[_Key], day: date) -> _Refusals:
    with context.session() as session:
        context.stores[category].versions(session, "all_versions", hidden_runs(context.ledger))
        wanted = [{"feed": feed, "record_key": key, "version": version} for feed, key, version in keys]
        session.register(_WANTED, pa.Table.from_pylist(wanted))
        session.execute(
            f"CREATE OR REPLACE TEMP TABLE {_ASKED} AS SELECT v.* FROM all_versions v "
            f"SEMI JOIN {_WANTED} USING (feed, record_key, version)"
        )
        find_refusals(session, suite, context.catalogue.categories[category], day, _ASKED)
        return _refusals(session)


def _refusals(session: Session) -> _Refusals:
    found = session.rows(f"SELECT feed, record_key, version, rule, reason FROM {REFUSALS}")
    return {(feed, key, version): (str(rule), str(reason)) for feed, key, version, rule, reason in found}


def _withhold(ledger: LedgerSession, refused: Mapping[int, tuple[str, str]], at: datetime) -> None:
    """``refused``: row of the outbox → rule and reason."""
    _update(
        ledger,
        [
            {"row": row, "withheld_at": at, "withheld_rule": rule, "withheld_reason": reason}
            for row, (rule, reason) in refused.items()
        ],
    )


def _update(ledger: LedgerSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set columns of many outbox rows at once, unless they got into a package or another feed's way meanwhile."""
    if not rows:
        return
    columns: dict[str, Any] = {name: bindparam(f"new_{name}") for name in rows[0] if name != "row"}
    unchanged = and_(Outbox.id == bindparam("row"), Outbox.package.is_(None), _is_ours())
    statement = update(Outbox).where(unchanged).values(columns)
    values = [{name if name == "row" else f"new_{name}": value for name, value in row.items()} for row in rows]
    # On the connection: these are plain statements, not objects of the session.
    ledger.connection().execute(statement, values)
