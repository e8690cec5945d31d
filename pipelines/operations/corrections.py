"""Corrections: what departments wrote into workbooks that came back, applied to the rows of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select

from pipelines.catalogue.correctable import correction_targets
from pipelines.engine.duck import Session, file_literal, identifier
from pipelines.engine.rows import RowsPart, sent_beside
from pipelines.errors import StorageError
from pipelines.intake.corrected_workbook import read_corrected
from pipelines.intake.landing import landed_path
from pipelines.ledger.quality_models import Resubmission
from pipelines.operations.context import Context
from pipelines.operations.correction_matching import Answer, Cells, read_answers

CORRECTIONS_FILE, REFUSED_FILE = "corrections.parquet", "corrections_refused.parquet"
_OVERLAY = "correction_overlay"
_CORRECTIONS_FIELDS: dict[str, pa.DataType] = {
    "row_no": pa.int64(),
    "field": pa.string(),
    "source_column": pa.string(),
    "old_value": pa.string(),
    "new_value": pa.string(),
    "workbook": pa.string(),
    "book_sheet": pa.string(),
    "book_row": pa.int64(),
    "by": pa.string(),
}
_CORRECTIONS = pa.schema(_CORRECTIONS_FIELDS)
_REFUSED_FIELDS: dict[str, pa.DataType] = {
    "workbook": pa.string(),
    "book_sheet": pa.string(),
    "book_row": pa.int64(),
    "cell": pa.string(),
    "reference": pa.string(),
    "field": pa.string(),
    "reason": pa.string(),
}
_REFUSED = pa.schema(_REFUSED_FIELDS)


def correction_hashes(context: Context, feed: str, business_date: date) -> tuple[str, ...]:
    """SHA-256 of the workbooks that came back for a batch, in the order in which they count."""
    return tuple(resubmission.sha256 for resubmission in _resubmissions(context, feed, business_date))


def apply_corrections(
    context: Context, session: Session, feed: str, business_date: date, parts: Sequence[RowsPart], folder: Path
) -> None:
    """Rewrite the rows files of a run with the corrected cells; what changed stands in ``corrections.parquet``.

    Workbooks are read again from the landing, in the order in which they came; the later one wins. The rows as they
    were sent stay beside the rewritten ones (:func:`sent_beside`). What could not be applied stands in
    ``corrections_refused.parquet`` with the code of its reason. A batch for which nothing came back is left alone.
    Raises :class:`StorageError` when the landing no longer has a workbook.
    """
    resubmissions = _resubmissions(context, feed, business_date)
    if not resubmissions:
        return
    described = context.catalogue.feed(feed)
    category = context.catalogue.category_of(described)
    targets = [correction_targets(part.columns, described.for_extract(part.extract_name), category) for part in parts]
    names = {field.name_zh: field.code for field in category.fields}
    cells = Cells()
    applied: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for resubmission in resubmissions:
        path = landed_path(context.settings.landing, resubmission.sha256)
        if not path.exists():
            raise StorageError(
                f"the landing no longer has the corrected workbook {resubmission.name}",
                remedy="restore the landing from a backup, or put the workbook back under its name",
                file=path,
            )
        book = read_corrected(path, resubmission.name)
        answers = read_answers(session, book, parts, targets, names, cells)
        refused += [_refused(resubmission, answer) for answer in answers if answer.refusal is not None]
        accepted = [answer for answer in answers if answer.refusal is None]
        applied += _lay_over(session, parts, resubmission, accepted, cells)
    _write(applied, _CORRECTIONS, folder / CORRECTIONS_FILE)
    _write(refused, _REFUSED, folder / REFUSED_FILE)
    _rewrite(session, parts, cells)


def _resubmissions(context: Context, feed: str, business_date: date) -> list[Resubmission]:
    query = select(Resubmission).where(Resubmission.feed == feed, Resubmission.business_date == business_date)
    with context.ledger.read() as session:
        return list(session.scalars(query.order_by(Resubmission.position)))


def _lay_over(
    session: Session, parts: Sequence[RowsPart], resubmission: Resubmission, answers: Sequence[Answer], cells: Cells
) -> list[dict[str, Any]]:
    """Corrections of one workbook; an answer that says what stands there already changes nothing and is kept, too."""
    sent = _sent_cells(session, parts, answers)
    corrections = []
    before: dict[tuple[int, str], str] = {}
    for answer in answers:
        if answer.row_no is None or answer.column is None:
            raise ValueError("an answer that is not refused has a cell")
        cell = answer.row_no, answer.column
        if cell not in before:
            before[cell] = cells.set(*cell, sent[cell], answer.value)
        corrections.append(
            {
                "row_no": answer.row_no,
                "field": answer.field,
                "source_column": answer.column,
                "old_value": before[cell] or None,
                "new_value": answer.value or None,
                "workbook": resubmission.sha256,
                "book_sheet": answer.sheet,
                "book_row": answer.row,
                "by": resubmission.by,
            }
        )
    return corrections


def _sent_cells(session: Session, parts: Sequence[RowsPart], answers: Iterable[Answer]) -> dict[tuple[int, str], str]:
    """(row, source column) → what the department sent there, for the cells that answers are about."""
    wanted: dict[tuple[int, str], list[int]] = {}
    for answer in answers:
        if answer.part is not None and answer.column is not None and answer.row_no is not None:
            wanted.setdefault((answer.part, answer.column), []).append(answer.row_no)
    found: dict[tuple[int, str], str] = {}
    for (number, column), rows in wanted.items():
        part = parts[number]
        session.register(_OVERLAY, pa.table({"row_no": pa.array(rows, pa.int64())}))
        for row_no, text in session.rows(
            f"SELECT {part.row_offset} + file_row_number AS row_no, {identifier(column)} FROM {part.source} "
            f"WHERE {part.row_offset} + file_row_number IN (SELECT row_no FROM {_OVERLAY})"
        ):
            found[row_no, column] = text or ""
    return found


def _rewrite(session: Session, parts: Sequence[RowsPart], cells: Cells) -> None:
    """Write the rows files anew, in their order, with the corrected cells; the files as they were stay beside."""
    texts: dict[int, dict[str, str]] = {}
    for row_no, column, text in cells.final():
        texts.setdefault(row_no, {})[column] = text
    for part in parts:
        own = {row_no: texts[row_no] for row_no in texts if 0 <= row_no - part.row_offset < part.row_count}
        if not own:
            continue
        kept = sent_beside(part.path)
        part.path.rename(kept)
        columns = sorted({column for row in own.values() for column in row})
        overlay: dict[str, pa.Array[Any]] = {
            "file_row_number": pa.array([row_no - part.row_offset for row_no in own], pa.int64())
        }
        for place, column in enumerate(columns):
            overlay[f"t{place}"] = pa.array([row.get(column) for row in own.values()], pa.string())
        session.register(_OVERLAY, pa.table(overlay))
        replaced = ", ".join(
            f"CASE WHEN o.t{place} IS NULL THEN s.{identifier(column)} ELSE nullif(o.t{place}, '') END "
            f"AS {identifier(column)}"
            for place, column in enumerate(columns)
        )
        session.write_parquet(
            f"SELECT s.* EXCLUDE (file_row_number) REPLACE ({replaced}) "
            f"FROM read_parquet({file_literal(kept)}, file_row_number = true) s "
            f"LEFT JOIN {_OVERLAY} o USING (file_row_number) ORDER BY s.file_row_number",
            part.path,
        )


def _refused(resubmission: Resubmission, answer: Answer) -> dict[str, Any]:
    return {
        "workbook": resubmission.sha256,
        "book_sheet": answer.sheet,
        "book_row": answer.row,
        "cell": answer.cell,
        "reference": answer.reference,
        "field": answer.field,
        "reason": answer.refusal,
    }


def _write(rows: list[dict[str, Any]], schema: pa.Schema, path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")
