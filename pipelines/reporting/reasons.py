"""Why rows are problems: how many rows each reason touches, and how many it alone keeps out."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.engine.duck import Session
from pipelines.reporting.run_files import RunFiles

# Findings of duplicates and excluded rows are nobody's work: the row that stands for them carries its own.
JUDGED_OUTCOMES = "('accepted', 'quarantined')"


@dataclass(frozen=True)
class ReasonCount:
    """One reason: ``rows`` have it, for ``sole`` of them it is the only thing that keeps the row out.

    Rows are counted once per reason and once for every reason they have, so reasons add up to more than the
    problem rows.
    """

    code: str
    severity: str
    rows: int
    sole: int


def broken_rules(files: RunFiles) -> str:
    """SQL query: row_no, code, severity of every reason of the judged rows, once per row."""
    return f"""
        SELECT DISTINCT f.row_no, f.rule AS code, f.severity
        FROM {files.findings} f JOIN {files.outcomes} o USING (row_no)
        WHERE o.outcome IN {JUDGED_OUTCOMES} AND f.severity IN ('block', 'warn')
        UNION ALL
        SELECT row_no, code, 'block' AS severity
        FROM (SELECT row_no, unnest(reasons) AS code FROM {files.outcomes} WHERE outcome = 'quarantined') r
        WHERE NOT EXISTS (FROM {files.findings} f WHERE f.row_no = r.row_no AND f.rule = r.code)
    """


def reason_counts(session: Session, files: RunFiles) -> tuple[ReasonCount, ...]:
    """The reasons of a run: must-fix first, then by rows, ties by code; undecodable lines are among them."""
    found = session.rows(
        f"""
        WITH broken AS ({broken_rules(files)}),
        blocking AS (SELECT row_no, count(*) AS reasons FROM broken WHERE severity = 'block' GROUP BY row_no)
        SELECT code, severity, count(*) AS broken_rows,
               count(*) FILTER (severity = 'block' AND blocking.reasons = 1) AS sole
        FROM broken LEFT JOIN blocking USING (row_no) GROUP BY code, severity
        UNION ALL
        SELECT rule, 'block', count(*), count(*) FROM {files.rejects} GROUP BY rule
        """
    )
    return tuple(sorted((ReasonCount(*row) for row in found), key=_order))


def _order(reason: ReasonCount) -> tuple[bool, int, str]:
    return (reason.severity != "block", -reason.rows, reason.code)
