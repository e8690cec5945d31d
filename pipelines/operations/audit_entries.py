"""What the hash chain says about a published run, written with its publication and read again by the audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.intake.landing import landed_path
from pipelines.ledger import chain
from pipelines.ledger.database import now
from pipelines.ledger.models import Extract, Run
from pipelines.ledger.operation_models import ChainEntry
from pipelines.ledger.quality_models import Resubmission
from pipelines.operations.attempts import run_folder
from pipelines.operations.audit_files import FileMark, marks_of, place_of
from pipelines.operations.context import Context
from pipelines.operations.corrections import CORRECTIONS_FILE, REFUSED_FILE
from pipelines.operations.fingerprint import configuration_hash
from pipelines.operations.waiving import waiver_marks

INSTALLATION = "installation"
# Columns of a run that never change after its publication, and those of its extracts.
FACTS = ("feed", "category", "attempt", "fingerprint", "rules_hash")
COUNTS = (
    "rows_decoded", "lines_undecoded", "accepted", "duplicate", "quarantined", "blocked", "excluded", "new", "changed",
    "unchanged", "outdated", "late", "repairs",
)  # fmt: skip
EXTRACT_FACTS = ("position", "sha256", "bytes", "rows_decoded", "lines_undecoded")


@dataclass(frozen=True)
class Claim:
    """What one entry says about one run: its columns, its extracts, its files."""

    position: int
    run: str
    facts: dict[str, Any]
    extracts: list[dict[str, Any]]
    files: list[FileMark]


@dataclass(frozen=True)
class Prepared:
    """What an entry needs and what takes time to find: all but the ledger's own columns.

    ``before`` is what the installation had published before its chain began; None once it has begun.
    """

    files: list[FileMark]
    configuration: str
    corrections: list[str]
    waivers: list[str]
    before: list[dict[str, Any]] | None


def prepare_entry(context: Context, run: Run) -> Prepared:
    """Hash what a run has written. To be called before the publishing transaction, after the last file is written."""
    feed = context.catalogue.feed(run.feed)
    corrections = _workbooks(context, run)
    with context.ledger.read() as ledger:
        landed = _landed(context, ledger, run, corrections)
        has_begun = chain.head(ledger)[0] > 0
    return Prepared(
        files=[*landed, *marks_of(context, [*store_files(context, run), run_folder(context, run.id)])],
        configuration=configuration_hash(context, feed),
        corrections=corrections,
        waivers=waiver_marks(context, run.feed, run.business_date),
        before=None if has_begun else _before(context),
    )


def append_run(ledger: LedgerSession, run: Run, prepared: Prepared) -> ChainEntry:
    """Add a run to the chain in the transaction that publishes it, as its last step.

    The first entry of a chain is ``start``, which lists what was published before there was one.
    """
    if chain.lock(ledger).position == 0:
        chain.append(ledger, chain.START, INSTALLATION, {"runs": prepared.before}, now())
    content = {
        **_content(ledger, run, prepared.files),
        "program": version("guiji"),
        "configuration": prepared.configuration,
        "corrections": prepared.corrections,
        "waivers": prepared.waivers,
    }
    return chain.append(ledger, chain.RUN, run.id, content, now())


def claims_of(entry: ChainEntry) -> list[Claim]:
    """What an entry says about runs; nothing for a removal. Raises ValueError when it cannot be read."""
    try:
        content = json.loads(entry.content)
        told = {chain.RUN: [content], chain.START: content.get("runs", [])}.get(entry.kind, [])
        return [
            Claim(
                entry.position,
                one["run"],
                {name: one[name] for name in ("business_date", "published_at", *FACTS)} | one["counts"],
                one["extracts"],
                [FileMark.from_json(mark) for mark in one["files"]],
            )
            for one in told
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the entry is not what a program of this kind writes") from error


def facts_of(run: Any) -> dict[str, Any]:
    """The columns of a run (or of a row that has them) in the form in which an entry tells them."""
    return {
        "business_date": run.business_date.isoformat(),
        "published_at": run.finished_at.isoformat(timespec="microseconds") if run.finished_at else None,
        **{name: getattr(run, name) for name in (*FACTS, *COUNTS)},
    }


def extract_facts(extract: Any) -> dict[str, Any]:
    """An extract in the form in which an entry tells it. Its name may be a person's: only its hash is kept for ever."""
    name_hash = hashlib.sha256(extract.name.encode()).hexdigest()
    return {"name_sha256": name_hash, **{name: getattr(extract, name) for name in EXTRACT_FACTS}}


def store_files(context: Context, run: Any) -> Iterator[Path]:
    """Where the versions and the findings of a run (or of a row that has its columns) lie, if there are any."""
    if run.category in context.stores:
        yield context.stores[run.category].file_of(run.feed, run.id)
    yield context.findings.file_of(run)


def _content(ledger: LedgerSession, run: Run, files: Sequence[FileMark]) -> dict[str, Any]:
    facts = facts_of(run)
    counts = {name: facts.pop(name) for name in COUNTS}
    extracts = ledger.scalars(select(Extract).where(Extract.run == run.id).order_by(Extract.position))
    return {
        "run": run.id,
        **facts,
        "counts": counts,
        "extracts": [extract_facts(extract) for extract in extracts],
        "files": [mark.as_json() for mark in files],
    }


def _before(context: Context) -> list[dict[str, Any]]:
    """Runs published before the chain began, oldest first; of their files those of the store and of the landing."""
    query = select(Run).where(Run.state == "published").order_by(Run.finished_at, Run.id)
    found = []
    with context.ledger.read() as ledger:
        for run in ledger.scalars(query).all():
            files = [*_landed(context, ledger, run, []), *marks_of(context, store_files(context, run))]
            found.append(_content(ledger, run, files))
    return found


def _landed(context: Context, ledger: LedgerSession, run: Run, workbooks: Iterable[str]) -> list[FileMark]:
    """Extracts and corrected workbooks of a run in the landing: named by their hash, so it need not be taken again."""
    extracts = ledger.execute(select(Extract.sha256, Extract.bytes).where(Extract.run == run.id))
    returned = select(Resubmission.sha256, Resubmission.bytes).where(Resubmission.sha256.in_(list(workbooks)))
    sizes: dict[str, int] = {}
    for sha256, size in (*extracts, *ledger.execute(returned)):
        # Of an extract that a batch holds twice only the first has a size in the ledger.
        sizes[sha256] = max(size, sizes.get(sha256, 0))
    landing = context.settings.landing
    return [FileMark(place_of(context, landed_path(landing, sha)), sha, size) for sha, size in sizes.items()]


def _workbooks(context: Context, run: Run) -> list[str]:
    """SHA-256 of the corrected workbooks that were laid over the rows of a run."""
    files = [run_folder(context, run.id) / name for name in (CORRECTIONS_FILE, REFUSED_FILE)]
    tables = [pq.read_table(file, columns=["workbook"]) for file in files if file.is_file()]
    return sorted({str(name) for table in tables for name in table.column("workbook").to_pylist()})
