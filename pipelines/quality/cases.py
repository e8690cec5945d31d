"""Cases: what the findings of one batch make of all that is open for its feed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, file_literal, literal
from pipelines.quality.row_keys import CASES_BEFORE, ROW_KEYS, create_row_keys
from pipelines.quality.rules import Suite

CASES = "cases"
CORRECTED_ROWS = "corrected_rows"
LATER = "later_verdicts"
FOUND = "found_cases"
KEPT_DAYS = 400
RULES = "case_rules"

COLUMNS = {
    "case_key": "VARCHAR",
    "row_key": "VARCHAR",
    "rule": "VARCHAR",
    "rule_version": "INTEGER",
    "field": "VARCHAR",
    "severity": "VARCHAR",
    "owner": "VARCHAR",
    "state": "VARCHAR",
    "first_seen": "DATE",
    "last_seen": "DATE",
    "extract": "VARCHAR",
    "sheet": "VARCHAR",
    "line": "BIGINT",
    "row_no": "BIGINT",
    "run": "VARCHAR",
    "observed": "VARCHAR",
    "kind": "VARCHAR",
    "opened_on": "DATE",
    "judged_on": "DATE",
    "closed_on": "DATE",
    "how": "VARCHAR",
    "reopened": "INTEGER",
    "first_run": "VARCHAR",
    "closed_run": "VARCHAR",
    "corrected_run": "VARCHAR",
    "match_key": "VARCHAR",
    "document_key": "VARCHAR",
    "content_hash": "VARCHAR",
    "code_hash": "VARCHAR",
    "rest_hash": "VARCHAR",
    "decision_date": "VARCHAR",
}


@dataclass(frozen=True)
class CaseBatch:
    """The batch that speaks: ``full`` when what it does not hold no longer exists."""

    feed: str
    run: str
    business_date: date
    full: bool


def load_cases(session: Session, file: Path | None) -> None:
    """Create the table ``cases_before`` from the cases of an earlier run; empty without one."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    session.execute(f"CREATE OR REPLACE TABLE {CASES_BEFORE} ({columns})")
    if file is not None:
        session.execute(f"INSERT INTO {CASES_BEFORE} BY NAME SELECT {', '.join(COLUMNS)} FROM {_file(file)}")


def find_cases(session: Session, suite: Suite, category: Category, batch: CaseBatch, rejects: Path) -> None:
    """Create the tables ``row_keys`` and ``found_cases``: the problems of this batch, one line per case.

    A problem is a finding with severity block or warn. It belongs to a row, to a line that could not be decoded
    (recognised by its bytes) or to the files as a whole. Reads what :func:`create_row_keys` reads, ``cases_before`` and
    ``corrected_rows`` (row_no).
    """
    create_row_keys(session, category)
    _describe_rules(session, suite)
    session.execute(
        f"""
        CREATE OR REPLACE TABLE {FOUND} AS
        WITH said AS (
            SELECT row_no, extract, sheet, line, rule, field, observed, false AS is_waived FROM findings
            UNION ALL
            SELECT row_no, s.extract, s.sheet, s.line, v.rule, NULL, NULL, true
            FROM (SELECT row_no, unnest(waived) AS rule FROM verdicts WHERE len(waived) > 0) v
            JOIN standard s USING (row_no)
        ),
        lines AS (
            SELECT extract, sheet, line, rule, min(sha256(bytes)) AS bytes_hash FROM {_file(rejects)} GROUP BY ALL
        ),
        keyed_findings AS (
            SELECT said.* REPLACE (coalesce(said.field, r.field) AS field), r.severity, r.owner, r.version,
                   CASE WHEN said.row_no IS NOT NULL THEN 'row' WHEN l.rule IS NOT NULL THEN 'line' ELSE 'file' END
                       AS kind,
                   CASE WHEN said.row_no IS NOT NULL THEN k.row_key
                        WHEN l.rule IS NOT NULL THEN sha256('line' || chr(31) || l.bytes_hash)
                        ELSE sha256(concat_ws(chr(31), 'file', coalesce(said.sheet, '')))
                   END AS row_key
            FROM said JOIN {RULES} r ON r.code = said.rule
            LEFT JOIN {ROW_KEYS} k ON k.row_no = said.row_no AND NOT k.is_alias
            LEFT JOIN lines l ON said.row_no IS NULL AND l.extract = said.extract AND l.line = said.line
                AND l.rule = said.rule AND l.sheet IS NOT DISTINCT FROM said.sheet
            WHERE r.is_problem
        )
        SELECT sha256(concat_ws(chr(31), $feed, row_key, rule, coalesce(field, ''))) AS case_key,
               row_key, rule, field, any_value(version) AS rule_version, any_value(severity) AS severity,
               any_value(owner) AS owner, any_value(kind) AS kind, bool_and(is_waived) AS is_waived,
               min_by(extract, place) AS extract, min_by(sheet, place) AS sheet, min_by(line, place) AS line,
               min(row_no) AS row_no, min_by(observed, place) AS observed
        FROM (SELECT *, coalesce(row_no, line, 0) AS place FROM keyed_findings)
        GROUP BY row_key, rule, field
        """,
        {"feed": batch.feed},
    )


def update_cases(session: Session, batch: CaseBatch) -> int:
    """Create the table ``cases`` from ``cases_before`` and ``found_cases``; returns how many are open.

    Columns are those of ``COLUMNS``. ``state``: ``open``; ``waived``; ``verified`` (the row was judged without it);
    ``gone`` (a full dump, or the batch itself run again, holds the row no more). What a later business date says about
    a row (``judged_on``) holds against any earlier one, in whatever order the batches are published. ``how`` a case was
    closed: ``source``, ``workbook``, ``waived``, ``gone`` or ``rule`` (nobody asks for it any more). Days open count
    from ``opened_on``, which a case that comes back begins anew. The same batch once more changes nothing.

    ``later_verdicts`` (case_key, day, said) is what batches of later dates know about rows that had no case before.
    Closed cases are kept for 400 days, so that what comes back is known.
    """
    day = f"DATE '{batch.business_date.isoformat()}'"
    run = literal(batch.run)
    identity = ["match_key", "document_key", "content_hash", "code_hash", "rest_hash", "decision_date"]
    seen = ", ".join(f"min_by({name}, row_no) AS {name}" for name in identity)
    # What a batch says replaces what is stored only when no later date has spoken.
    stated = ", ".join(
        f"if(is_found AND speaks, f_{name}, {name}) AS {name}"
        for name in ("extract", "sheet", "line", "row_no", "observed", "rule_version", "severity", "owner")
    )
    joined = ", ".join(
        f"f.{name} AS f_{name}"
        for name in ("extract", "sheet", "line", "row_no", "observed", "rule_version", "severity", "owner")
    )
    known = ", ".join(f"if(speaks AND is_present AND NOT is_alias, p_{name}, {name}) AS {name}" for name in identity)
    joined_identity = ", ".join(f"p.{name} AS p_{name}" for name in identity)
    kept = ", ".join(f"b.{name}" for name in COLUMNS if name not in {"case_key", "row_key", "rule", "field", "kind"})
    session.execute(
        f"""
        CREATE OR REPLACE TABLE {CASES} AS
        WITH present AS (
            SELECT row_key, bool_and(is_excluded) AS is_excluded, bool_and(is_alias) AS is_alias,
                   bool_or(row_no IN (SELECT row_no FROM {CORRECTED_ROWS})) AS is_corrected, {seen}
            FROM {ROW_KEYS} GROUP BY row_key
        ),
        paired AS (
            SELECT case_key, coalesce(b.row_key, f.row_key) AS row_key, coalesce(b.rule, f.rule) AS rule,
                   coalesce(b.field, f.field) AS field, coalesce(b.kind, f.kind) AS kind, {kept}, {joined},
                   f.case_key IS NOT NULL AS is_found, b.case_key IS NULL AS is_new,
                   coalesce(f.is_waived, false) AS is_waived
            FROM {FOUND} f FULL JOIN {CASES_BEFORE} b USING (case_key)
        ),
        heard AS (
            SELECT paired.*, {joined_identity}, p.row_key IS NOT NULL AS is_present, p.is_alias,
                   coalesce(p.is_corrected, false) AS is_corrected,
                   is_new OR {day} >= judged_on AS speaks, l.day AS later_day, l.said AS later_said,
                   CASE WHEN is_found THEN if(is_waived, 'waived', 'open')
                        WHEN {day} < judged_on THEN NULL
                        WHEN rule NOT IN (SELECT code FROM {RULES} WHERE is_problem) THEN 'rule'
                        WHEN p.is_excluded THEN 'gone'
                        WHEN p.row_key IS NOT NULL OR kind = 'file' THEN 'verified'
                        WHEN {str(batch.full).lower()} OR (judged_on = {day} AND first_seen = {day})
                        THEN if(kind = 'line', 'verified', 'gone')
                   END AS said
            FROM paired LEFT JOIN present p USING (row_key) LEFT JOIN {LATER} l USING (case_key)
        ),
        changed AS (
            SELECT *,
                   is_found AND speaks AND NOT is_new AND said = 'open' AND state <> 'open' AND closed_on < {day}
                       AS comes_back,
                   CASE WHEN is_new AND later_said IN ('verified', 'gone') THEN later_said
                        WHEN said IS NULL OR NOT speaks THEN state
                        WHEN is_found THEN said
                        WHEN state IN ('verified', 'gone') THEN state
                        WHEN said = 'rule' THEN 'verified'
                        ELSE said
                   END AS new_state
            FROM heard
        ),
        dated AS (
            SELECT *,
                   new_state <> 'open' AND (is_new OR state = 'open') AS closes, new_state = 'open' AS is_open
            FROM changed
        )
        SELECT case_key, row_key, rule, field, kind, new_state AS state, {stated}, {known},
               if(is_found AND speaks, {run}, run) AS run,
               if(is_found, least(first_seen, {day}), first_seen) AS first_seen,
               if(is_found, greatest(last_seen, {day}), last_seen) AS last_seen,
               CASE WHEN is_new OR comes_back THEN {day}
                    WHEN is_found AND reopened = 0 AND state = 'open' THEN least(opened_on, {day})
                    ELSE opened_on
               END AS opened_on,
               if(said IS NULL, judged_on, greatest(judged_on, {day}, later_day)) AS judged_on,
               CASE WHEN is_open THEN NULL WHEN closes THEN coalesce(later_day, {day}) ELSE closed_on END AS closed_on,
               CASE WHEN is_open THEN NULL
                    WHEN NOT closes THEN how
                    WHEN new_state = 'waived' THEN 'waived'
                    WHEN new_state = 'gone' THEN 'gone'
                    WHEN said = 'rule' THEN 'rule'
                    WHEN is_corrected THEN 'workbook'
                    ELSE 'source'
               END AS how,
               coalesce(reopened, 0) + comes_back::INTEGER AS reopened,
               coalesce(first_run, {run}) AS first_run,
               CASE WHEN is_open THEN NULL WHEN closes THEN {run} ELSE closed_run END AS closed_run,
               CASE WHEN NOT is_present OR NOT speaks THEN corrected_run
                    WHEN is_corrected THEN coalesce(corrected_run, {run})
               END AS corrected_run
        FROM dated
        WHERE new_state IN ('open', 'waived') OR coalesce(closed_on, {day}) >= {day} - {KEPT_DAYS}
        """
    )
    return int(session.one(f"SELECT count(*) FROM {CASES} WHERE state = 'open'")[0])


def write_cases(session: Session, file: Path) -> None:
    """Write ``cases`` to a file, the columns in the order of ``COLUMNS``."""
    session.write_parquet(f"SELECT {', '.join(COLUMNS)} FROM {CASES} ORDER BY rule, field, case_key", file)


def _describe_rules(session: Session, suite: Suite) -> None:
    session.execute(
        f"CREATE OR REPLACE TABLE {RULES} "
        "(code VARCHAR, field VARCHAR, severity VARCHAR, owner VARCHAR, dimension VARCHAR, version INTEGER, "
        "is_problem BOOLEAN)"
    )
    values = ", ".join(
        f"({literal(rule.code)}, {literal(rule.field) if rule.field else 'NULL'}, {literal(rule.severity)}, "
        f"{literal(rule.owner)}, {literal(rule.dimension)}, {rule.version}, {rule.severity != 'info'})"
        for rule in (*suite.rules, *suite.batch_rules)
    )
    session.execute(f"INSERT INTO {RULES} VALUES {values}")


def _file(path: Path) -> str:
    return f"read_parquet({file_literal(path)})"
