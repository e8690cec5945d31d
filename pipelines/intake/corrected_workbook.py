"""Reading a department workbook that came back, whatever program saved it: its lines with what was filled in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.catalogue.correction_form import (
    CHECK,
    CODE,
    CORRECTION,
    FIELD,
    FIELD_CODE,
    FORMAT,
    META_SHEET,
    REFERENCE,
    REQUIRED_HEADERS,
    ROW_HASH,
    VERSION,
    WorkbookMeta,
)
from pipelines.errors import ExtractError
from pipelines.intake.content_kind import Kind, content_kind
from pipelines.intake.workbook_guard import column_letters
from pipelines.intake.workbook_reader import open_workbook
from pipelines.intake.workbook_sheet import Cell, Workbook

_HEADER_ROWS = 5
_KINDS = frozenset({"xlsx", "xls", "ods"})
_ERROR = re.compile(r"#[A-Z0-9/_]{1,20}[!?]?|Err:\d+")
_TOO_LONG_NUMBER = re.compile(r"-?\d(?:\.\d+)?E\+\d+")


@dataclass(frozen=True)
class CorrectedSheet:
    """The lines of one sheet.

    ``rows`` are the numbers of the lines as a person sees them; the lists beside it are as long. ``fields`` is what
    stands under 字段, ``field_codes`` the hidden code of it; ``faults`` says why an answer cannot be taken
    (``formula``, ``error``, ``digits``), by line. ``cells`` are the source cells, column by column, as ``headers`` are.
    """

    sheet: str
    rows: Sequence[int]
    references: Sequence[str]
    row_hashes: Sequence[str]
    field_codes: Sequence[str]
    codes: Sequence[str]
    checks: Sequence[str]
    fields: Sequence[str]
    answers: Sequence[str]
    faults: dict[int, str]
    headers: Sequence[str]
    header_letters: Sequence[str]
    cells: Sequence[Sequence[str]]
    answer_letter: str
    field_letter: str


@dataclass(frozen=True)
class CorrectedWorkbook:
    """A workbook of ours that came back. Sheets that were deleted are simply not here."""

    meta: WorkbookMeta
    sheets: tuple[CorrectedSheet, ...]


def read_corrected(path: Path, name: str) -> CorrectedWorkbook:
    """Read a returned workbook; ``name`` is what the department called the file.

    Raises :class:`ExtractError` for a file that is no workbook, none of ours, or of another version; and for one
    that is damaged, dangerous or protected with a password.
    """
    with open_workbook(path, name, _kind(path, name)) as workbook:
        meta = _meta(workbook, name)
        names = [sheet.name for sheet in workbook.sheets if sheet.is_worksheet and sheet.name != META_SHEET]
        sheets = [_sheet(workbook, sheet) for sheet in names]
    return CorrectedWorkbook(meta, tuple(sheet for sheet in sheets if sheet is not None))


def _kind(path: Path, name: str) -> Kind:
    kind = content_kind(path, name)
    if kind not in _KINDS:
        raise _not_ours(name)
    return kind


def _meta(workbook: Workbook, name: str) -> WorkbookMeta:
    if META_SHEET not in {sheet.name for sheet in workbook.sheets if sheet.is_worksheet}:
        raise _not_ours(name)
    cells = workbook.cells(META_SHEET)
    told = {row[0]: row[1] for row in cells.rows(0, 20) if len(row) > 1}
    if told.get("format") != FORMAT:
        raise _not_ours(name)
    if told.get("version") != str(VERSION):
        raise ExtractError(
            f"this workbook has the form of version {told.get('version') or '(none)'}, not of {VERSION}",
            remedy="make the report again (guiji report), send the new workbook out, have the corrections moved there",
            file=name,
        )
    try:
        meta = WorkbookMeta(told["feed"], date.fromisoformat(told["business_date"]), told["fingerprint"])
    except (KeyError, ValueError) as error:
        raise _changed_meta(name) from error
    if told.get("digest") != meta.digest:
        raise _changed_meta(name)
    return meta


def _sheet(workbook: Workbook, name: str) -> CorrectedSheet | None:
    """The lines of a sheet; None for one that is not filled in (summary, help, or anything the clerk added)."""
    cells = workbook.cells(name)
    head = cells.rows(0, _HEADER_ROWS)
    top = next((row for row, texts in enumerate(head) if set(REQUIRED_HEADERS) <= set(texts)), None)
    if top is None:
        return None
    headers = head[top]
    # A source column may be called like one of ours; ours come first.
    own = {header: headers.index(header) for header in REQUIRED_HEADERS}
    last_own = max(own.values())
    source = [column for column in range(last_own + 1, len(headers)) if headers[column]]
    columns = [[text or "" for text in column.to_pylist()] for column in cells.columns]
    # A line that somebody typed below the table has no check, and says nothing about any row of ours.
    wanted = [
        row
        for row in range(top + 1, cells.height)
        if columns[own[CHECK]][row] or columns[own[REFERENCE]][row] or columns[own[CORRECTION]][row].strip()
    ]
    answers = [columns[own[CORRECTION]][row].strip() for row in wanted]
    computed = workbook.formulas(name) if any(answers) else frozenset()

    def texts(header: str) -> list[str]:
        return [columns[own[header]][row].strip() for row in wanted]

    return CorrectedSheet(
        sheet=name,
        rows=[row + 1 for row in wanted],
        references=texts(REFERENCE),
        row_hashes=texts(ROW_HASH),
        field_codes=texts(FIELD_CODE),
        codes=texts(CODE),
        checks=texts(CHECK),
        fields=texts(FIELD),
        answers=answers,
        faults=_faults(wanted, answers, own[CORRECTION], computed),
        headers=[headers[column] for column in source],
        header_letters=[column_letters(column + 1) for column in source],
        cells=[[columns[column][row] for row in wanted] for column in source],
        answer_letter=column_letters(own[CORRECTION] + 1),
        field_letter=column_letters(own[FIELD] + 1),
    )


def _faults(rows: Sequence[int], answers: Sequence[str], column: int, computed: frozenset[Cell]) -> dict[int, str]:
    faults: dict[int, str] = {}
    for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        if not answer:
            continue
        if _ERROR.fullmatch(answer):
            faults[place] = "error"
        elif (row, column) in computed or answer.startswith("="):
            faults[place] = "formula"
        elif _TOO_LONG_NUMBER.fullmatch(answer):
            faults[place] = "digits"
    return faults


def _not_ours(name: str) -> ExtractError:
    return ExtractError(
        "this is no department workbook of ours, or its hidden sheet is gone",
        remedy="have the workbook that was sent out filled in and saved as .xlsx; other tables are sent as extracts",
        file=name,
    )


def _changed_meta(name: str) -> ExtractError:
    return ExtractError(
        "the hidden sheet of this workbook was changed: it no longer says which batch it is about",
        remedy="have the corrections moved to the workbook as it was sent out",
        file=name,
        sheet=META_SHEET,
    )
