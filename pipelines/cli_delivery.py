"""Deliveries: ``guiji deliver`` and ``guiji resend``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import err, out, progress_bar, user_name
from pipelines.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import TaskID

    from pipelines.operations.context import Context
    from pipelines.operations.delivery_preview import Plan

EndpointName = Annotated[str | None, typer.Option("--endpoint", help="Only this endpoint; all unless given.")]
MOST_LISTED = 20


def deliver(
    endpoint: EndpointName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go where and why anything stays; call nobody.")
    ] = False,
    feed: Annotated[str | None, typer.Option(help="With --dry-run: only this feed.")] = None,
    list_: Annotated[
        bool, typer.Option("--list", help=f"With --dry-run: the first {MOST_LISTED} records of each endpoint too.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Call endpoints that are left alone after failures.")] = False,
) -> None:
    """Send what is queued, earliest deadline first, and wait for the receipts."""
    from pipelines.operations.context import open_context

    if (feed or list_) and not dry_run:
        raise typer.BadParameter("--feed and --list go with --dry-run; a delivery sends whatever is due")
    context = open_context()
    if dry_run:
        from pipelines.operations.delivery_preview import preview

        _print_plans(preview(context, endpoint, feed, most_listed=MOST_LISTED if list_ else 0))
        return
    send(context, endpoint, force=force)


def send(context: Context, endpoint: str | None, *, force: bool = False) -> None:
    """Deliver and print what came of it; raises :class:`DeliveryError` when something is left unsettled."""
    from pipelines.operations.deliveries import deliver_to_all, raise_problems

    with progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def progress(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        deliveries = deliver_to_all(context, endpoint, progress, force=force)
    for name, result in deliveries.results.items():
        out.print(
            f"{name}: sent {result.sent}, accepted {result.accepted}, rejected {result.rejected}, "
            f"duplicate {result.duplicate}, waiting {result.waiting}",
            highlight=False,
            soft_wrap=True,
        )
        if result.held_back is not None:
            out.print(f"{name}: {result.held_back}; the rest stays queued", highlight=False, soft_wrap=True)
        for package in result.failed_packages:
            err.print(f"{name}: package {package.package[:12]}: {package.reason}", style="red", soft_wrap=True)
    if len(deliveries.problems) > 1:
        for error in deliveries.problems.values():
            err.print(str(error), style="red", highlight=False, soft_wrap=True)
    raise_problems(deliveries.problems)
    unsettled = [package for result in deliveries.results.values() for package in result.failed_packages]
    if unsettled:
        raise DeliveryError(
            f"{len(unsettled)} packages could not be settled, the first because: {unsettled[0].reason}",
            remedy="their records stay queued; deliver again",
        )


def resend(
    endpoint: Annotated[str, typer.Option(help="The endpoint that rejected by mistake.")],
    package: Annotated[str | None, typer.Option(help="Rejected records of the package with this reference.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="Rejected since then, Beijing time."),
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Rejected by this rule of the receiver.")] = None,
    by: Annotated[str | None, typer.Option(help="Who asks for it; the user of this machine unless given.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would be sent again.")] = False,
) -> None:
    """Queue records again that a receiver rejected by its own mistake; nothing is pulled or judged again.

    They keep their deadlines. What was corrected meanwhile is not sent again: the correction is.
    """
    from rich.table import Table

    from pipelines.deadlines.clock import BEIJING_TIME
    from pipelines.delivery.resending import Chosen
    from pipelines.operations.context import open_context
    from pipelines.operations.resending import resend as send_again

    instant = since.replace(tzinfo=BEIJING_TIME).astimezone(UTC).replace(tzinfo=None) if since else None
    resent = send_again(open_context(), Chosen(endpoint, package, instant, rule), user_name(by), really=yes)
    table = Table("feed", "operation", "rejected by", "records")
    for (feed, operation, name), count in resent.counts.items():
        table.add_row(feed, operation, name, str(count))
    out.print(table)
    if resent.open_packages:
        out.print("The package is not settled: the next delivery asks the receiver about it.")
    if yes:
        out.print(f"{resent.records} records are queued again; send them with 'guiji deliver --endpoint {endpoint}'")
    else:
        out.print(f"{resent.records} records would be queued again; do it with --yes")


def _print_plans(plans: Sequence[Plan]) -> None:
    from rich.table import Table

    for plan in plans:
        table = Table("category", "operation", "due", "records", title=plan.endpoint, title_justify="left")
        for line in plan.going:
            table.add_row(line.category, line.operation, line.due, str(line.records))
        for staying in plan.staying:
            table.add_row(staying.category, staying.operation, f"stays: {staying.reason}", str(staying.records))
        out.print(table)
        for category, count in plan.packages.items():
            out.print(f"{category}: {count} packages")
        for obstacle in plan.obstacles:
            out.print(f"nothing leaves now: {obstacle}", style="yellow", soft_wrap=True)
        if plan.listed:
            listed = Table("feed", "operation", "deadline", "document", "subject")
            for record in plan.listed:
                texts = (record.document_number or "", record.subject_name or "")
                listed.add_row(record.feed, record.operation, f"{record.deadline}", *texts)
            out.print(listed)
