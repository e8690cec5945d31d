"""The sheets of the department workbook that are filled in: one per kind of problem, and the warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from pipelines.catalogue.correctable import Obstacle, Target
from pipelines.catalogue.correction_form import CHECK, CODE, CORRECTION, FIELD, FIELD_CODE, REFERENCE, ROW_HASH
from pipelines.reporting.choices import Choices
from pipelines.reporting.problem_lines import Kind, ProblemLine
from pipelines.reporting.sheets import GOLD, GREY, Column, Formats, LineSheet, cell_text
from pipelines.reporting.words import SEVERITIES, RuleTexts, rule_text

WARNINGS, OTHERS = "提示", "其他问题"
OWN_COLUMNS = (
    Column("序号", 6),
    Column("文件", 20),
    Column("工作表", 9),
    Column("行号", 7),
    Column(FIELD, 18),
    Column("报送的值", 22),
    Column("问题", 30),
    Column("处理办法", 30),
    Column(CORRECTION, 26, GOLD),
    Column("建议（请核实）", 26),
    Column("同一行的其他问题", 22),
    Column(CODE, 16),
    Column("严重程度", 10),
    Column("任务编号", 12),
    Column(REFERENCE, 20, hidden=True),
    Column(ROW_HASH, 20, hidden=True),
    Column(FIELD_CODE, 12, hidden=True),
    Column(CHECK, 12, hidden=True),
)
FIELD_PLACE, CORRECTION_PLACE = 4, 8
# The row as it was sent is for the screen: a page with all of it could not be read.
_LAST_PRINTED = 13
FROZEN_COLUMNS = 4
SOURCE_WIDTH = 18
# A workbook with more sheets than this is no help to anybody: the kinds with the fewest lines share one.
MOST_SHEETS = 40
_LONGEST_NAME = 26
_FORBIDDEN = str.maketrans(dict.fromkeys("[]:*?/\\'", "·"))
RETURNED_FIX = "请按接收方的说明更正；报送时限继续计算"
OBSTACLES: Mapping[Obstacle, str] = {
    "constant": "该字段由归集平台按配置填写，请联系归集平台",
    "joined": "该字段由多列合并而成，请在原系统中更正后重新报送",
    "split": "该字段取自一列的一部分，请在原系统中更正后重新报送",
    "shared": "该列还用于其他字段，请在原系统中更正后重新报送",
    "absent": "报送文件中没有该列，请补充该列后重新报送",
}
# Sheets stay closed but for the yellow cells; what does no harm is allowed, and there is no password.
_PROTECTION = {"autofilter": True, "sort": True, "format_columns": True, "format_rows": True}


@dataclass(frozen=True)
class Layout:
    """What the sheets of one workbook share.

    ``positions``: field code → source column that fills it. ``targets``: for each part of the run, field code → what a
    correction overwrites. ``tasks``: (rule, field or empty) → reference of the task. ``names``: kind → its sheet.
    """

    source_headers: Sequence[str]
    positions: Mapping[str, int]
    field_names: Mapping[str, str]
    rule_texts: RuleTexts
    endpoint_names: Mapping[str, str]
    lines_per_sheet: int
    targets: Sequence[Mapping[str, Target]] = ()
    tasks: Mapping[tuple[str, str], str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)

    def name(self, kind: Kind) -> str:
        """What a kind of problem is about, in a word: its field, or else the rule's own text."""
        if kind.field is not None:
            return self.field_names.get(kind.field, kind.field)
        return self.texts(kind)[0]

    def texts(self, kind: Kind) -> tuple[str, str, str]:
        """Problem, what to do, code."""
        if kind.endpoint is not None:
            receiver = self.endpoint_names.get(kind.endpoint, kind.endpoint)
            return f"【{receiver}】退回", RETURNED_FIX, kind.code
        text = rule_text(self.rule_texts, kind.code)
        return text.message_zh, text.fix_zh, text.code


def sheet_names(layout: Layout, kinds: Sequence[Kind]) -> dict[int, str]:
    """Kind → name of its sheet: at most 31 characters, none that Excel refuses, each once."""
    blocking = [kind for kind in kinds if kind.severity == "block"]
    own = blocking if len(blocking) <= MOST_SHEETS else blocking[: MOST_SHEETS - 1]
    names = {
        kind.number: f"{kind.number:02d} {layout.name(kind).translate(_FORBIDDEN)[: _LONGEST_NAME - 3]}" for kind in own
    }
    return {kind.number: names.get(kind.number, OTHERS if kind.severity == "block" else WARNINGS) for kind in kinds}


def problem_sheets(
    book: Workbook,
    formats: Formats,
    layout: Layout,
    kinds: Sequence[Kind],
    lines: Iterable[ProblemLine],
    choices: Choices,
) -> None:
    """Write all lines, which come kind by kind, each to the sheet of its kind."""
    by_number = {kind.number: kind for kind in kinds}
    for name, of_sheet in groupby(lines, key=lambda line: layout.names[line.kind]):
        _ProblemSheet(book, formats, layout, name, by_number, choices).write(of_sheet)


class _ProblemSheet:
    """One sheet, which may run over several. Its lines are written in one pass and in order."""

    def __init__(
        self,
        book: Workbook,
        formats: Formats,
        layout: Layout,
        name: str,
        kinds: Mapping[int, Kind],
        choices: Choices,
    ) -> None:
        self._layout, self._kinds, self._choices = layout, kinds, choices
        self._get = formats.get
        # Rows with the same drop-down in the same column: (first row, last row, column, range of the list).
        self._dropdowns: list[tuple[int, int, int, str]] = []
        columns = (*OWN_COLUMNS, *(Column(header, SOURCE_WIDTH, GREY) for header in layout.source_headers))
        self._lines = LineSheet(
            book,
            formats,
            name,
            _title(layout, name, kinds),
            columns,
            frozen_columns=FROZEN_COLUMNS,
            lines_per_sheet=layout.lines_per_sheet,
            finish=self._finish,
        )

    def write(self, lines: Iterable[ProblemLine]) -> None:
        number = 0
        for kind_number, of_kind in groupby(lines, key=lambda line: line.kind):
            number = self._write_kind(self._kinds[kind_number], of_kind, number)
        self._lines.close()

    def _write_kind(self, kind: Kind, lines: Iterable[ProblemLine], number: int) -> int:
        layout, get, sheets = self._layout, self._get, self._lines
        problem, fix, code = layout.texts(kind)
        severity = SEVERITIES[kind.severity]
        field_name = layout.field_names.get(kind.field or "", kind.field or "")
        task = layout.tasks.get((kind.code, kind.field or ""), "")
        receiver = layout.endpoint_names.get(kind.endpoint or "", kind.endpoint)
        position = layout.positions.get(kind.field or "")
        plain, text, wrap, wrong = get("text"), get("wrap", "text"), get("wrap"), get("wrong", "text")
        guarded, wrong_guarded, wrap_guarded = get("guarded"), get("wrong", "guarded"), get("wrap", "guarded")
        strong, quiet, yellow, closed = (
            get("wrap", "strong", "text"),
            get("quiet", "text"),
            get("fill_in"),
            get("closed"),
        )
        first_cell = len(OWN_COLUMNS)
        for line in lines:
            number += 1
            row = sheets.next_row()
            sheet = sheets.sheet
            target = self._target(kind, line)
            is_open = line.reference is not None and target.obstacle is None
            sheet.write_number(row, 0, number, wrap)
            put_text(sheet, row, 1, line.extract_name, plain)
            put_text(sheet, row, 2, line.sheet, plain)
            if line.line is None:
                sheet.write_blank(row, 3, None, wrap)
            else:
                sheet.write_number(row, 3, line.line, wrap)
            chosen = kind.field is None and is_open
            put_text(sheet, row, FIELD_PLACE, None if chosen else field_name, yellow if chosen else strong)
            put_text(sheet, row, 5, line.cells[position] if position is not None else None, text, wrap_guarded)
            put_text(sheet, row, 6, problem if kind.endpoint is None else f"【{receiver}】{line.message}", text)
            put_text(sheet, row, 7, _fix(fix, kind, target), text)
            sheet.write_blank(row, CORRECTION_PLACE, None, yellow if is_open else closed)
            put_text(sheet, row, 9, line.suggestion, text)
            put_text(sheet, row, 10, self._others(line), text)
            put_text(sheet, row, 11, code, plain)
            put_text(sheet, row, 12, severity, plain)
            put_text(sheet, row, 13, task, plain)
            hidden = (line.reference, line.row_hash, kind.field, line.check) if line.reference is not None else ()
            for place, value in enumerate(hidden, start=14):
                put_text(sheet, row, place, value, quiet)
            for index, value in enumerate(line.cells, start=first_cell):
                if index - first_cell == position:
                    put_text(sheet, row, index, value, wrong, wrong_guarded)
                elif value:
                    put_text(sheet, row, index, value, plain, guarded)
            self._offer(kind, row)
        return number

    def _target(self, kind: Kind, line: ProblemLine) -> Target:
        if kind.field is None or line.part is None:
            return Target(None)
        return self._layout.targets[line.part].get(kind.field, Target(None, "absent"))

    def _others(self, line: ProblemLine) -> str:
        """Where the row stands on other sheets, and where the same cell is asked for."""
        if not line.others:
            return ""
        names = self._layout.names
        same = [number for number in line.same_field if number in names]
        others = [number for number in line.others if number not in same]
        told = []
        if same:
            told.append(f"同一字段另见 {_numbers(names, same)}，填一处即可")
        if others:
            told.append(f"另见 {_numbers(names, others)}")
        return "；".join(told)

    def _offer(self, kind: Kind, row: int) -> None:
        """Remember which list the cells of this row choose from."""
        place = FIELD_PLACE if kind.field is None else CORRECTION_PLACE
        source = self._choices.fields if kind.field is None else self._choices.of_field(kind.field)
        if source is None:
            return
        if self._dropdowns and self._dropdowns[-1][1:] == (row - 1, place, source):
            self._dropdowns[-1] = (self._dropdowns[-1][0], row, place, source)
        else:
            self._dropdowns.append((row, row, place, source))

    def _finish(self, sheet: Worksheet, last: int) -> None:
        """Close a sheet that is full: drop-downs, protection."""
        for first, end, place, source in self._dropdowns:
            sheet.data_validation(first, place, end, place, self._choices.validation(source))
        self._dropdowns = []
        sheet.print_area(0, 0, last, _LAST_PRINTED)
        sheet.protect("", _PROTECTION)


def put_text(
    sheet: Worksheet, row: int, column: int, value: str | None, style: Format, guarded: Format | None = None
) -> None:
    """Write text as text, in the style ``guarded`` where a spreadsheet would run it; an empty cell keeps its style."""
    if not value:
        sheet.write_blank(row, column, None, style)
        return
    shown, is_dangerous = cell_text(value)
    sheet.write_string(row, column, shown, guarded if guarded is not None and is_dangerous else style)


def _title(layout: Layout, name: str, kinds: Mapping[int, Kind]) -> str:
    if name == WARNINGS:
        return f"以下内容不影响其他行入库，请核实；确有错误的，在黄色的“{CORRECTION}”中填写"
    asked = f"请在黄色的“{CORRECTION}”中填写；右侧灰色表头为报送内容，请勿改动，红色单元格为有问题的内容"
    if name == OTHERS:
        return asked
    kind = next(kind for number, kind in kinds.items() if layout.names[number] == name)
    return f"{layout.texts(kind)[0]}（{kind.lines}行）　{asked}"


def _fix(fix: str, kind: Kind, target: Target) -> str:
    if target.obstacle is not None:
        return f"{fix}（不能在本表更正：{OBSTACLES[target.obstacle]}）"
    if target.unit is not None and kind.field is not None:
        return f"{fix}（按报送列“{target.column}”的单位填写：{target.unit}）"
    return fix


def _numbers(names: Mapping[int, str], kinds: Iterable[int]) -> str:
    """Kinds by the numbers in front of their sheets' names, others by the name."""
    return "、".join(dict.fromkeys(name[:2] if name[:2].isdigit() else name for name in (names[k] for k in kinds)))
