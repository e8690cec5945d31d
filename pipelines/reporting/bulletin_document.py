"""The bulletin as a document (.docx) for printing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence

from docx import Document
from docx.document import Document as DocumentFile
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor
from docx.table import Table, _Cell, _Row

from pipelines.reporting.bulletin import Bulletin
from pipelines.reporting.figures import Figure, FigureLine
from pipelines.reporting.words import chinese_date

BODY, HEADING, LATIN = "宋体", "黑体", "Times New Roman"
_LEVELS = {"good": "E2F0D9", "fair": "FFF2CC", "bad": "F8CBAD"}
_HEAD, _BAR = "D9E2F3", RGBColor(0x2F, 0x54, 0x96)
_BAR_LENGTH = 20
# A table of figures has this many columns beside the first; the rest goes into the next one.
_FIGURES_PER_TABLE = 6
_EPOCH = (1980, 1, 1, 0, 0, 0)
NOTHING = "本月没有数据。"


def bulletin_document(bulletin: Bulletin) -> bytes:
    """The whole document; the same bulletin gives the same bytes."""
    document = Document()
    _prepare(document, bulletin)
    _heading(document, bulletin)
    _silence(document, bulletin)
    _overview(document, bulletin)
    _trend(document, bulletin)
    _lines(document, "三、各部门情况", bulletin, bulletin.departments, "部门", "department")
    _lines(document, "四、各类信息情况", bulletin, bulletin.categories, "信息类别", "category")
    _problems(document, bulletin)
    _what_if(document, bulletin)
    _unreported(document, bulletin)
    _definitions(document, bulletin)
    written = io.BytesIO()
    document.save(written)
    return _without_times(written.getvalue())


def _prepare(document: DocumentFile, bulletin: Bulletin) -> None:
    section = document.sections[0]
    section.orientation = WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2)
    section.top_margin = section.bottom_margin = Cm(2)
    for name, font, size in (
        ("Normal", BODY, 10.5),
        ("Title", HEADING, 18),
        ("Heading 1", HEADING, 14),
        ("Heading 2", HEADING, 12),
    ):
        style = document.styles[name]
        style.font.name, style.font.size = LATIN, Pt(size)
        style.font.color.rgb = RGBColor(0, 0, 0)
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        fonts.set(qn("w:eastAsia"), font)
        for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            fonts.attrib.pop(qn(f"w:{theme}"), None)
    about = document.core_properties
    about.title, about.author, about.language = bulletin.title, "guiji", "zh-CN"
    about.comments = ""
    about.created = about.modified = bulletin.made_for
    about.revision = 1
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    footer.add_run("第 ")
    _field(footer.add_run(), "PAGE")
    footer.add_run(" 页")


def _field(run: object, code: str) -> None:
    """A field that the word processor fills in."""
    for kind, text in (("begin", None), (None, code), ("end", None)):
        element = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            element.set(qn("w:fldCharType"), kind)
        else:
            element.text = text
        run._r.append(element)  # type: ignore[attr-defined]


def _heading(document: DocumentFile, bulletin: Bulletin) -> None:
    document.add_paragraph(bulletin.title, style="Title").alignment = WD_ALIGN_PARAGRAPH.CENTER
    profile = bulletin.profile
    document.add_paragraph(
        f"口径：{profile.name_zh}{'' if profile.verified else '（未见官方原文）'}。"
        f"数据截至{chinese_date(bulletin.until)}的批次，共{bulletin.feeds}个报送源。"
        "各项比率均列出分子和分母，可据此复算；月度和部门数为各批次分子、分母分别相加。"
    )
    if bulletin.open_batches:
        document.add_paragraph(
            f"其中{bulletin.open_batches}个批次的部分数据（标*）尚待上级平台答复或到期，之后可能变化；其余为最终数据，"
            "除非批次重新处理。"
        )


def _silence(document: DocumentFile, bulletin: Bulletin) -> None:
    document.add_heading("一、未报送情况", 1)
    if not bulletin.silent:
        document.add_paragraph("全部报送源均有报送。")
        return
    document.add_paragraph(f"下列{len(bulletin.silent)}个报送源截至{chinese_date(bulletin.until)}未见报送：")
    rows = [
        (
            bulletin.name(one.department),
            bulletin.name(one.feed),
            "从未报送" if one.last is None else chinese_date(one.last),
            "—" if one.days is None else f"{one.days}",
        )
        for one in bulletin.silent
    ]
    _table(document, ("部门", "报送源", "最近一次报送", "已静默天数"), rows, (5, 6, 4, 2))


def _overview(document: DocumentFile, bulletin: Bulletin) -> None:
    document.add_heading("二、总体情况", 1)
    if bulletin.whole is None:
        document.add_paragraph(NOTHING)
        return
    table = _table(document, ("指标", "本月", "分子", "分母", "上月"), (), (5, 3.5, 3, 3, 2.5))
    for code, figure in bulletin.whole.figures.items():
        before = bulletin.before.figures.get(code) if bulletin.before else None
        row = _new_row(table)
        below = "—" if figure.denominator is None else f"{figure.denominator:,}"
        values = (_title(figure), _value(figure), f"{figure.numerator:,}", below, _value(before))
        for place, (cell, text) in enumerate(zip(row.cells, values, strict=True)):
            _write(cell, text, right=place > 0)
        _shade(row.cells[1], figure)


def _trend(document: DocumentFile, bulletin: Bulletin) -> None:
    shares = [code for code, figure in _figures(bulletin.trend).items() if figure.definition.better != "neither"]
    shares = [code for code in shares if _figures(bulletin.trend)[code].definition.is_share][:3]
    if len(bulletin.trend) < 2 or not shares:
        return
    document.add_heading("走势", 2)
    for code in shares:
        table = _table(document, ("月份", _figures(bulletin.trend)[code].definition.name_zh, ""), (), (3, 3, 11))
        for line in bulletin.trend:
            figure = line.figures.get(code)
            row = _new_row(table)
            _write(row.cells[0], f"{line.month:%Y-%m}" if line.month else "")
            _write(row.cells[1], _value(figure), right=True)
            _write(row.cells[2], _bar(figure), color=_BAR)
        document.add_paragraph()


def _bar(figure: Figure | None) -> str:
    """The share as a bar; a whole bar only for a whole share."""
    if figure is None or not figure.denominator:
        return ""
    length = figure.numerator * _BAR_LENGTH // figure.denominator
    return "█" * max(min(length, _BAR_LENGTH), 0) + (
        "▌" if figure.numerator * 2 * _BAR_LENGTH // figure.denominator % 2 else ""
    )


def _lines(
    document: DocumentFile, title: str, bulletin: Bulletin, lines: Sequence[FigureLine], first: str, of: str
) -> None:
    document.add_heading(title, 1)
    known = _figures(lines)
    if not known:
        document.add_paragraph(NOTHING)
        return
    codes = list(known)
    tables = -(-len(codes) // _FIGURES_PER_TABLE)
    for number in range(tables):
        shown = codes[len(codes) * number // tables : len(codes) * (number + 1) // tables]
        width = 13.5 / len(shown)
        heads = (first, *(known[code].definition.name_zh for code in shown))
        table = _table(document, heads, (), (3.5, *([width] * len(shown))))
        for line in lines:
            row = _new_row(table)
            _write(row.cells[0], bulletin.name(getattr(line, of)))
            for cell, code in zip(row.cells[1:], shown, strict=True):
                figure = line.figures.get(code)
                _write(cell, _value(figure), _quotient(figure), right=True)
                _shade(cell, figure)
        document.add_paragraph()


def _problems(document: DocumentFile, bulletin: Bulletin) -> None:
    document.add_heading("五、主要问题", 1)
    if not bulletin.problems:
        document.add_paragraph("本月没有发现问题。")
        return
    rows = [
        (f"{one.message}（{one.rule}）", one.severity, one.owner, f"{one.rows:,}", f"{one.feeds}", one.fix)
        for one in bulletin.problems
    ]
    _table(document, ("问题", "级别", "责任方", "行数", "报送源", "处理办法"), rows, (5, 1.8, 1.8, 1.6, 1.3, 5.5))


def _what_if(document: DocumentFile, bulletin: Bulletin) -> None:
    found = bulletin.what_if
    document.add_heading("六、整改测算", 1)
    name = found.definition.name_zh
    if not found.steps:
        document.add_paragraph("没有可以测算的问题行。")
        return
    document.add_paragraph(
        f"本月{name}为{found.text}（{found.numerator:,} ÷ {found.denominator:,}）。依次整改下列问题后："
        + (f"（其中{found.cleared}个批次的明细已清理，按原样计算。）" if found.cleared else "")
    )
    rows = [
        (
            f"{place}",
            "；".join(f"{bulletin.messages[code]}（{code}）" for code in step.reasons),
            f"{step.rows:,}",
            step.text,
            f"{step.numerator:,} ÷ {step.denominator:,}",
        )
        for place, step in enumerate(found.steps, 1)
    ]
    _table(document, ("序号", "整改的问题", "行数", name, "分子 ÷ 分母"), rows, (1.3, 7.7, 2, 2.5, 3.5))


def _unreported(document: DocumentFile, bulletin: Bulletin) -> None:
    found = bulletin.unreported
    document.add_heading("七、疑似未报送（估计，非事实）", 1)
    for caveat in found.caveats:
        document.add_paragraph(caveat, style="List Bullet")
    if found.since > found.until:
        document.add_paragraph("本月的决定尚未到期，暂不估计。")
        return
    document.add_paragraph(
        f"依据：{chinese_date(found.since)}至{chinese_date(found.until)}作出的决定的文号序列；"
        f"另有{found.unsuitable}个序列的文号太少或太稀，不作估计。"
    )
    rows = [
        (
            bulletin.name(one.feed),
            f"{one.authority}{one.series}",
            f"{one.seen:,}",
            f"{one.missing:,}",
            "、".join(one.examples),
        )
        for one in found.series
        if one.missing
    ]
    if rows:
        _table(document, ("报送源", "文号序列", "已报", "空号（估计）", "空号举例"), rows, (4, 5.5, 1.7, 2, 3.8))
    else:
        document.add_paragraph("可估计的文号序列中没有空号。")
    volumes = [
        (
            bulletin.name(one.feed),
            f"{one.observed:,}",
            f"{one.expected:,}",
            "上年同周" if one.basis == "same_weeks" else "前26周各星期的中位数",
            f"{one.shortfall:,}",
        )
        for one in found.volumes
        if one.shortfall
    ]
    if volumes:
        document.add_paragraph()
        _table(document, ("报送源", "本月决定数", "预期（估计）", "预期依据", "差额"), volumes, (5, 2.5, 2.5, 4.5, 2.5))


def _definitions(document: DocumentFile, bulletin: Bulletin) -> None:
    document.add_heading("八、指标口径", 1)
    profile = bulletin.profile
    document.add_paragraph(f"{profile.name_zh}。{profile.notes_zh}")
    rows = [
        (
            definition.name_zh,
            definition.definition_zh,
            " ".join(
                f"{mark}{limit}{'%' if definition.is_share else ''}"
                for mark, limit in (("达标", definition.target), ("预警", definition.alarm))
                if limit is not None
            )
            or "—",
        )
        for definition in profile.figures
    ]
    _table(document, ("指标", "定义", "界限"), rows, (3.5, 10.5, 3))


def _figures(lines: Iterable[FigureLine]) -> dict[str, Figure]:
    """Every figure that some line has, in the order of the profile."""
    return {code: figure for line in lines for code, figure in line.figures.items()}


def _title(figure: Figure) -> str:
    unit = {"percent": "", "days": "（天）", "rows": "（条）", "codes": "（个）"}[figure.definition.unit]
    return figure.definition.name_zh + unit


def _value(figure: Figure | None) -> str:
    return "—" if figure is None else figure.text + ("" if figure.is_final else "*")


def _quotient(figure: Figure | None) -> str:
    if figure is None or not figure.denominator:
        return ""
    return f"{figure.numerator:,}/{figure.denominator:,}"


def _table(
    document: DocumentFile, heads: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[float]
) -> Table:
    """A table with a shaded head that is repeated on every page; widths in centimetres."""
    table: Table = document.add_table(rows=1, cols=len(heads), style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Cm(width)
    for cell, head, width in zip(table.rows[0].cells, heads, widths, strict=True):
        cell.width = Cm(width)
        _write(cell, head, bold=True)
        _fill(cell, _HEAD)
    _keep_head(table.rows[0])
    for row in rows:
        for cell, text in zip(_new_row(table).cells, row, strict=True):
            _write(cell, text)
    return table


def _new_row(table: Table) -> _Row:
    row: _Row = table.add_row()  # type: ignore[no-untyped-call]
    for cell, column in zip(row.cells, table.columns, strict=True):
        cell.width = column.width
    row._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
    return row


def _keep_head(row: _Row) -> None:
    row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))


def _write(
    cell: _Cell, text: str, below: str = "", *, right: bool = False, bold: bool = False, color: RGBColor | None = None
) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.paragraph_format.space_after = Pt(0)
    if right:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    run = paragraph.add_run(text)
    run.bold, run.font.size = bold, Pt(9)
    if color is not None:
        run.font.color.rgb = color
    if below:
        run.add_break()
        small = paragraph.add_run(below)
        small.font.size = Pt(7)
        small.font.color.rgb = RGBColor(0x59, 0x59, 0x59)


def _shade(cell: _Cell, figure: Figure | None) -> None:
    if figure is not None and figure.level is not None:
        _fill(cell, _LEVELS[figure.level])


def _fill(cell: _Cell, color: str) -> None:
    shading = OxmlElement("w:shd")
    shading.set(qn("w:val"), "clear")
    shading.set(qn("w:fill"), color)
    cell._tc.get_or_add_tcPr().append(shading)


def _without_times(data: bytes) -> bytes:
    """The same package with the same time on every part."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as package, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as fixed:
        for part in package.infolist():
            fixed.writestr(zipfile.ZipInfo(part.filename, _EPOCH), package.read(part), zipfile.ZIP_DEFLATED)
    return written.getvalue()
