"""Compares a batch with the feed's batch before it: what has changed is a finding, a lost column holds the batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa
from sqlalchemy import Select, select

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.origins import field_origins, status_codes
from pipelines.engine.duck import Session, identifier
from pipelines.engine.rows import RowsPart
from pipelines.errors import BatchHeldError
from pipelines.intake import changes as compare
from pipelines.intake.changes import Change, Loss
from pipelines.intake.shapes import (
    TIME_STAMP,
    Shape,
    Table,
    Uses,
    exclusion,
    is_field,
    remembered,
    tables_of,
    value_hash,
    with_unknown,
)
from pipelines.ledger.models import Batch, Run
from pipelines.operations.context import Context
from pipelines.quality.rules import RuleCount, Suite

_CODE_LIST_RULE = "ENUM-"
_MOST_VALUES = 1_000
# A value that so many subjects share says nothing about any of them; it may be shown.
_SUBJECTS_THAT_HIDE_ONE = 5

_FINDING: dict[str, pa.DataType] = {
    **dict.fromkeys(("extract", "sheet", "rule", "severity", "field", "observed"), pa.string()),
    "line": pa.int64(),
}


@dataclass(frozen=True)
class Noticed:
    """What a batch looks like, what has changed since the feed's batch ``before`` it, and which columns it has lost."""

    shape: Shape
    before: Shape | None
    changes: tuple[Change, ...]
    losses: tuple[Loss, ...] = ()

    def adding(self, more: Iterable[Change]) -> Noticed:
        """The same with further findings."""
        return replace(self, changes=(*self.changes, *more))


def notice_files(
    context: Context,
    feed: Feed,
    category: Category,
    business_date: date,
    parts: Sequence[RowsPart],
    manifests: Sequence[Mapping[str, Any]],
) -> Noticed:
    """Compare the files of a batch with those of the feed's last published batch before ``business_date``.

    ``manifests`` are those of its extracts. The first batch of a feed is compared with nothing; that a file was damaged
    or not read whole is noticed all the same.
    """
    required = frozenset(field.code for field in category.fields if field.required == "always")
    tables = tables_of(parts, manifests, [_uses(part, feed, category) for part in parts], required)
    before = _shape_before(context, feed, business_date)
    changes = compare.extract_faults(manifests)
    losses: list[Loss] = []
    if before is not None:
        changes += compare.compare_tables(before, tables)
        losses = compare.lost_columns(before, tables, lambda *asked: _is_wanted(feed, category, *asked))
    rows = sum(manifest.get("rows_decoded", 0) + manifest.get("lines_undecoded", 0) for manifest in manifests)
    volume = compare.volume_change(rows, _rows_before(context, feed, business_date), feed.volume)
    if volume is not None:
        changes.append(volume)
    return Noticed(remembered(tables, before), before, tuple(changes), tuple(losses))


def notice_values(session: Session, category: Category, counts: Sequence[RuleCount], noticed: Noticed) -> Noticed:
    """Add coded values that neither a code list nor the feed knows and that no batch before had.

    Reads the tables ``standard`` and ``verdicts`` of the session. A field that was not read before has nothing to be
    compared with.
    """
    broken = {count.code for count in counts if count.failed}
    read_before = (
        {purpose for table in noticed.before.tables for purpose in table.purposes} if noticed.before else set()
    )
    shape, changes = noticed.shape, []
    for field in category.fields:
        rule = _CODE_LIST_RULE + field.code
        if rule not in broken:
            continue
        values = _unknown_values(session, category, field, rule)
        known = set(shape.unknown.get(field.code, ()))
        unseen = [value for value in values if value_hash(value[0]) not in known]
        if unseen and field.code in read_before:
            shown = [value for value, _, subjects in unseen if _may_be_shown(field, subjects)]
            rows = sum(count for _, count, _ in unseen)
            changes.append(compare.new_values(field.code, field.name_zh, len(unseen), rows, shown))
        shape = with_unknown(shape, {field.code: [value for value, _, _ in values]})
    return replace(noticed, shape=shape).adding(changes)


def hold_for_lost_columns(feed: Feed, category: Category, losses: Sequence[Loss]) -> None:
    """Raise :class:`BatchHeldError` when a batch has lost a column that the one before was read from."""
    if not losses:
        return
    first = losses[0].table
    examples = [
        f"'{code}: {_likely(loss)}' under columns:" for loss in losses for code in loss.purposes if is_field(code)
    ]
    example = examples[0] if examples else "its new name"
    raise BatchHeldError(
        "; ".join(_described(loss, category) for loss in losses),
        remedy=f"if a column was renamed, write {example} in {feed_file(feed)} "
        "(or 'constant: \"\"' for a field that is no longer sent); otherwise ask the department for the column; "
        "then run the batch again",
        file=first.extract_name,
        sheet=first.sheet or None,
        line=first.line,
    )


def add_to_findings(session: Session, suite: Suite, changes: Sequence[Change]) -> None:
    """Append the findings about files to the table ``findings``: they belong to no row."""
    rows = [
        {
            "extract": change.extract,
            "sheet": change.sheet,
            "line": change.line,
            "rule": change.rule,
            "severity": suite.rule(change.rule).severity,
            "field": change.field,
            "observed": change.observed,
        }
        for change in changes
    ]
    session.register("file_findings", pa.Table.from_pylist(rows, schema=pa.schema(_FINDING)))
    session.execute(
        "INSERT INTO findings SELECT NULL, extract, sheet, line, rule, severity, field, observed FROM file_findings"
    )


def feed_file(feed: Feed) -> str:
    """Where a feed is described, below the project's root."""
    return f"schemas/departments/{feed.department}/{feed.feed.removeprefix(feed.department + '_')}.yaml"


def _likely(loss: Loss) -> str:
    """The column that has most likely taken the place of the lost one, where one stands out."""
    sure = len(loss.nearest) == 1 or (loss.nearest and loss.nearest[0][1] >= compare.SIMILAR_FROM)
    return loss.nearest[0][0] if sure else "<its column>"


def _described(loss: Loss, category: Category) -> str:
    purposes = " and ".join(_purpose(purpose, category) for purpose in loss.purposes)
    text = f"the column {loss.column}, which the last batch had for {purposes}, is missing"
    if not loss.nearest:
        return f"{text}; no column is new"
    named = (f"{column} ({score} % alike)" if score else column for column, score in loss.nearest)
    return f"{text}; new columns: {', '.join(named)}"


def _purpose(purpose: str, category: Category) -> str:
    if not is_field(purpose):
        return "the time stamp of the rows" if purpose == TIME_STAMP else "exclusions"
    return f"{purpose} ({category.field(purpose).name_zh})" if purpose in category.field_codes else purpose


def _uses(part: RowsPart, feed: Feed, category: Category) -> Uses:
    """What each column of a part is read for."""
    own = feed.for_extract(part.extract_name)
    origins = field_origins(part.columns, own, category)
    read: list[tuple[str | None, str]] = [
        (column, code) for code, origin in origins.fields.items() for column in origin.columns
    ]
    read += [(origins.headers.column(name), purpose) for name, purpose in _extra_columns(own).items()]
    uses: dict[str, list[str]] = {}
    for column, purpose in read:
        if column is not None:
            uses.setdefault(column, []).append(purpose)
    return {column: tuple(purposes) for column, purposes in uses.items()}


def _is_wanted(feed: Feed, category: Category, table: Table, purpose: str) -> bool:
    """Whether the feed still needs a column for a purpose: a field that it fills with a constant needs none."""
    own = feed.for_extract(table.extract_name)
    if is_field(purpose):
        known = (*category.field_codes, *status_codes(category.editions.get(own.edition)))
        declared = own.column(purpose)
        return purpose in known and (declared is None or bool(declared.sources))
    return purpose in _extra_columns(own).values()


def _extra_columns(feed: Feed) -> dict[str, str]:
    """Columns that the feed itself reads beside those of its fields, each with what for."""
    columns = {item.column: exclusion(item.column) for item in feed.exclude}
    return columns | ({feed.source_timestamp: TIME_STAMP} if feed.source_timestamp is not None else {})


def _unknown_values(session: Session, category: Category, field: Field, rule: str) -> list[tuple[str, int, int]]:
    """Values of a field that break its code list, with their rows and how many subjects these name."""
    value, subject = identifier(field.code), identifier(category.roles.subject_name)
    rows = session.rows(
        f"SELECT {value}, count(*), count(DISTINCT {subject}) FROM standard JOIN verdicts USING (row_no) "
        f"WHERE list_contains(reasons, $rule) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_MOST_VALUES}",
        {"rule": rule},
    )
    return [(str(value), int(count), int(subjects)) for value, count, subjects in rows]


def _may_be_shown(field: Field, subjects: int) -> bool:
    return field.exposure == "public" and subjects >= _SUBJECTS_THAT_HIDE_ONE


def _published_before(feed: Feed, business_date: date) -> Select[Run]:
    """The runs that count for the feed's batches before a date, the latest date first."""
    return (
        select(Run)
        .join(Batch, Batch.run == Run.id)
        .where(Batch.feed == feed.feed, Batch.business_date < business_date)
        .order_by(Batch.business_date.desc())
    )


def _shape_before(context: Context, feed: Feed, business_date: date) -> Shape | None:
    with context.ledger.read() as session:
        run = session.scalar(_published_before(feed, business_date).limit(1))
    data = (run.manifest or {}).get("shape") if run is not None else None
    return Shape.from_json(data) if data is not None else None


def _rows_before(context: Context, feed: Feed, business_date: date) -> list[int]:
    """Rows and lines of the batches that say what is usual, the latest first."""
    query = _published_before(feed, business_date).where(Run.rows_decoded + Run.lines_undecoded > 0)
    with context.ledger.read() as session:
        runs = session.scalars(query.limit(feed.volume.batches))
        return [run.rows_decoded + run.lines_undecoded for run in runs]
