"""A record's passport as a tree for the terminal. Restricted fields and names of persons are masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.text import Text
from rich.tree import Tree

from pipelines.catalogue.categories import Category
from pipelines.identity.masking import mask_document_number, mask_person_name, mask_text
from pipelines.operations.shown_values import masked_value, text_without_names
from pipelines.operations.trace import RecordTrace, VersionTrace
from pipelines.operations.trace_deliveries import Delivery

INSTANTS = (
    "queued_at",
    "packaged_at",
    "sent_at",
    "accepted_at",
    "rejected_at",
    "withheld_at",
    "withdrawn_at",
    "reconciled_at",
)
# What the manifest of a run keeps about its source besides where that is.
_NO_PLACE = frozenset({"pulled_at", "watermark", "seconds", "settle_problem"})


def trace_tree(trace: RecordTrace) -> Tree:
    """The whole way: per version the source line, repairs, flags, deadline, calls and receipts."""
    marks = f", withdrawn since {trace.withdrawn.since} ({trace.withdrawn.reason})" if trace.withdrawn else ""
    marks += ", objection open: on no list of punishments" if trace.has_objection else ""
    root = Tree(Text.assemble((trace.category.name_zh, "bold"), f" {trace.record_key}", (marks, "yellow")))
    for decision in trace.consolidations:
        root.add(f"consolidated: {decision.surviving_feed} survives {decision.losing_feed} ({decision.reason})")
    for version in trace.versions:
        _add_version(root, trace.category, version)
    for traced in trace.acts:
        act = traced.act
        reason = f" ({act.reason})" if act.reason else ""
        said = f"act {act.id}: {act.kind}{reason}, effective {act.effective_on}, by {act.by} on {_instant(act.at)}"
        branch = root.add(f"{said}: {act.note}")
        for delivery in traced.deliveries:
            _add_delivery(branch, delivery)
    for difference in trace.differences:
        ended = f", resolved {_instant(difference.resolved_at)}" if difference.resolved_at else ", open"
        done = f" ({difference.resolution})" if difference.resolution else ""
        found = f"found {_instant(difference.found_at)}{ended}{done}"
        root.add(f"difference at {difference.endpoint}: {difference.kind}, {difference.detail}, {found}")
    return root


def _add_version(root: Tree, category: Category, traced: VersionTrace) -> None:
    version = traced.version
    origin = f" ({version['change']}) of feed {version['feed']}, business date {version['business_date']}"
    branch = root.add(Text.assemble((f"version {version['version']}", "bold"), origin))
    source = branch.add(
        f"source: line {version['line']}" + (f" of sheet {version['sheet']}" if version["sheet"] else "")
    )
    if traced.extract is not None:
        source.add(f"extract {traced.extract.name}, {traced.extract.bytes} bytes, SHA-256 {traced.extract.sha256}")
    for line in _pulled((traced.run.manifest or {}).get("source", {})):
        source.add(line)
    entry = f", entry {traced.chain_position} of the hash chain" if traced.chain_position is not None else ""
    source.add(f"run {traced.run.id}, published {_instant(traced.run.finished_at)}{entry}")
    row = source.add("the row as it was sent")
    for name, cell in traced.source_row.items():
        if cell not in {None, ""}:
            row.add(f"{name}: {_shown(category, traced, name, cell)}")
    for correction in traced.corrections:
        old, new = (_shown(category, traced, correction.column, text) for text in (correction.old, correction.new))
        branch.add(
            f"corrected by {correction.by}: {correction.column}: {old or '(empty)'} → {new or '(empty)'}, workbook "
            f"{correction.workbook}, sheet {correction.sheet}, line {correction.line}, SHA-256 {correction.sha256}"
        )
    repairs = branch.add(f"repairs: {len(traced.repairs)}")
    for field, rule, old, new in traced.repairs:
        before, after = (masked_value(category, field, text, version) for text in (old, new))
        repairs.add(f"{field} {rule}: {before} → {after}")
    branch.add(f"verdict: accepted, flags: {', '.join(traced.reasons) or 'none'}")
    for waiver in traced.waivers:
        revoked = f", revoked {_instant(waiver.revoked_at)}" if waiver.revoked_at else ""
        who = f"waiver {waiver.id} by {waiver.approver} until {waiver.until}{revoked}"
        branch.add(f"waived: {waiver.rule}, {who}: {waiver.why}")
    record = branch.add("the record")
    for definition in category.fields:
        value = version[definition.code]
        if value is not None:
            shown = masked_value(category, definition.code, _text(value), version)
            record.add(f"{definition.code} {definition.name_zh}: {shown}")
    provisional = (
        " (provisional: needs a calendar that is not published yet)" if version["deadline_provisional"] else ""
    )
    branch.add(f"decided {version['decision_date']}, deadline {version['deadline']}{provisional}")
    if not traced.deliveries:
        branch.add("delivery: owed to no endpoint")
    for delivery in traced.deliveries:
        _add_delivery(branch, delivery)


def _pulled(source: Mapping[str, Any]) -> Iterator[str]:
    """Where the extracts of a run were pulled from, when, and whether they held what the department declared."""
    facts = [
        f"{name} {source[name]}" for name in source if name not in _NO_PLACE and isinstance(source[name], str | int)
    ]
    if "pulled_at" in source:
        yield f"pulled {datetime.fromisoformat(source['pulled_at']):%Y-%m-%d %H:%M:%S} UTC: {', '.join(facts)}"
    for total in source.get("totals", ()):
        compared = (
            f"{name.replace('_', ' ')} {value}" for name, value in total.items() if name not in {"extract", "where"}
        )
        yield f"control totals of {total['where']} agree: {', '.join(compared)}"


def _add_delivery(branch: Tree, delivery: Delivery) -> None:
    outbox = delivery.outbox
    node = branch.add(f"delivery to {outbox.endpoint}: {outbox.operation}, idempotency key {outbox.idempotency_key}")
    for name in INSTANTS:
        instant = getattr(outbox, name)
        if instant is not None:
            node.add(f"{name.removesuffix('_at')} {_instant(instant)}")
    if outbox.withheld_reason:
        node.add(f"withheld because: {outbox.withheld_reason}")
    for attempt in delivery.attempts:
        code = f" {attempt.status}" if attempt.status is not None else ""
        node.add(f"attempt {_instant(attempt.at)}: {attempt.action} → {attempt.outcome}{code}")
    for receipt in delivery.receipts:
        text = f"receipt (回执) {_instant(receipt.at)}: {receipt.result}"
        text += f", upper-level id {receipt.upper_id}" if receipt.upper_id else ""
        text += f", {receipt.rule} {mask_text(receipt.message)}" if receipt.rule or receipt.message else ""
        node.add(text)


def _shown(category: Category, traced: VersionTrace, column: str, cell: str | None) -> str | None:
    """A cell of the source row as it may be shown."""
    if cell is None or column in traced.restricted_columns:
        return mask_document_number(cell)
    if column in traced.name_columns:
        return mask_person_name(cell)
    return mask_text(text_without_names(category, cell, traced.version))


def _instant(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "—"


def _text(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)
