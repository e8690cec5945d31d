"""Deliveries: settle decisions that two feeds reported, then send what is due and collect the receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

from pipelines.delivery.address import endpoint_token
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.errors import CatalogueError, GuijiError
from pipelines.operations.acceptance import refresh_acceptance
from pipelines.operations.context import Context, open_context
from pipelines.operations.delivery_tasks import refresh_delivery_tasks
from pipelines.records.consolidation import Settled, consolidate
from pipelines.records.reading import load_versions

Progress = Callable[[int, int], None]


def consolidate_stores(context: Context) -> dict[str, list[Settled]]:
    """Settle the new keys of every category across feeds; returns what was settled per category."""
    priorities = {feed.feed: feed.priority for feed in context.catalogue.feeds.values()}
    with context.session() as session:
        return {
            code: consolidate(session, store, context.ledger, priorities)
            for code, store in sorted(context.stores.items())
        }


def deliver_endpoints(
    context: Context, endpoint: str | None = None, progress: Progress | None = None
) -> dict[str, DeliveryResult]:
    """Deliver to one endpoint or to all of them; returns the result per endpoint.

    Nothing leaves before it has been consolidated, nor what the endpoint's acceptance profile refuses today. A dead
    endpoint does not keep the others waiting: its problem is raised after them.
    """
    endpoints = context.catalogue.endpoints
    if endpoint is not None and endpoint not in endpoints:
        raise CatalogueError(f"unknown endpoint {endpoint}", remedy=f"use one of {', '.join(sorted(endpoints))}")
    consolidate_stores(context)
    results: dict[str, DeliveryResult] = {}
    problems: list[GuijiError] = []
    for name in [endpoint] if endpoint else sorted(endpoints):
        described = endpoints[name]
        try:
            refresh_acceptance(context, described)
            results[name] = deliver(
                context.ledger,
                described,
                context.catalogue.categories,
                lambda category, wanted: _load(context, category, wanted),
                endpoint_token(described),
                progress=progress or (lambda _settled, _total: None),
            )
        except GuijiError as error:
            problems.append(error)
    refresh_delivery_tasks(context, by="delivery")
    if problems:
        raise problems[0]
    return results


def _load(
    context: Context, category: str, wanted: Iterable[tuple[str, str, int]]
) -> dict[tuple[str, str, int], dict[str, Any]]:
    with context.session() as session:
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
