"""Files that say which days of a year are days off: our own YAML, the text of a notice, or a table of days."""

from __future__ import annotations

from pathlib import Path

from docx import Document as open_docx
from docx.opc.exceptions import PackageNotFoundError
from lxml import etree, html

from pipelines.deadlines.arrangements import Arrangement, read_arrangement
from pipelines.deadlines.calendar import WorkingCalendar
from pipelines.deadlines.notice_table import read_table
from pipelines.deadlines.notice_text import parse_notice
from pipelines.errors import CalendarError

KINDS = (".yaml", ".yml", ".txt", ".docx", ".html", ".htm", ".csv")


def read_notice(
    path: Path, calendar: WorkingCalendar, year: int | None = None, source: str | None = None
) -> Arrangement:
    """The arrangement of a file, whatever its form; ``year`` and ``source`` are for tables, which may not say them.

    Raises :class:`CalendarError` or :class:`CatalogueError` naming the file for one that cannot be read, is empty,
    contradicts itself or only estimates.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise CalendarError(f"a calendar cannot be read from {kind or 'such a file'}", remedy=_remedy(), file=path)
    if not path.is_file():
        raise CalendarError("the file is missing", remedy="name a file that is there", file=path)
    if kind in {".yaml", ".yml"}:
        return read_arrangement(path)
    try:
        if kind == ".csv":
            return read_table(_decoded(path), year, source)
        return parse_notice(_text(path, kind), calendar)
    except CalendarError as error:
        raise CalendarError(error.problem, remedy=error.remedy, file=path) from error


def _text(path: Path, kind: str) -> str:
    if kind == ".txt":
        return _decoded(path)
    try:
        if kind == ".docx":
            document = open_docx(str(path))
            cells = (cell.text for table in document.tables for row in table.rows for cell in row.cells)
            return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])
        page = html.fromstring(path.read_bytes(), parser=html.HTMLParser(remove_comments=True, no_network=True))
    except (PackageNotFoundError, etree.ParserError, ValueError, KeyError, OSError) as error:
        # What python-docx says of a file that is no document names the file, too; its words help nobody.
        raise CalendarError(f"no {kind} file", remedy=_remedy()) from error
    etree.strip_elements(page, "script", "style", with_tail=False)
    return "".join(map(str, page.itertext()))


def _decoded(path: Path) -> str:
    """UTF-8, else GB18030: what editors and browsers in China save."""
    content = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CalendarError("the file is neither UTF-8 nor GB18030", remedy="save it as UTF-8")


def _remedy() -> str:
    return f"give one of {', '.join(KINDS)}"
