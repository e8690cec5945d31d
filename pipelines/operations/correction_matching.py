"""The lines of a workbook that came back, and the rows of a batch that they are about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.catalogue.correctable import Target
from pipelines.catalogue.correction_form import EMPTY_WORDS, LONGEST_CELL
from pipelines.engine.duck import Session, identifier
from pipelines.engine.rows import RowsPart, row_hash
from pipelines.intake.corrected_workbook import CorrectedSheet, CorrectedWorkbook

_RETURNED, _ALIKE = "returned_lines", "returned_alike"


@dataclass(frozen=True)
class Answer:
    """A line of a returned workbook that says something: it has an answer, or cells that were changed.

    ``cell`` is where the answer stands. ``row_no`` and ``part`` (position in the batch's parts) are those of the row,
    ``column`` the source column that is to hold ``value``; all of that only where ``refusal`` is empty.
    """

    sheet: str
    row: int
    cell: str
    reference: str
    field: str | None
    row_no: int | None = None
    part: int | None = None
    column: str | None = None
    value: str = ""
    refusal: str | None = None


@dataclass(frozen=True)
class _Row:
    """The row that a line names: ``is_same`` as it was sent; ``differing`` source columns show something else."""

    part: int
    row_no: int
    is_same: bool
    differing: Sequence[str]


class Cells:
    """Current and earlier texts of the cells that corrections are about: what the department sent comes first."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, str], list[str]] = {}

    def set(self, row_no: int, column: str, sent: str, new: str) -> str:
        """Lay a correction over a cell; returns what stood there."""
        texts = self._texts.setdefault((row_no, column), [sent])
        texts.append(new)
        return texts[-2]

    def current(self, row_no: int, column: str) -> str | None:
        """The text of a corrected cell; None for a cell that nobody corrected."""
        texts = self._texts.get((row_no, column))
        return texts[-1] if texts else None

    def ever(self, row_no: int, column: str) -> Sequence[str]:
        """Everything that has stood in a corrected cell."""
        return self._texts.get((row_no, column), ())

    def final(self) -> Iterator[tuple[int, str, str]]:
        """Row, column and text of every corrected cell."""
        for (row_no, column), texts in self._texts.items():
            yield row_no, column, texts[-1]


def read_answers(
    session: Session,
    book: CorrectedWorkbook,
    parts: Sequence[RowsPart],
    targets: Sequence[Mapping[str, Target]],
    field_names: Mapping[str, str],
    cells: Cells,
) -> list[Answer]:
    """Every answer of a workbook, with the cell it belongs to or why it is refused, in the order of the workbook.

    ``targets`` are those of each part, ``field_names`` codes of fields by their Chinese names. ``cells`` hold what
    earlier workbooks corrected. The order of the lines changes nothing: lines that contradict each other are all
    refused.
    """
    lines = [(sheet, place) for sheet in book.sheets for place in range(len(sheet.rows))]
    rows = _find(session, book, parts)
    extracts = {part.extract[:12] for part in parts}
    alike = _find_alike(session, [s.row_hashes[p] for n, (s, p) in enumerate(lines) if n not in rows], parts)
    answers: list[Answer] = []
    for number, (sheet, place) in enumerate(lines):
        row = rows.get(number)
        if row is None and sheet.references[place].partition("/")[0] not in extracts:
            row = alike.get(sheet.row_hashes[place])
        answers += _answer(book, sheet, place, row, parts, targets, field_names, cells, extracts)
    return _without_conflicts(answers)


def _answer(
    book: CorrectedWorkbook,
    sheet: CorrectedSheet,
    place: int,
    row: _Row | None,
    parts: Sequence[RowsPart],
    targets: Sequence[Mapping[str, Target]],
    field_names: Mapping[str, str],
    cells: Cells,
    extracts: set[str],
) -> Iterator[Answer]:
    """What one line says: nothing, one answer, or refusals."""
    said = sheet.answers[place]
    line = sheet.rows[place]
    reference = sheet.references[place]
    code = sheet.field_codes[place] or field_names.get(sheet.fields[place])

    def refused(reason: str, letter: str = sheet.answer_letter) -> Answer:
        return Answer(sheet.sheet, line, f"{letter}{line}", reference, code, refusal=reason)

    if not reference:
        if said:
            yield refused("no_row")
        return
    if _check(book.meta.digest, sheet, place) != sheet.checks[place]:
        if said:
            yield refused("identity")
        return
    if row is None:
        if said:
            yield refused("unknown" if reference.partition("/")[0] in extracts else "gone")
        return
    if not row.is_same:
        if said:
            yield refused("content")
        return
    changed = [header for header in row.differing if not _stood_there(sheet, place, header, row.row_no, cells)]
    if changed:
        letters = dict(zip(sheet.headers, sheet.header_letters, strict=True))
        yield from (refused("changed_cell", letters[header]) for header in changed)
        if said:
            yield refused("changed_row")
        return
    if not said:
        return
    if place in sheet.faults:
        yield refused(sheet.faults[place])
        return
    if code is None:
        yield refused("no_field", sheet.field_letter)
        return
    target = targets[row.part].get(code, Target(None, "absent"))
    if target.column is None:
        yield refused(target.obstacle or "absent")
        return
    value = "" if said in EMPTY_WORDS else said
    yield Answer(
        sheet.sheet, line, f"{sheet.answer_letter}{line}", reference, code, row.row_no, row.part, target.column, value
    )


def _check(digest: str, sheet: CorrectedSheet, place: int) -> str:
    told = (digest, sheet.references[place], sheet.row_hashes[place], sheet.field_codes[place], sheet.codes[place])
    return hashlib.sha256("|".join(told).encode()).hexdigest()[:16]


def _stood_there(sheet: CorrectedSheet, place: int, header: str, row_no: int, cells: Cells) -> bool:
    """Whether a cell shows what an earlier correction put there: the workbook was made before or after it."""
    shown = "".join(sheet.cells[sheet.headers.index(header)][place].split())
    return any("".join(text.split()) == shown for text in cells.ever(row_no, header))


def _without_conflicts(answers: list[Answer]) -> list[Answer]:
    """Answers for one cell that differ are all refused: the file does not say which is right."""
    values: dict[tuple[int, str], set[str]] = {}
    for answer in answers:
        if answer.row_no is not None and answer.column is not None:
            values.setdefault((answer.row_no, answer.column), set()).add(answer.value)
    kept: list[Answer] = []
    for answer in answers:
        if answer.row_no is None or answer.column is None:
            kept.append(answer)
            continue
        if len(values[answer.row_no, answer.column]) > 1:
            kept.append(
                Answer(answer.sheet, answer.row, answer.cell, answer.reference, answer.field, refusal="conflict")
            )
        else:
            kept.append(answer)
    return kept


def _find(session: Session, book: CorrectedWorkbook, parts: Sequence[RowsPart]) -> dict[int, _Row]:
    """Line (counted over all sheets) → the row with its reference."""
    columns = list(dict.fromkeys(column for part in parts for column in part.columns))
    session.register(_RETURNED, _table(book, columns))
    found: dict[int, _Row] = {}
    for number, part in enumerate(parts):
        shown = [(f"o{columns.index(column)}", column) for column in part.columns]
        differs = ", ".join(
            f"CASE WHEN r.{alias} IS NOT NULL AND length(coalesce(f.{identifier(column)}, '')) <= {LONGEST_CELL} "
            f"AND {_bare(f'r.{alias}')} <> {_bare(f'f.{identifier(column)}')} THEN {place} END"
            for place, (alias, column) in enumerate(shown)
        )
        rows = session.rows(
            f"""
            WITH f AS (
                SELECT *, {part.reference_expression} AS _reference FROM {part.source}
                WHERE {part.reference_expression} IN (SELECT reference FROM {_RETURNED})
            )
            SELECT r.n, {part.row_offset} + f.file_row_number, r.row_hash = {row_hash(part.columns)},
                   list_filter([{differs}], lambda place: place IS NOT NULL)
            FROM {_RETURNED} r JOIN f ON f._reference = r.reference
            """
        )
        for line, row_no, is_same, differing in rows:
            found[line] = _Row(number, row_no, is_same, [part.columns[place] for place in differing])
    return found


def _find_alike(session: Session, hashes: Sequence[str], parts: Sequence[RowsPart]) -> dict[str, _Row]:
    """Row hash → the only row that holds exactly this: the extract was sent again, and the row in it as it was.

    The cells of such a row are not compared any more: it is the same row, at another place.
    """
    session.register(_ALIKE, pa.table({"row_hash": pa.array(sorted(set(hashes) - {""}), pa.string())}))
    found: dict[str, list[_Row]] = {}
    for number, part in enumerate(parts) if hashes else ():
        rows = session.rows(
            f"SELECT {part.row_offset} + file_row_number, {row_hash(part.columns)} AS hash FROM {part.source} "
            f"WHERE {row_hash(part.columns)} IN (SELECT row_hash FROM {_ALIKE})"
        )
        for row_no, text in rows:
            found.setdefault(text, []).append(_Row(number, row_no, True, ()))
    return {text: rows[0] for text, rows in found.items() if len(rows) == 1}


def _table(book: CorrectedWorkbook, columns: Sequence[str]) -> pa.Table:
    """All lines of a workbook: n, reference, row_hash, and ``o0`` … as the source cells show (NULL: no such column)."""
    tables = []
    start = 0
    for sheet in book.sheets:
        height = len(sheet.rows)
        shown = dict(zip(sheet.headers, sheet.cells, strict=True))
        arrays: dict[str, pa.Array[Any]] = {
            "n": pa.array(range(start, start + height), pa.int64()),
            "reference": pa.array(sheet.references, pa.string()),
            "row_hash": pa.array(sheet.row_hashes, pa.string()),
        }
        for place, column in enumerate(columns):
            arrays[f"o{place}"] = pa.array(shown.get(column, [None] * height), pa.string())
        tables.append(pa.table(arrays))
        start += height
    if not tables:
        names = ("reference", "row_hash", *(f"o{place}" for place in range(len(columns))))
        empty: dict[str, pa.Array[Any]] = {"n": pa.array([], pa.int64())}
        return pa.table(empty | {name: pa.array([], pa.string()) for name in names})
    return pa.concat_tables(tables)


def _bare(text: str) -> str:
    """SQL of a text without what spreadsheet programs change on their own: blanks, line ends, control characters."""
    return f"regexp_replace(coalesce({text}, ''), '_x[0-9A-Fa-f]{{4}}_|[\\s\\pZ\\pC]', '', 'g')"
