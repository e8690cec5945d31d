"""One outcome for every row: who survives among duplicates, and what the survivor changes in the store.

Keys are made before the rules run, survivors are chosen after: a row that breaks a blocking rule must not win
over a clean row on the same decision, or both would be lost.
"""

from __future__ import annotations

from typing import Literal

from pipelines.engine.duck import Session

Conflict = Literal["latest_timestamp", "last_row", "steward"]

EXACT_DUPLICATE = "DUP-001"
SUPERSEDED = "DUP-002"
CONFLICT = "DUP-003"
TOMBSTONED = "TOMB-001"
EXCLUDED = "EXCL-001"

_SURVIVOR_ORDER = {
    "last_row": "row_no DESC",
    "latest_timestamp": "source_timestamp DESC NULLS LAST, row_no DESC",
    "steward": "row_no DESC",
}
# Two rows that claim the same newest time, or have none, say different things: nobody may guess.
_IS_CONFLICT = {
    "last_row": "false",
    "latest_timestamp": (
        "count(*) FILTER (source_timestamp IS NOT DISTINCT FROM newest) OVER (PARTITION BY record_key) <> 1"
    ),
    "steward": "true",
}


def settle_batch(session: Session, conflict: Conflict) -> None:
    """Create the table ``settled`` from ``standard``, ``keyed``, ``verdicts``, ``withheld`` and ``tombstones``.

    Columns: row_no, record_key, content_hash, document_key, subject_key, outcome, reasons, waived (rules that the row
    breaks and is excused from), blocking, survivor (row_no of the row that stands for this one, NULL when it stands for
    itself).

    A row without a record key is never a duplicate: what tells it from its neighbour may stand in a column that
    no field takes. Rows that their feed excludes are not judged and need not stand in ``verdicts``. The rows of
    ``withheld`` wait for the department because of their status: they break the rule that stands there.

    Order of decision: declared exclusion; exact duplicate of an earlier row; broken blocking rule; tombstone;
    another row of the batch about the same decision; accepted.
    """
    session.execute(
        f"""
        CREATE TABLE IF NOT EXISTS withheld (row_no BIGINT, rule VARCHAR);
        CREATE OR REPLACE TABLE judged AS
        SELECT k.*, coalesce(v.reasons, []) || if(w.rule IS NULL, [], [w.rule]) AS reasons,
               coalesce(v.waived, []) AS waived, coalesce(v.blocking, false) OR w.rule IS NOT NULL AS blocking,
               s.excluded_reason IS NOT NULL AS is_excluded, s.source_timestamp,
               k.record_key IN (SELECT record_key FROM tombstones) AS is_tombstoned
        FROM keyed k JOIN standard s USING (row_no) LEFT JOIN verdicts v USING (row_no)
        LEFT JOIN withheld w USING (row_no);

        CREATE OR REPLACE TABLE exact AS
        SELECT row_no, first_row FROM judged
        JOIN (
            SELECT record_key, content_hash, min(row_no) AS first_row
            FROM judged WHERE NOT is_excluded AND record_key IS NOT NULL GROUP BY ALL HAVING count(*) > 1
        ) twins USING (record_key, content_hash)
        WHERE NOT is_excluded AND row_no <> first_row;

        CREATE OR REPLACE TABLE contested AS
        WITH candidates AS (
            SELECT row_no, record_key, content_hash, source_timestamp FROM judged
            WHERE NOT is_excluded AND NOT blocking AND NOT coalesce(is_tombstoned, false) AND record_key IS NOT NULL
              AND row_no NOT IN (SELECT row_no FROM exact)
        ), groups AS (
            SELECT record_key, max(source_timestamp) AS newest FROM candidates GROUP BY record_key HAVING count(*) > 1
        )
        SELECT row_no, record_key,
               first_value(row_no) OVER ranked AS winner,
               {_IS_CONFLICT[conflict]} AS is_conflict
        FROM candidates JOIN groups USING (record_key)
        WINDOW ranked AS (
            PARTITION BY record_key ORDER BY {_SURVIVOR_ORDER[conflict]}
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        );

        CREATE OR REPLACE TABLE settled AS
        SELECT j.row_no, j.record_key, j.content_hash, j.document_key, j.subject_key, j.blocking, j.waived,
               CASE
                   WHEN j.is_excluded THEN 'excluded'
                   WHEN e.first_row IS NOT NULL THEN 'duplicate'
                   WHEN j.blocking THEN 'quarantined'
                   WHEN j.is_tombstoned THEN 'blocked'
                   WHEN c.is_conflict THEN 'quarantined'
                   WHEN c.winner <> j.row_no THEN 'duplicate'
                   ELSE 'accepted'
               END AS outcome,
               CASE
                   WHEN j.is_excluded THEN ['{EXCLUDED}']
                   WHEN e.first_row IS NOT NULL THEN j.reasons || ['{EXACT_DUPLICATE}']
                   WHEN j.blocking THEN j.reasons
                   WHEN j.is_tombstoned THEN j.reasons || ['{TOMBSTONED}']
                   WHEN c.is_conflict THEN j.reasons || ['{CONFLICT}']
                   WHEN c.winner <> j.row_no THEN j.reasons || ['{SUPERSEDED}']
                   ELSE j.reasons
               END AS reasons,
               CASE
                   WHEN j.is_excluded THEN NULL
                   WHEN e.first_row IS NOT NULL THEN e.first_row
                   WHEN j.blocking OR coalesce(j.is_tombstoned, false) OR coalesce(c.is_conflict, false) THEN NULL
                   WHEN c.winner <> j.row_no THEN c.winner
               END AS survivor
        FROM judged j LEFT JOIN exact e USING (row_no) LEFT JOIN contested c USING (row_no);
        DROP TABLE judged; DROP TABLE exact; DROP TABLE contested
        """
    )


def compare_with_store(session: Session) -> None:
    """Create the table ``changes`` for accepted rows from ``settled`` and ``history``.

    Columns: row_no, change (``new``, ``changed``, ``unchanged`` or ``outdated``: it differs, but a later business
    date already has a version), version (of the row's content; a changed record gets the next number).
    """
    session.execute(
        """
        CREATE OR REPLACE TABLE changes AS
        SELECT s.row_no,
               CASE
                   WHEN h.record_key IS NULL THEN 'new'
                   WHEN h.content_hash = s.content_hash THEN 'unchanged'
                   WHEN h.has_later THEN 'outdated'
                   ELSE 'changed'
               END AS change,
               CASE
                   WHEN h.record_key IS NULL THEN 1
                   WHEN h.content_hash = s.content_hash THEN h.version
                   ELSE h.newest + 1
               END AS version
        FROM settled s LEFT JOIN history h USING (record_key)
        WHERE s.outcome = 'accepted'
        """
    )
