"""Workbooks of Excel 2007 and later (.xlsx, .xlsm): calamine reads the values, we what it does not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from posixpath import basename, dirname, join
from typing import TypeVar

import python_calamine as calamine
from lxml import etree

from pipelines.errors import ExtractError
from pipelines.intake.workbook_formulas import formula_cells
from pipelines.intake.workbook_guard import MAX_TEXT_BYTES, Package, damaged, protected, refuse_too_much_text
from pipelines.intake.workbook_shared_texts import SharedTexts
from pipelines.intake.workbook_sheet import Cell, ColumnBuilder, SheetCells, SheetName
from pipelines.intake.workbook_sheet_facts import refuse_unreadable
from pipelines.intake.workbook_sheet_scan import sheet_facts

T = TypeVar("T")


class XlsxWorkbook:
    """A :class:`Workbook`; every part has been unpacked once, and every sheet measured, before calamine opens it."""

    def __init__(self, path: Path, name: str) -> None:
        self._name, self._path = name, path
        with Package(path, name) as package, path.open("rb") as stream, ThreadPoolExecutor(max_workers=1) as pool:
            workbook = _workbook_part(package)
            self.date_system_1904 = _uses_1904(package.tree(workbook))
            relations = _relations(package, workbook)
            parts = self._parts = _sheet_parts(package, workbook, relations)
            texts = {
                part for kind, part in relations.values() if kind.endswith("/sharedStrings")
            } & package.parts.keys()
            for part in package.parts.keys() - parts.values() - texts:
                package.try_out(part)
            shared = [SharedTexts(package, part) for part in texts]
            # calamine opens everything but the sheets, which takes as long as it takes to measure them.
            opening = pool.submit(_ask, lambda: calamine.CalamineWorkbook.from_filelike(stream), name)
            self._facts = {sheet: sheet_facts(package, part) for sheet, part in parts.items()}
            sheets = {part: self._facts[sheet] for sheet, part in parts.items()}
            if any(text.bytes_shown(sheets, MAX_TEXT_BYTES) > MAX_TEXT_BYTES for text in shared):
                refuse_too_much_text(name)
            self._workbook = opening.result()
        self.sheets: Sequence[SheetName] = [
            SheetName(
                sheet.name,
                sheet.visible != calamine.SheetVisibleEnum.Visible,
                sheet.typ == calamine.SheetTypeEnum.WorkSheet,
            )
            for sheet in self._workbook.sheets_metadata
        ]

    def cells(self, sheet: str) -> SheetCells:
        """All cells of a worksheet."""
        facts = self._facts.get(sheet)
        if facts is None:
            raise damaged(self._name)
        refuse_unreadable(facts, sheet, self._name)
        opened = _ask(lambda: self._workbook.get_sheet_by_name(sheet), self._name)
        builder = ColumnBuilder(facts.marks)
        if opened.start is not None:
            beside = [""] * opened.start[1]
            rows = opened.iter_rows()
            builder.add(([*beside, *row] for row in rows) if beside else rows)
        columns = builder.build()
        return SheetCells(
            columns,
            builder.height,
            opened.merged_cell_ranges or (),
            frozenset(facts.hidden_rows),
            facts.error_cells,
            facts.formulas_without_value,
        )

    def formulas(self, sheet: str) -> frozenset[Cell]:
        """The computed cells of a worksheet; its XML is read again."""
        with Package(self._path, self._name) as package:
            return formula_cells(package, self._parts[sheet])


def _ask(question: Callable[[], T], name: str) -> T:
    """What calamine answers; its complaints as ours."""
    try:
        return question()
    except calamine.PasswordError as error:
        raise protected(name) from error
    except calamine.CalamineError as error:
        raise damaged(name) from error
    except BaseException as error:
        # A broken assumption in Rust arrives as this class, which no module exports.
        if type(error).__name__ != "PanicException":
            raise
        raise damaged(name) from error


def _workbook_part(package: Package) -> str:
    if "xl/workbook.bin" in package.parts:
        raise _not_this_kind("a binary workbook (.xlsb)", package.name)
    if "_rels/.rels" not in package.parts and "xl/workbook.xml" not in package.parts:
        raise _not_this_kind("a zip archive without a workbook", package.name)
    for kind, part in _relations(package, "").values():
        if kind.endswith("/officeDocument"):
            return part
    raise damaged(package.name)


def _sheet_parts(package: Package, workbook: str, relations: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Sheet name → part. A sheet without a part is a damaged workbook, as is a name that occurs twice."""
    parts: dict[str, str] = {}
    for element in package.tree(workbook).iter("{*}sheet"):
        sheet = str(element.get("name"))
        relation = next((str(value) for key, value in element.items() if str(key).endswith("relationships}id")), "")
        _, part = relations.get(relation, ("", ""))
        if sheet in parts or part not in package.parts:
            raise damaged(package.name)
        parts[sheet] = part
    return parts


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Id → (type, part) of what ``part`` (empty: the package) refers to, from the root or relative to its folder."""
    folder = dirname(part)
    found: dict[str, tuple[str, str]] = {}
    for element in package.tree(join(folder, "_rels", f"{basename(part)}.rels")).iter("{*}Relationship"):
        target = str(element.get("Target")).replace("\\", "/").lower()
        whole = target if target.startswith(("/", f"{folder}/")) else join(folder, target)
        found[str(element.get("Id"))] = str(element.get("Type")), whole.lstrip("/")
    return found


def _uses_1904(workbook: etree._Element) -> bool:
    return any(element.get("date1904") in {"1", "true"} for element in workbook.iter("{*}workbookPr"))


def _not_this_kind(what: str, name: str) -> ExtractError:
    return ExtractError(
        f"the file is {what}",
        remedy="ask for the table itself, saved as .xlsx or CSV",
        file=name,
    )
