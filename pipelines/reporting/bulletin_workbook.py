"""The bulletin as a workbook (.xlsx): every figure with numerator and denominator, and charts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from pipelines.reporting.bulletin import Bulletin
from pipelines.reporting.figures import Figure, FigureLine

_WIDEST = 60
_LEVELS = {"good": "#E2F0D9", "fair": "#FFF2CC", "bad": "#F8CBAD"}
_FIGURE_WIDTHS = (12, 22, 16, 26, 26, 14, 6, 14, 14, 8, 24)
# The value of a percentage carries its sign.
_UNITS = {"percent": "", "days": "天", "rows": "条", "codes": "个"}
Cell = str | int | float | None


def bulletin_workbook(bulletin: Bulletin) -> bytes:
    """The whole workbook; the same bulletin gives the same bytes."""
    written = io.BytesIO()
    workbook = Workbook(written, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    workbook.set_properties({"title": bulletin.title, "author": "guiji", "created": bulletin.made_for})
    sheets = _Sheets(workbook)
    sheets.silence(bulletin)
    sheets.figures("总体", bulletin, [bulletin.whole] if bulletin.whole else [])
    sheets.figures("各部门", bulletin, bulletin.departments)
    sheets.figures("各类信息", bulletin, bulletin.categories)
    sheets.trend(bulletin)
    sheets.figures("每日", bulletin, bulletin.days)
    sheets.problems(bulletin)
    sheets.what_if(bulletin)
    sheets.unreported(bulletin)
    sheets.definitions(bulletin)
    workbook.close()
    return written.getvalue()


class _Sheets:
    """Writes the sheets with a few shared formats."""

    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._head = workbook.add_format({"bold": True, "bg_color": "#D9E2F3", "border": 1, "text_wrap": True})
        self._plain = workbook.add_format({"border": 1, "text_wrap": True, "valign": "top"})
        self._number = workbook.add_format({"border": 1, "num_format": "#,##0", "valign": "top"})
        self._levels = {
            level: workbook.add_format({"border": 1, "bg_color": color, "align": "right", "valign": "top"})
            for level, color in _LEVELS.items()
        }
        self._value = workbook.add_format({"border": 1, "align": "right", "valign": "top"})

    def silence(self, bulletin: Bulletin) -> None:
        rows = [
            (bulletin.name(one.department), bulletin.name(one.feed), str(one.last or "从未报送"), one.days)
            for one in bulletin.silent
        ]
        self._sheet("未报送", ("部门", "报送源", "最近一次报送", "已静默天数"), rows)

    def figures(self, name: str, bulletin: Bulletin, lines: Iterable[FigureLine]) -> None:
        """One row per line and figure."""
        heads = ("日期", "部门", "信息类别", "报送源", "指标", "数值", "单位", "分子", "分母", "批次", "是否最终")
        sheet = self._sheet(name, heads, ())
        for place, width in enumerate(_FIGURE_WIDTHS):
            sheet.set_column(place, place, width)
        row = 0
        for line in lines:
            about = (
                str(line.day or line.month or ""),
                bulletin.name(line.department),
                bulletin.name(line.category),
                bulletin.name(line.feed),
            )
            for figure in line.figures.values():
                row += 1
                self._row(sheet, row, (*about, figure.definition.name_zh))
                sheet.write_string(row, 5, figure.text, self._format_of(figure))
                after = (
                    _UNITS[figure.definition.unit],
                    figure.numerator,
                    figure.denominator,
                    figure.batches,
                    "是" if figure.is_final else f"否（{figure.open_batches}个批次未定）",
                )
                self._row(sheet, row, after, start=6)
        if row:
            sheet.autofilter(0, 0, row, len(heads) - 1)

    def trend(self, bulletin: Bulletin) -> None:
        """Months in rows, percentages in columns; one line per department in the charts."""
        shares = [one for one in bulletin.profile.figures if one.is_share and one.better != "neither"]
        departments = sorted({line.department or "" for line in bulletin.department_trend})
        months = [line.month for line in bulletin.trend if line.month is not None]
        sheet = self._sheet("走势", (), ())
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, len(departments) + 1, 16)
        top = 0
        for definition in shares:
            heads = [definition.name_zh + "（%）", "全部", *(bulletin.name(code) for code in departments)]
            for place, head in enumerate(heads):
                sheet.write_string(top, place, head, self._head)
            for offset, month in enumerate(months, 1):
                sheet.write_string(top + offset, 0, f"{month:%Y-%m}", self._plain)
                lines = [next(line for line in bulletin.trend if line.month == month)]
                by = {line.department: line for line in bulletin.department_trend if line.month == month}
                for place, line in enumerate([*lines, *(by.get(code) for code in departments)], 1):
                    value = _percent(line.figures.get(definition.figure)) if line else None
                    self._row(sheet, top + offset, (value,), start=place)
            chart = self._workbook.add_chart({"type": "line"})
            for place in range(1, len(heads)):
                chart.add_series(
                    {
                        "name": ["走势", top, place],
                        "categories": ["走势", top + 1, 0, top + len(months), 0],
                        "values": ["走势", top + 1, place, top + len(months), place],
                        "marker": {"type": "circle"},
                    }
                )
            chart.set_title({"name": definition.name_zh})
            chart.set_y_axis({"num_format": "0.0", "name": "%", "max": 100})
            chart.set_size({"width": 640, "height": 280})
            if months:
                sheet.insert_chart(top, len(heads) + 1, chart)
            top += max(len(months) + 3, 16)

    def problems(self, bulletin: Bulletin) -> None:
        rows = [
            (one.rule, one.message, one.severity, one.owner, one.rows, one.feeds, one.fix) for one in bulletin.problems
        ]
        self._sheet("主要问题", ("规则", "问题", "级别", "责任方", "行数", "报送源数", "处理办法"), rows)

    def what_if(self, bulletin: Bulletin) -> None:
        found = bulletin.what_if
        rows: list[Sequence[Cell]] = [("现状", "", None, found.text, found.numerator, found.denominator)]
        rows += [
            (f"第{place}步", "、".join(step.reasons), step.rows, step.text, step.numerator, step.denominator)
            for place, step in enumerate(found.steps, 1)
        ]
        if pair := found.best_pair:
            rows.append(("最佳两项", "、".join(pair.reasons), pair.rows, pair.text, pair.numerator, pair.denominator))
        self._sheet("整改测算", ("步骤", "整改的规则", "行数", found.definition.name_zh, "分子", "分母"), rows)

    def unreported(self, bulletin: Bulletin) -> None:
        found = bulletin.unreported
        rows: list[Sequence[Cell]] = [
            (bulletin.name(one.feed), f"{one.authority}{one.series}", one.seen, one.missing, "、".join(one.examples))
            for one in found.series
        ]
        rows += [
            (
                bulletin.name(one.feed),
                "与季节相比：预期（估计）" + f"{one.expected:,}",
                one.observed,
                one.shortfall,
                one.basis,
            )
            for one in found.volumes
        ]
        rows += [("说明", caveat, None, None, "") for caveat in found.caveats]
        self._sheet("疑似未报送（估计）", ("报送源", "文号序列或依据", "已报", "缺少（估计）", "举例"), rows)

    def definitions(self, bulletin: Bulletin) -> None:
        rows: list[Sequence[Cell]] = [
            (
                one.name_zh,
                one.definition_zh,
                _terms(one.numerator),
                _terms(one.denominator),
                "" if one.target is None else str(one.target),
                "" if one.alarm is None else str(one.alarm),
            )
            for one in bulletin.profile.figures
        ]
        rows.append((bulletin.profile.name_zh, bulletin.profile.notes_zh, "", "", "", ""))
        self._sheet("口径", ("指标", "定义", "分子", "分母", "达标", "预警"), rows)

    def _sheet(self, name: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Worksheet:
        sheet = self._workbook.add_worksheet(name)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        kept = list(rows)
        for place, head in enumerate(heads):
            sheet.write_string(0, place, head, self._head)
            longest = max([len(head), *(len(str(row[place] or "")) for row in kept)])
            sheet.set_column(place, place, min(2 * longest + 2, _WIDEST))
        for number, row in enumerate(kept, 1):
            self._row(sheet, number, row)
        if heads:
            sheet.freeze_panes(1, 0)
            sheet.repeat_rows(0)
        return sheet

    def _row(self, sheet: Worksheet, number: int, cells: Sequence[Cell], start: int = 0) -> None:
        for place, cell in enumerate(cells, start):
            if isinstance(cell, (int, float)):
                sheet.write_number(number, place, cell, self._number if isinstance(cell, int) else self._value)
            else:
                sheet.write_string(number, place, cell or "", self._plain)

    def _format_of(self, figure: Figure) -> Format:
        return self._levels[figure.level] if figure.level is not None else self._value


def _percent(figure: Figure | None) -> float | None:
    """The share for a chart, cut off rather than rounded: 99.999 is not 100."""
    if figure is None or not figure.denominator:
        return None
    return figure.numerator * 10_000 // figure.denominator / 100


def _terms(terms: Sequence[str]) -> str:
    return " + ".join(terms).replace("+ -", "− ")
