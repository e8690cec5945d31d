"""Cases: every finding that is open for a feed, carried from one published batch to the next."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session, file_literal
from pipelines.errors import StorageError
from pipelines.intake.changes import BROKEN_DUMP
from pipelines.ledger.models import Batch, Run
from pipelines.operations.attempts import run_folder
from pipelines.operations.context import Context
from pipelines.quality.cases import CORRECTED_ROWS, FOUND, LATER, CaseBatch, find_cases, load_cases, update_cases
from pipelines.quality.rules import Suite
from pipelines.quality.stored_findings import STORED_FINDINGS, create_stored_findings

CASES_FILE = "cases.parquet"
FINDINGS_FILE = "findings.parquet"
CORRECTIONS_FILE = "corrections.parquet"
OUTCOMES_FILE = "outcomes.parquet"
REJECTS_FILE = "rejects.parquet"


def create_cases(context: Context, session: Session, feed: Feed, run: Run, suite: Suite, before: str | None) -> None:
    """Make the table ``cases`` of a judged run from its findings and the cases of the run ``before``.

    Raises :class:`StorageError` when the files of ``before`` are gone: all that is open for the feed stands there.
    """
    folder = run_folder(context, run.id)
    broken = session.one("SELECT count(*) FROM findings WHERE rule = $rule", {"rule": BROKEN_DUMP})[0]
    batch = CaseBatch(feed.feed, run.id, run.business_date, feed.dump == "full" and not broken)
    load_cases(session, _cases_before(context, before))
    _load_corrected_rows(session, folder / CORRECTIONS_FILE)
    find_cases(session, suite, context.catalogue.category_of(feed), batch, folder / REJECTS_FILE)
    _hear_later_batches(context, session, feed, run)
    update_cases(session, batch)


def write_findings(context: Context, session: Session, feed: Feed, run: Run, folder: Path) -> None:
    """Write the findings of a judged run beside the table of findings, and into its folder."""
    create_stored_findings(session, run.id, run.business_date, feed.department, feed.category)
    context.findings.write(session, STORED_FINDINGS, run, folder / FINDINGS_FILE)


def _cases_before(context: Context, before: str | None) -> Path | None:
    """The cases of a run; None for the first run of a feed, and after one that was judged when no cases were kept."""
    if before is None:
        return None
    folder = run_folder(context, before)
    file = folder / CASES_FILE
    if file.is_file():
        return file
    if not folder.is_dir():
        raise StorageError(
            "the folder of the feed's last published run is missing, and with it what is open for the feed",
            file=folder,
            remedy="restore it from a backup",
        )
    return None


def _load_corrected_rows(session: Session, file: Path) -> None:
    session.execute(f"CREATE OR REPLACE TABLE {CORRECTED_ROWS} (row_no BIGINT)")
    if file.is_file():
        session.execute(
            f"INSERT INTO {CORRECTED_ROWS} SELECT DISTINCT row_no FROM read_parquet({file_literal(file)}) "
            "WHERE row_no IS NOT NULL"
        )


def _hear_later_batches(context: Context, session: Session, feed: Feed, run: Run) -> None:
    """Create ``later_verdicts``: of new cases, what the newest of the later batches that knows their row says.

    A batch that comes late may find what the department has long mended. Rows are recognised in the outcomes of those
    batches by their document number, or by their content where there is none.
    """
    session.execute(f"CREATE OR REPLACE TABLE {LATER} (case_key VARCHAR, day DATE, said VARCHAR)")
    query = (
        select(Run).join(Batch, Batch.run == Run.id).where(Run.feed == feed.feed, Run.business_date > run.business_date)
    )
    with context.ledger.read() as ledger:
        later = list(ledger.scalars(query))
    files = [(run_folder(context, one.id) / OUTCOMES_FILE, one.business_date) for one in later]
    files = [(file, day) for file, day in files if file.is_file()]
    if not files:
        return
    dumps = [one.business_date for one in later if feed.dump == "full" and not _is_broken(one)]
    union = " UNION ALL ".join(
        f"SELECT DATE '{day.isoformat()}' AS day, document_key, content_hash, reasons "
        f"FROM read_parquet({file_literal(file)})"
        for file, day in files
    )
    newest = max(day for _, day in files).isoformat()
    session.execute(
        f"""
        INSERT INTO {LATER}
        WITH fresh AS (
            SELECT f.case_key, f.rule, f.kind, k.document_key, k.content_hash
            FROM {FOUND} f LEFT JOIN row_keys k ON k.row_no = f.row_no AND NOT k.is_alias
            WHERE f.case_key NOT IN (SELECT case_key FROM cases_before)
        ),
        stated AS ({union}),
        matched AS (
            SELECT case_key, rule, day, reasons FROM fresh JOIN stated USING (document_key)
            UNION ALL
            SELECT case_key, rule, day, reasons FROM fresh JOIN stated USING (content_hash)
            WHERE fresh.document_key IS NULL
        ),
        said AS (
            SELECT case_key, max(day) AS day,
                   if(max_by(is_broken, day), 'open', 'verified') AS said
            FROM (
                SELECT case_key, day, bool_or(list_contains(reasons, rule)) AS is_broken FROM matched GROUP BY ALL
            ) GROUP BY case_key
        )
        SELECT case_key, day, said FROM said
        UNION ALL
        SELECT case_key, DATE '{newest}', 'verified' FROM fresh WHERE kind = 'file'
        """
    )
    if dumps:
        session.execute(
            f"INSERT INTO {LATER} SELECT case_key, $day, 'gone' FROM {FOUND} "
            f"WHERE case_key NOT IN (SELECT case_key FROM {LATER}) "
            "AND case_key NOT IN (SELECT case_key FROM cases_before)",
            {"day": max(dumps)},
        )


def _is_broken(run: Run) -> bool:
    """Whether a full dump lacked too many records to be believed."""
    return bool(((run.manifest or {}).get("dump") or {}).get("broken"))
