"""Deliveries: settle decisions that two feeds reported, then send what is due and collect the receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import date
from threading import Event, Lock
from typing import Any

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.outbox import is_anything_open, reopen_marks
from pipelines.errors import CatalogueError, DeliveryError, GuijiError
from pipelines.operations.acceptance import refresh_acceptance
from pipelines.operations.act_deliveries import release_taken
from pipelines.operations.context import Context, open_context
from pipelines.operations.deadline_changes import keep_deadlines_current
from pipelines.operations.delivery_tasks import refresh_delivery_tasks
from pipelines.operations.record_acts import set_withdrawn_aside
from pipelines.operations.restored import require_compared
from pipelines.records.consolidation import Settled, consolidate, set_rejected_aside
from pipelines.records.reading import load_versions

Progress = Callable[[str, int, int], None]
"""Endpoint, record versions settled so far, and how many there were to settle; called from several threads."""


@dataclass(frozen=True)
class Deliveries:
    """What came of the deliveries, and of those that ended early, why; both by endpoint."""

    results: Mapping[str, DeliveryResult]
    problems: Mapping[str, GuijiError]


def consolidate_stores(context: Context) -> dict[str, list[Settled]]:
    """Settle the new keys of every category across feeds; returns what was settled per category."""
    priorities = {feed.feed: feed.priority for feed in context.catalogue.feeds.values()}
    with context.session() as session:
        return {
            code: consolidate(session, store, context.ledger, priorities)
            for code, store in sorted(context.stores.items())
        }


def deliver_to_all(
    context: Context, endpoint: str | None = None, progress: Progress | None = None, *, force: bool = False
) -> Deliveries:
    """Deliver to one endpoint or to all of them, several at the same time.

    Nothing leaves before it has been consolidated, nor what the endpoint's acceptance profile refuses today. A dead or
    slow endpoint does not keep the others waiting. One to which nothing is owed is not called, and needs neither
    address nor secret. ``force`` calls endpoints that their breaker would leave alone, and those that
    nobody has reconciled with since the ledger was restored.
    """
    chosen = chosen_endpoints(context, endpoint)
    keep_deadlines_current(context)
    consolidate_stores(context)
    # What came back from a package that never left is known to be withdrawn by now.
    with context.ledger.write() as ledger:
        for category in context.stores:
            set_withdrawn_aside(ledger, category)
        for one in chosen:
            reopen_marks(ledger, one.endpoint)
            release_taken(ledger, one)
    results: dict[str, DeliveryResult] = {}
    problems: dict[str, GuijiError] = {}
    delivery = _Delivery(context, progress or (lambda _endpoint, _settled, _total: None), force)
    with ThreadPoolExecutor(max_workers=context.settings.endpoints_at_once) as pool:
        under_way = {one.endpoint: pool.submit(delivery.to, one) for one in chosen}
        try:
            wait(under_way.values())
        except BaseException:
            delivery.stop.set()
            raise
    for name, ended in under_way.items():
        try:
            results[name] = ended.result()
        except GuijiError as error:
            problems[name] = error
    # What was under way when another feed's report of the same decision came is known to be rejected by now.
    for category in context.stores:
        set_rejected_aside(context.ledger, category, [one.endpoint for one in chosen])
    refresh_delivery_tasks(context, by="delivery")
    return Deliveries(results, problems)


def deliver_endpoints(context: Context, endpoint: str | None = None) -> Mapping[str, DeliveryResult]:
    """The same for callers that want a result or an error; the error names every endpoint in trouble."""
    deliveries = deliver_to_all(context, endpoint)
    raise_problems(deliveries.problems)
    return deliveries.results


def raise_problems(problems: Mapping[str, GuijiError]) -> None:
    """Raise the one problem there is, or one :class:`DeliveryError` about all of them."""
    if len(problems) == 1:
        raise next(iter(problems.values()))
    if problems:
        raise DeliveryError(
            f"{len(problems)} endpoints are in trouble: " + "; ".join(error.problem for error in problems.values()),
            remedy="; ".join(f"{name}: {error.remedy}" for name, error in problems.items()),
        )


def chosen_endpoints(context: Context, endpoint: str | None) -> list[Endpoint]:
    """The endpoint of this name, or all; a :class:`CatalogueError` for an unknown name."""
    endpoints = context.catalogue.endpoints
    if endpoint is not None and endpoint not in endpoints:
        raise CatalogueError(f"unknown endpoint {endpoint}", remedy=f"use one of {', '.join(sorted(endpoints))}")
    return [endpoints[name] for name in ([endpoint] if endpoint else sorted(endpoints))]


class _Delivery:
    """Deliveries to several endpoints of one installation at the same time, until ``stop`` is set."""

    def __init__(self, context: Context, progress: Progress, force: bool) -> None:
        self._context = context
        self._progress = progress
        self._force = force
        self.stop = Event()
        # DuckDB may take all the memory that one session is allowed: one look into the record store at a time.
        self._looking = Lock()

    def to(self, endpoint: Endpoint) -> DeliveryResult:
        context, name = self._context, endpoint.endpoint
        with self._looking:
            refresh_acceptance(context, endpoint)
        with context.ledger.read() as session:
            if not is_anything_open(session, name):
                return DeliveryResult(name, 0, 0, 0, 0, 0, 0)
            if not self._force:
                require_compared(session, endpoint)
        return deliver(
            context.ledger,
            endpoint,
            open_adapter(endpoint),
            context.catalogue.categories,
            self._load,
            progress=lambda settled, total: self._progress(name, settled, total),
            stop=self.stop,
            force=self._force,
        )

    def _load(
        self, category: str, wanted: Iterable[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], dict[str, Any]]:
        context = self._context
        with self._looking, context.session() as session:
            return load_versions(session, context.stores[category], context.ledger, wanted)


def consolidate_night(business_date: date) -> dict[str, Any]:
    """For the DAG: settle all new keys; returns how many decisions were settled per category.

    The business date only names the night; what counts is which published runs have not been looked at.
    """
    settled = consolidate_stores(open_context())
    return {"business_date": business_date.isoformat(), **{code: len(found) for code, found in settled.items()}}


def deliver_due(endpoint: str | None = None) -> dict[str, Any]:
    """For the DAG: deliver what is due; returns the counts per endpoint."""
    return {name: asdict(result) for name, result in deliver_endpoints(open_context(), endpoint).items()}
