"""Reconciliation (对账): what we believe an endpoint shows against what it says that it holds, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as LedgerSession
from tenacity import Retrying, retry_if_exception_type

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.backoff import Stop, Wait
from pipelines.delivery.exclusive import exclusive
from pipelines.delivery.replies import Trouble
from pipelines.engine.duck import Session
from pipelines.errors import CatalogueError, DeliveryError, GuijiError
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import Difference, Reconciliation
from pipelines.ledger.models import Outbox, Receipt
from pipelines.operations.context import Context, open_context
from pipelines.operations.delivery_tasks import refresh_delivery_tasks
from pipelines.operations.differences import store_differences
from pipelines.operations.holdings import CHUNK, KINDS, compare, load_ours, load_theirs, match
from pipelines.operations.people import name_of
from pipelines.operations.reconciliation_marks import CANNOT_BE_ASKED, SCHEDULED
from pipelines.records.reading import hidden_runs

CONFIRMED_GONE = "对账确认：接收方已不再公示该记录"
ROWS_AT_ONCE = 500


def reconcile_endpoints(
    context: Context, by: str, endpoint: str | None = None, category: str | None = None
) -> list[Reconciliation]:
    """Reconcile one endpoint or all that ever took something, one category or all; the outcome of each comparison.

    An endpoint that fails does not keep the others waiting: its problem is raised after them.
    """
    chosen = _chosen(context, endpoint, category)
    outcomes: list[Reconciliation] = []
    problems: list[GuijiError] = []
    for name, code in chosen:
        try:
            outcomes.append(reconcile(context, context.catalogue.endpoints[name], code, by))
        except GuijiError as error:
            problems.append(error)
    refresh_delivery_tasks(context, by="reconciliation")
    if problems:
        raise problems[0]
    return outcomes


def reconcile(context: Context, endpoint: Endpoint, category: str, by: str) -> Reconciliation:
    """Compare what we believe an endpoint shows of a category with what it says; store what differs, and what agrees.

    No delivery goes to the endpoint meanwhile. Differences that are gone are resolved. What the endpoint was found to
    have withdrawn as we want it, is noted as withdrawn. An endpoint that cannot be asked is recorded so; its
    ``problem`` says it. Raises :class:`DeliveryError` when it does not answer and :class:`RunConflictError` while
    somebody delivers to it; nothing is compared then.
    """
    begun = Reconciliation(endpoint=endpoint.endpoint, category=category, started_at=now(), by=name_of(by))
    with context.ledger.write() as ledger:
        ledger.add(begun)
    try:
        with exclusive(context.ledger.engine, endpoint.endpoint), context.session() as session:
            if not _ask(context, session, endpoint, category):
                return _finish(context, begun.id, {"problem": CANNOT_BE_ASKED})
            with context.ledger.read() as ledger:
                load_ours(session, ledger, endpoint.endpoint, category)
            context.stores[category].versions(session, "all_versions", hidden_runs(context.ledger))
            match(session, context.catalogue.categories[category])
            compare(session, objections={"objection_on", "objection_off"} <= set(endpoint.operations))
            _note_what_agrees(context, session)
            with context.ledger.write() as ledger:
                store_differences(ledger, session, begun, now())
            return _finish(context, begun.id, _counts(session))
    except GuijiError as error:
        _finish(context, begun.id, {"problem": error.problem[:200]})
        raise


def reconcile_due(endpoint: str | None = None) -> dict[str, Any]:
    """For the DAG: reconcile every endpoint that ever took something; how many differences each comparison found."""
    outcomes = reconcile_endpoints(open_context(), SCHEDULED, endpoint)
    return {f"{one.endpoint} {one.category}": one.problem or one.differences for one in outcomes}


def _chosen(context: Context, endpoint: str | None, category: str | None) -> list[tuple[str, str]]:
    """(endpoint, category) pairs to compare; :class:`CatalogueError` for a name that nobody knows."""
    endpoints = context.catalogue.endpoints
    if endpoint is not None and endpoint not in endpoints:
        raise CatalogueError(f"unknown endpoint {endpoint}", remedy=f"use one of {', '.join(sorted(endpoints))}")
    if category is not None and category not in context.catalogue.categories:
        known = ", ".join(sorted(context.catalogue.categories))
        raise CatalogueError(f"unknown category {category}", remedy=f"use one of {known}")
    with context.ledger.read() as ledger:
        concerned = set(ledger.scalars(select(Outbox.endpoint).where(Outbox.sent_at.is_not(None)).distinct()))
    names = [endpoint] if endpoint else sorted(concerned & set(endpoints))
    return [(name, code) for name in names for code in endpoints[name].categories if category in {None, code}]


def _ask(context: Context, session: Session, endpoint: Endpoint, category: str) -> bool:
    """Load what the endpoint holds; ``False`` when it cannot be asked."""
    longest = timedelta(seconds=endpoint.retry.longest_seconds)
    patiently = Retrying(
        retry=retry_if_exception_type(Trouble),
        wait=Wait(endpoint.retry),
        stop=Stop(endpoint.retry, longest),
        reraise=True,
    )

    def load() -> bool:
        with open_adapter(endpoint) as adapter:
            holdings = adapter.holdings(context.catalogue.categories[category])
            if holdings is None:
                return False
            load_theirs(session, holdings)
            return True

    try:
        return bool(patiently(load))
    except Trouble as trouble:
        raise DeliveryError(
            f"{endpoint.endpoint} does not tell what it holds: {trouble.text}",
            remedy="check that the receiver runs, then reconcile again",
        ) from trouble


def _counts(session: Session) -> dict[str, Any]:
    ours, agreed, differences = session.one(
        "SELECT count(shown_id), count(*) FILTER (verdict IN ('agreed', 'withdrawn', 'gone')), "
        "count(*) FILTER (list_contains($kinds, verdict)) FROM compared",
        {"kinds": list(KINDS)},
    )
    theirs = session.one("SELECT count(*) FROM theirs WHERE state = 'shown'")[0]
    return {"ours": ours, "theirs": theirs, "agreed": agreed, "differences": differences}


def _finish(context: Context, identity: int, values: Mapping[str, Any]) -> Reconciliation:
    with context.ledger.write() as ledger:
        found = ledger.get_one(Reconciliation, identity)
        for name, value in values.items():
            setattr(found, name, value)
        found.finished_at = now()
    return found


def _note_what_agrees(context: Context, session: Session) -> None:
    """Keep when each row was last seen to hold, ids that the endpoint had not told us, and what it withdrew by hand.

    In several transactions: others write to the ledger meanwhile.
    """
    at = now()
    agreed = "SELECT coalesce(shown_id, withdrawal_id) AS id FROM compared WHERE verdict IN ('agreed', 'withdrawn')"
    for ids in _pieces(session, agreed):
        with context.ledger.write() as ledger:
            for start in range(0, len(ids), ROWS_AT_ONCE):
                chosen = Outbox.id.in_([row["id"] for row in ids[start : start + ROWS_AT_ONCE]])
                ledger.execute(update(Outbox).where(chosen).values(reconciled_at=at))
    told = """
        SELECT shown_id AS id, upper_id FROM compared
        WHERE verdict = 'agreed' AND known_id IS NULL AND upper_id IS NOT NULL
    """
    for rows in _pieces(session, told):
        with context.ledger.write() as ledger:
            ledger.execute(update(Outbox), [{"id": row["id"], "upper_id": row["upper_id"][:100]} for row in rows])
    gone = "SELECT shown_id AS id, unsettled_withdrawal_id AS withdrawal FROM compared WHERE verdict = 'gone'"
    for rows in _pieces(session, gone):
        with context.ledger.write() as ledger:
            for row in rows:
                _note_gone(ledger, row["id"], row["withdrawal"], at)


def _note_gone(ledger: LedgerSession, shown: int, withdrawal: int | None, at: datetime) -> None:
    """The endpoint does not show a withdrawn record any more, although it never said so to us."""
    version = ledger.get_one(Outbox, shown)
    ledger.execute(
        update(Outbox)
        .where(
            Outbox.endpoint == version.endpoint,
            Outbox.record_key == version.record_key,
            Outbox.family == "content",
            Outbox.accepted_at.is_not(None),
            Outbox.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=at)
    )
    if withdrawal is None:
        return
    row = ledger.get_one(Outbox, withdrawal)
    row.accepted_at = row.reconciled_at = at
    row.rejected_at = row.withheld_at = row.withheld_reason = None
    ledger.add(Receipt(outbox_id=row.id, at=at, result="accepted", message=CONFIRMED_GONE))


def _pieces(session: Session, query: str) -> Iterator[Sequence[dict[str, Any]]]:
    for batch in session.batches(query):
        rows: list[dict[str, Any]] = batch.to_pylist()
        for start in range(0, len(rows), CHUNK):
            yield rows[start : start + CHUNK]


def open_differences(context: Context, endpoint: str | None = None) -> list[Difference]:
    """Differences that are not resolved, those of one endpoint if named, oldest first."""
    query = select(Difference).where(Difference.resolved_at.is_(None)).order_by(Difference.id)
    with context.ledger.read() as ledger:
        return list(ledger.scalars(query if endpoint is None else query.where(Difference.endpoint == endpoint)))


def count_differences(ledger: LedgerSession) -> int:
    """How many differences are open."""
    return ledger.scalar(select(func.count()).where(Difference.resolved_at.is_(None))) or 0
