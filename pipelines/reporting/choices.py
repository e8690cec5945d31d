"""Drop-downs of the department workbook: the values of code lists, and the fields that can be corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_rowcol_to_cell

from pipelines.catalogue.categories import Category
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.correction_form import EMPTY_WORDS
from pipelines.catalogue.feeds import Feed
from pipelines.reporting.sheets import cell_text

LISTS_SHEET = "_代码"


class Choices:
    """The lists of one workbook, which lie on a hidden sheet: a list inside a cell's own rule holds 255 characters.

    ``correctable`` are the codes of the fields that a row of the batch may have corrected.
    """

    def __init__(
        self, feed: Feed, category: Category, code_lists: Mapping[str, CodeList], correctable: Sequence[str]
    ) -> None:
        self._lists: list[tuple[str, ...]] = []
        self._strict: dict[str, bool] = {}
        self._by_field: dict[str, str] = {}
        names = {field.code: field.name_zh for field in category.fields}
        self.fields = self._add(tuple(names[code] for code in correctable), strict=True)
        edition = category.editions.get(feed.edition)
        # An older edition writes its status in numerals that mean the opposite today: nothing is offered there.
        status = {category.roles.status} if edition is not None else set()
        for field in category.fields:
            code_list = code_lists.get(field.code_list or "")
            if field.type not in {"enum", "enum_multi"} or field.code in status or code_list is None:
                continue
            values = code_list.values if field.required == "always" else (*code_list.values, EMPTY_WORDS[0])
            strict = field.type == "enum" and code_list.open_entry is None and not feed.values.get(field.code)
            self._by_field[field.code] = self._add(values, strict=strict)

    def of_field(self, code: str) -> str | None:
        """Where the list of a field's values stands, if it has one."""
        return self._by_field.get(code)

    def validation(self, source: str) -> dict[str, Any]:
        """The rule of cells that choose from the list at ``source``.

        Where a list is open (其他-…, several values) anything may be written, after a question.
        """
        strict = self._strict[source]
        return {
            "validate": "list",
            "source": source,
            "error_type": "stop" if strict else "warning",
            "error_title": "请从列表中选择",
            "error_message": "填写的内容不在代码表中。" if strict else "填写的内容不在代码表中，确认无误请选“是”。",
        }

    def write(self, book: Workbook) -> None:
        """Write the hidden sheet; call it once."""
        sheet = book.add_worksheet(LISTS_SHEET)
        for row in range(max(map(len, self._lists))):
            for column, values in enumerate(self._lists):
                if row < len(values):
                    sheet.write_string(row, column, cell_text(values[row])[0])
        sheet.protect("")
        sheet.hide()

    def _add(self, values: tuple[str, ...], *, strict: bool) -> str:
        column = len(self._lists)
        self._lists.append(values)
        first, last = (
            xl_rowcol_to_cell(row, column, row_abs=True, col_abs=True) for row in (0, max(len(values), 1) - 1)
        )
        source = f"='{LISTS_SHEET}'!{first}:{last}"
        self._strict[source] = strict
        return source
