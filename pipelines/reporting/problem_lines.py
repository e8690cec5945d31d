"""The lines of a department workbook: one per problem row and reason, with the row as it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.catalogue.correction_form import check_sql
from pipelines.engine.duck import Session, identifier, literal
from pipelines.engine.rows import RowsPart, row_hash
from pipelines.ledger.models import DeliveryFinding
from pipelines.reporting.run_files import RunFiles

LINES, KINDS = "report_lines", "report_kinds"
REJECTIONS = "report_rejections"
RETURNED = "退回"
_REJECTION_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("record_key", "endpoint", "rule", "field", "message")],
)


@dataclass(frozen=True)
class Kind:
    """One kind of problem: a rule and the field it is about, or what one receiver sent back and why.

    ``number`` counts from 1: blocking kinds first, those with the most lines first.
    """

    number: int
    severity: str
    code: str
    field: str | None
    endpoint: str | None
    lines: int
    rows: int


@dataclass(frozen=True)
class ProblemLine:
    """One reason of one row.

    ``reference`` names the row for good: extract (first 12 digits of its SHA-256), sheet, line; ``row_hash`` what it
    held as it was sent; ``check`` finds a line whose hidden cells were changed. ``part`` is the position of the row's
    part in the run; ``others`` are the kinds of the row's other problems, ``same_field`` those about the same field.
    ``cells`` are the source cells in the order of :meth:`RunFiles.source_columns`, corrections applied; all of it is
    None for a receiver's rejection that leads to no row. ``message`` is set when a receiver gave the reason.
    """

    cells: tuple[str | None, ...]
    kind: int
    row_no: int | None
    part: int | None
    extract_name: str | None
    sheet: str | None
    line: int | None
    reference: str | None
    row_hash: str | None
    check: str | None
    message: str | None
    suggestion: str | None
    others: Sequence[int]
    same_field: Sequence[int]


def create_lines(session: Session, files: RunFiles, rejections: Sequence[DeliveryFinding]) -> list[Kind]:
    """Create the table ``report_lines`` (without the source cells) and say which kinds of problems there are.

    Blocking: every blocking reason of the quarantined rows and what receivers sent back. Warnings: those of rows that
    are reported or quarantined, and rows that were blocked because their record was withdrawn.
    """
    columns = {name: [getattr(finding, name) for finding in rejections] for name in _REJECTION_SCHEMA.names}
    session.register(REJECTIONS, pa.table(columns, schema=_REJECTION_SCHEMA))
    session.execute(
        f"""
        CREATE OR REPLACE TABLE {LINES} AS
        WITH found AS (SELECT * FROM {files.findings}),
        outcomes AS (SELECT * FROM {files.outcomes}),
        told AS (
            SELECT row_no, extract, sheet, line, unnest(reasons) AS code, outcome FROM outcomes
            WHERE outcome IN ('quarantined', 'blocked')
        )
        SELECT 'block' AS severity, f.row_no, f.extract, f.sheet, f.line, f.rule AS code, f.field,
               NULL::VARCHAR AS endpoint, NULL::VARCHAR AS message
        FROM found f JOIN outcomes o USING (row_no) WHERE o.outcome = 'quarantined' AND f.severity = 'block'
        UNION ALL
        SELECT 'warn', f.row_no, f.extract, f.sheet, f.line, f.rule, f.field, NULL, NULL
        FROM found f JOIN outcomes o USING (row_no)
        WHERE o.outcome IN ('accepted', 'quarantined') AND f.severity = 'warn'
        UNION ALL
        SELECT if(outcome = 'blocked', 'warn', 'block'), row_no, extract, sheet, line, code, NULL, NULL, NULL
        FROM told t WHERE NOT EXISTS (FROM found f WHERE f.row_no = t.row_no AND f.rule = t.code)
        UNION ALL
        SELECT 'block', o.row_no, o.extract, o.sheet, o.line, coalesce(r.rule, {literal(RETURNED)}), r.field,
               r.endpoint, r.message
        FROM {REJECTIONS} r LEFT JOIN outcomes o ON o.record_key = r.record_key AND o.outcome = 'accepted';

        CREATE OR REPLACE TABLE {KINDS} AS
        SELECT row_number() OVER (
                   ORDER BY severity, count(*) DESC, code, field NULLS FIRST, endpoint NULLS FIRST
               )::INTEGER AS kind,
               severity, code, field, endpoint, count(*) AS lines, count(DISTINCT row_no) AS rows
        FROM {LINES} GROUP BY severity, code, field, endpoint
        """
    )
    return [Kind(*row) for row in session.rows(f"FROM {KINDS} ORDER BY kind")]


def read_lines(session: Session, files: RunFiles, digest: str) -> Iterator[ProblemLine]:
    """The lines kind by kind, each in the order of the source rows, streamed; nothing else may use the session.

    ``digest`` is that of the workbook's :class:`WorkbookMeta`.
    """
    width = len(files.source_columns())
    cells = "".join(f", s.c{index}" for index in range(width))
    suggested = (
        f"SELECT row_no, field, suggested, evidence_zh FROM {files.suggestions}"
        if files.has_suggestions
        else (
            "SELECT NULL::BIGINT AS row_no, NULL::VARCHAR AS field, NULL::VARCHAR AS suggested, "
            "NULL::VARCHAR AS evidence_zh WHERE false"
        )
    )
    batches = session.batches(
        f"""
        WITH lines AS (
            SELECT k.kind, l.* FROM {LINES} l JOIN {KINDS} k
            ON k.severity = l.severity AND k.code = l.code AND k.field IS NOT DISTINCT FROM l.field
            AND k.endpoint IS NOT DISTINCT FROM l.endpoint
        ), suggested AS (
            SELECT row_no, field,
                   string_agg(suggested || '（' || evidence_zh || '）', chr(10) ORDER BY suggested) AS text
            FROM ({suggested}) GROUP BY ALL
        ), of_row AS (
            SELECT row_no, list(DISTINCT kind ORDER BY kind) AS kinds FROM lines WHERE row_no IS NOT NULL
            GROUP BY row_no HAVING count(*) > 1
        ), of_field AS (
            SELECT row_no, field, list(DISTINCT kind ORDER BY kind) AS kinds FROM lines
            WHERE row_no IS NOT NULL AND field IS NOT NULL GROUP BY row_no, field HAVING count(*) > 1
        ), {_rows(files)}
        SELECT l.kind, l.row_no, s.part, s.extract_name, l.sheet, l.line, s.reference, h.row_hash,
               {check_sql(digest, "s.reference", "h.row_hash", "l.field", "l.code")}, l.message, g.text,
               coalesce(list_filter(r.kinds, lambda kind: kind <> l.kind), []),
               coalesce(list_filter(f.kinds, lambda kind: kind <> l.kind), []){cells}
        FROM lines l LEFT JOIN source s USING (row_no) LEFT JOIN sent h USING (row_no)
        LEFT JOIN suggested g ON g.row_no = l.row_no AND g.field = l.field
        LEFT JOIN of_row r ON r.row_no = l.row_no
        LEFT JOIN of_field f ON f.row_no = l.row_no AND f.field = l.field
        ORDER BY l.kind, l.row_no NULLS LAST, l.message
        """
    )
    for batch in batches:
        columns: list[list[Any]] = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield ProblemLine(row[13:], *row[:13])


def _rows(files: RunFiles) -> str:
    """SQL of ``source`` (the rows with lines as they stand) and ``sent`` (hashes of what they were)."""
    positions = {column: f"c{index}" for index, column in enumerate(files.source_columns())}
    source = [
        _select(
            part,
            f"{number} AS part, {literal(part.extract_name)} AS extract_name, {part.reference_expression} AS reference",
            *(f"{_cell(column, part)} AS {alias}" for column, alias in positions.items()),
        )
        for number, part in enumerate(files.parts)
    ]
    sent = [_select(part.as_sent, f"{row_hash(part.columns)} AS row_hash") for part in files.parts]
    if not files.parts:
        source = ["SELECT NULL::BIGINT AS row_no, 0 AS part, '' AS extract_name, '' AS reference WHERE false"]
        sent = ["SELECT NULL::BIGINT AS row_no, '' AS row_hash WHERE false"]
    return f"source AS ({' UNION ALL '.join(source)}), sent AS ({' UNION ALL '.join(sent)})"


def _select(part: RowsPart, *expressions: str) -> str:
    return (
        f"SELECT {part.row_offset} + file_row_number AS row_no, {', '.join(expressions)} FROM {part.source} "
        f"WHERE {part.row_offset} + file_row_number IN (SELECT row_no FROM {LINES})"
    )


def _cell(column: str, part: RowsPart) -> str:
    return identifier(column) if column in part.columns else "NULL::VARCHAR"
