"""The department workbook: what a clerk gets, mends in Excel or WPS and sends back."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path

from sqlalchemy import select
from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxFileError

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session
from pipelines.errors import StorageError
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import DeliveryFinding, Outbox, Run
from pipelines.reporting import file_sheets, workbook_pages
from pipelines.reporting.batches import of_batch
from pipelines.reporting.file_findings import file_finding_lines
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.problem_lines import create_lines, read_lines
from pipelines.reporting.run_files import run_files
from pipelines.reporting.sheets import LINES_PER_SHEET, Formats
from pipelines.reporting.source_columns import source_columns_of_fields
from pipelines.reporting.withdrawals import Withdrawal
from pipelines.reporting.words import RuleTexts
from pipelines.settings import Settings

_READ_ONLY_TO_ALL_BUT_US = 0o600


def write_workbook(
    session: Session,
    settings: Settings,
    ledger: Ledger,
    feed: Feed,
    category: Category,
    figures: FeedFigures,
    rule_texts: RuleTexts,
    endpoint_names: Mapping[str, str],
    contact: str | None,
    path: Path,
    *,
    withdrawals: Sequence[Withdrawal] = (),
    lines_per_sheet: int = LINES_PER_SHEET,
) -> int:
    """Write the workbook of one published batch to ``path``, atomically; returns the lines in it.

    Nothing is written, and 0 returned, when there is nothing to do: no problem row, no warning, no undecodable line, no
    rejection by a receiver, nothing wrong with the files, no withdrawal to confirm. The same batch gives the same
    bytes. Memory does not grow with the lines. Raises :class:`StorageError` when the disk refuses or a file of the run
    is missing.
    """
    if figures.run is None:
        raise ValueError(f"the batch of {figures.feed} has no published run")
    with ledger.read() as ledger_session:
        run = ledger_session.get_one(Run, figures.run)
        rejections = ledger_session.scalars(
            select(DeliveryFinding).join(Outbox, Outbox.id == DeliveryFinding.outbox_id).where(of_batch(run))
        ).all()
    files = run_files(settings, run)
    counts = create_lines(session, files, rejections)
    about_files = file_finding_lines(figures.file_findings, rule_texts)
    total = counts["block"] + counts["warn"] + run.lines_undecoded + len(withdrawals)
    total += sum(finding.severity != "info" for finding in about_files)
    if total == 0:
        return 0
    columns = files.source_columns()
    layout = workbook_pages.Layout(
        source_headers=columns,
        positions=source_columns_of_fields(feed, category, files),
        field_names={field.code: field.name_zh for field in category.fields},
        rule_texts=rule_texts,
        endpoint_names=endpoint_names,
        lines_per_sheet=lines_per_sheet,
    )
    with _new_book(path, settings.scratch, figures) as book:
        formats = Formats(book)
        workbook_pages.problem_sheet(book, formats, layout, read_lines(session, files, "block"), figures)
        if counts["warn"]:
            workbook_pages.warning_sheet(book, formats, layout, read_lines(session, files, "warn"))
        if run.lines_undecoded:
            rejects = session.batches(
                f"SELECT extract_name, sheet, line, rule, expected_cells, actual_cells, bytes FROM {files.rejects} "
                "ORDER BY extract_name, extract, sheet, line, rule"
            )
            rows = (row for batch in rejects for row in batch.to_pylist())
            workbook_pages.reject_sheet(book, formats, layout, rows)
        if about_files:
            file_sheets.file_sheet(book, formats, about_files)
        if withdrawals:
            file_sheets.withdrawal_sheet(book, formats, withdrawals)
        workbook_pages.summary_sheet(book, formats, layout, figures)
        workbook_pages.help_sheet(book, formats, figures, contact)
    return total


@contextmanager
def _new_book(path: Path, scratch: Path, figures: FeedFigures) -> Iterator[Workbook]:
    """A workbook that appears under ``path`` when it is whole, and not at all when anything fails."""
    folder: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="workbook-", dir=scratch)
        beside = path.with_name(f".{path.name}.writing")
        book = Workbook(
            str(beside),
            {
                "constant_memory": True,
                "tmpdir": folder,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
            },
        )
        book.set_properties(
            {
                "title": f"{figures.department_name} {figures.category_name} 问题清单",
                "author": "归集",
                "company": "",
                # Not the time of writing: the same batch gives the same bytes.
                "created": datetime.combine(figures.business_date, time()),
            }
        )
        try:
            yield book
            book.close()
            beside.chmod(_READ_ONLY_TO_ALL_BUT_US)
            os.replace(beside, path)  # noqa: PTH105 - says what is meant: replace, on every platform
        finally:
            book.fileclosed = True
            beside.unlink(missing_ok=True)
    except (OSError, XlsxFileError) as error:
        raise StorageError(
            f"the workbook cannot be written ({type(error).__name__})",
            file=path,
            remedy="free disk space or mend permissions, then make the report again",
        ) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
