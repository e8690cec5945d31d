"""The report site of one business date: an index, a page per department and batch, and the workbooks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.catalogue.catalogue import Catalogue
from pipelines.engine.duck import Session
from pipelines.errors import StorageError
from pipelines.ledger.database import Ledger
from pipelines.reporting.details import batch_details
from pipelines.reporting.metrics import FeedFigures, department_figures, feed_figures
from pipelines.reporting.scorecard import department_page, feed_page, index_page
from pipelines.reporting.withdrawals import Withdrawal
from pipelines.reporting.words import RuleTexts
from pipelines.reporting.workbook import write_workbook
from pipelines.settings import Settings

Progress = Callable[[int, int, str], None]
"""Steps done, steps in all, what comes next."""


@dataclass(frozen=True)
class ReportPaths:
    """What was written: the index, every page (the index among them) and the workbooks by feed."""

    index: Path
    pages: tuple[Path, ...]
    workbooks: dict[str, Path]
    figures: tuple[FeedFigures, ...]


def build(
    session: Session,
    settings: Settings,
    catalogue: Catalogue,
    ledger: Ledger,
    rule_texts: RuleTexts,
    business_date: date,
    progress: Progress | None = None,
    withdrawals: Sequence[Withdrawal] = (),
) -> ReportPaths:
    """Write ``<reports>/<business date>/``: ``index.html`` and per department ``index.html``, pages, workbooks.

    Every feed of the catalogue has a page, also one without data: that is what must be seen first. ``withdrawals`` are
    the proposals of all feeds on that date. Each file appears whole or not at all; pages and workbooks of an earlier
    build that no longer apply are removed at the end. The same published batches give the same bytes. Raises
    :class:`StorageError` when the disk refuses or a file of a run is missing.
    """
    report = progress or (lambda _done, _total, _what: None)
    folder = settings.reports / business_date.isoformat()
    feeds = catalogue.feed_codes
    steps = 2 * len(feeds) + 1
    figures = []
    for done, code in enumerate(feeds):
        report(done, steps, code)
        figures.append(feed_figures(session, settings, catalogue, ledger, code, business_date))
    endpoint_names = {endpoint.endpoint: endpoint.name_zh for endpoint in catalogue.endpoints.values()}
    pages: list[Path] = []
    workbooks: dict[str, Path] = {}
    for done, batch in enumerate(figures, start=len(feeds)):
        report(done, steps, batch.feed)
        details = None
        proposed = [one for one in withdrawals if one.feed == batch.feed]
        workbook = folder / batch.department / f"{batch.feed}.xlsx"
        if batch.run is not None:
            feed = catalogue.feed(batch.feed)
            category = catalogue.category_of(feed)
            details = batch_details(session, settings, ledger, feed, category, batch.run)
        if batch.reasons is not None and batch.run is not None:
            contact = catalogue.department_of(feed).contact
            lines = write_workbook(
                session,
                settings,
                ledger,
                feed,
                category,
                batch,
                rule_texts,
                endpoint_names,
                contact,
                workbook,
                withdrawals=proposed,
            )
            if lines:
                workbooks[batch.feed] = workbook
        page = feed_page(
            batch,
            details,
            rule_texts,
            endpoint_names=endpoint_names,
            workbook=workbook.name if batch.feed in workbooks else None,
            withdrawals=proposed,
        )
        pages.append(_write(folder / batch.department / f"{batch.feed}.html", page))
    report(steps - 1, steps, "index")
    departments = department_figures(figures)
    for department in departments:
        page = department_page(department, rule_texts, tuple(workbooks))
        pages.append(_write(folder / department.department / "index.html", page))
    index = _write(folder / "index.html", index_page(departments, business_date, tuple(workbooks)))
    _remove_stale(folder, {index, *pages, *workbooks.values()})
    report(steps, steps, "done")
    return ReportPaths(index, (index, *pages), workbooks, tuple(figures))


def _write(path: Path, text: str) -> Path:
    """Write a page beside its place and rename it."""
    beside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        beside = Path(temporary)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as page:
            page.write(text)
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        raise StorageError(
            f"the page cannot be written: {error.strerror}",
            file=path,
            remedy="free disk space or mend permissions, then make the report again",
        ) from error
    return path


def _remove_stale(folder: Path, written: set[Path]) -> None:
    """Remove pages and workbooks that this build did not write: a mended batch has no workbook any more."""
    for pattern in ("*/*.html", "*/*.xlsx"):
        for path in folder.glob(pattern):
            if path not in written and not path.name.startswith("."):
                path.unlink(missing_ok=True)
