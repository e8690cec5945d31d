"""The department workbook: what a clerk gets, mends in Excel or WPS and sends back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Select, select
from xlsxwriter import Workbook

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.correctable import correction_targets
from pipelines.catalogue.correction_form import META_SHEET, WorkbookMeta
from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import DeliveryFinding, Outbox, Run
from pipelines.ledger.quality_models import Task
from pipelines.reporting import file_sheets, workbook_pages
from pipelines.reporting.batches import of_batch, superseded
from pipelines.reporting.choices import Choices
from pipelines.reporting.cover_sheet import cover_sheet
from pipelines.reporting.file_findings import file_finding_lines
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.problem_lines import LINES, create_lines, read_lines
from pipelines.reporting.problem_sheets import Layout, problem_sheets, sheet_names
from pipelines.reporting.run_files import run_files
from pipelines.reporting.sheets import LINES_PER_SHEET, Formats
from pipelines.reporting.source_columns import source_columns_of_fields
from pipelines.reporting.whole_workbook import new_workbook
from pipelines.reporting.withdrawals import Withdrawal
from pipelines.reporting.words import RuleTexts
from pipelines.settings import Settings


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
        rejections = ledger_session.scalars(_rejections(run)).all()
        tasks = {
            (task.rule, task.field): task.reference
            for task in ledger_session.scalars(select(Task).where(Task.feed == feed.feed))
        }
    files = run_files(settings, run)
    files.check_rows()
    kinds = create_lines(session, files, rejections)
    problem_rows = session.one(f"SELECT count(DISTINCT row_no) FROM {LINES} WHERE severity = 'block'")[0]
    about_files = file_finding_lines(figures.file_findings, rule_texts)
    total = sum(kind.lines for kind in kinds) + run.lines_undecoded + len(withdrawals)
    total += sum(finding.severity != "info" for finding in about_files)
    if total == 0:
        return 0
    targets = [correction_targets(part.columns, feed.for_extract(part.extract_name), category) for part in files.parts]
    layout = Layout(
        source_headers=files.source_columns(),
        positions=source_columns_of_fields(feed, category, files),
        field_names={field.code: field.name_zh for field in category.fields},
        rule_texts=rule_texts,
        endpoint_names=endpoint_names,
        lines_per_sheet=lines_per_sheet,
        targets=targets,
        tasks=tasks,
    )
    layout = replace(layout, names=sheet_names(layout, kinds))
    correctable = [
        code for code in category.field_codes if any(found[code].obstacle is None for found in targets if code in found)
    ]
    choices = Choices(feed, category, load_catalogue(settings).code_lists, correctable)
    meta = WorkbookMeta(figures.feed, figures.business_date, run.fingerprint or "")
    title = f"{figures.department_name} {figures.category_name} 问题清单"
    with new_workbook(path, settings.scratch, title, figures.business_date) as book:
        formats = Formats(book)
        cover_sheet(book, formats, layout, figures, kinds, contact, problem_rows)
        problem_sheets(book, formats, layout, kinds, read_lines(session, files, meta.digest), choices)
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
        choices.write(book)
        _meta_sheet(book, meta)
    return total


def _rejections(run: Run) -> Select[DeliveryFinding]:
    """What receivers sent back of a batch and nothing has replaced since."""
    return (
        select(DeliveryFinding)
        .join(Outbox, Outbox.id == DeliveryFinding.outbox_id)
        .where(of_batch(run), ~superseded())
        .order_by(DeliveryFinding.id)
    )


def _meta_sheet(book: Workbook, meta: WorkbookMeta) -> None:
    """What a returned workbook is recognised by; hidden so that nobody deletes it by mistake."""
    sheet = book.add_worksheet(META_SHEET)
    for row, (name, value) in enumerate(meta.items()):
        sheet.write_string(row, 0, name)
        sheet.write_string(row, 1, value)
    sheet.protect("")
    sheet.very_hidden()
