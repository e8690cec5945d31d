"""The lines of a department workbook: one per problem row and reason, with the row as it was sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipelines.engine.duck import Session
from pipelines.ledger.models import DeliveryFinding
from pipelines.reporting.run_files import RunFiles

LINES = "report_lines"
REJECTIONS = "report_rejections"
_REJECTION_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("record_key", "endpoint", "rule", "field", "message")],
)


@dataclass(frozen=True)
class ProblemLine:
    """One reason of one row. ``endpoint`` and ``message`` are set when a receiver gave the reason.

    ``cells`` are the source cells in the order of :meth:`RunFiles.source_columns`; all None, like the locator,
    for a receiver's rejection that leads to no row.
    """

    cells: tuple[str | None, ...]
    row_no: int | None
    extract: str | None
    extract_name: str | None
    sheet: str | None
    line: int | None
    code: str | None
    field: str | None
    endpoint: str | None
    message: str | None

    @property
    def reference(self) -> str:
        """Names the row for good: extract (first 12 digits of its SHA-256), sheet, line."""
        return "" if self.extract is None else f"{self.extract[:12]}/{self.sheet or ''}/{self.line}"


def create_lines(session: Session, files: RunFiles, rejections: Sequence[DeliveryFinding]) -> dict[str, int]:
    """Create the table ``report_lines`` (without the source cells); returns lines per severity.

    ``block``: every blocking reason of the quarantined rows and what receivers sent back. ``warn``: warnings of
    rows that are reported or quarantined, and rows that were blocked because their record was withdrawn.
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
        SELECT 'block', o.row_no, o.extract, o.sheet, o.line, r.rule, r.field, r.endpoint, r.message
        FROM {REJECTIONS} r LEFT JOIN outcomes o ON o.record_key = r.record_key AND o.outcome = 'accepted'
        """
    )
    counts = dict(session.rows(f"SELECT severity, count(*) FROM {LINES} GROUP BY severity"))
    return {"block": int(counts.get("block", 0)), "warn": int(counts.get("warn", 0))}


def read_lines(session: Session, files: RunFiles, severity: str) -> Iterator[ProblemLine]:
    """The lines of one severity in the order of the source rows, streamed; nothing else may use the session."""
    width = len(files.source_columns())
    if files.parts:
        cells = "".join(f", s.c{index}" for index in range(width))
        joined, name = f"LEFT JOIN {files.source_rows()} s USING (row_no)", "s.extract_name"
    else:
        cells, joined, name = "", "", "NULL::VARCHAR"
    batches = session.batches(
        f"SELECT l.row_no, l.extract, {name}, l.sheet, l.line, l.code, l.field, l.endpoint, l.message{cells} "
        f"FROM {LINES} l {joined} WHERE l.severity = $severity "
        "ORDER BY l.row_no NULLS LAST, l.endpoint NULLS FIRST, l.code, l.field, l.message",
        {"severity": severity},
    )
    for batch in batches:
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield ProblemLine(row[9:], *row[:9])
