"""XML: records with the line they stand on, nothing lost, nothing fetched, nothing half read."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Format
from pipelines.engine.duck import Session
from pipelines.errors import ExtractError
from pipelines.intake.reading import IntakeResult
from pipelines.intake.structured import iter_records
from tests.intake.conftest import located

Take = Callable[..., IntakeResult]
DECLARED = '<?xml version="1.0" encoding="UTF-8"?>\n'
ROW = "<ROW><CF_XDR_MC>甲</CF_XDR_MC><CF_WSH>1号</CF_WSH></ROW>"


def records(path: Path, data: bytes | str, layout: Format | None = None) -> list[tuple[int, dict[str, str | None]]]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(iter_records(path, "a.xml", "xml", layout or Format()))


def refusal(path: Path, data: bytes | str, layout: Format | None = None) -> ExtractError:
    with pytest.raises(ExtractError) as caught:
        records(path, data, layout)
    assert caught.value.file == "a.xml"
    assert caught.value.remedy
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "extract"


@pytest.mark.parametrize(
    ("text", "layout", "expected"),
    [
        ("<ROWDATA>\n<ROW><A>1</A></ROW>\n<ROW><A>2</A></ROW></ROWDATA>", None, [(2, "1"), (3, "2")]),
        ("<DATAS>\n<DATA><A>1</A></DATA>\n<DATA><A>2</A></DATA></DATAS>", None, [(2, "1"), (3, "2")]),
        ("<list>\n<one><A>1</A></one>\n<one><A>2</A></one></list>", None, [(2, "1"), (3, "2")]),
        ("<list>\n<one><A>1</A></one></list>", None, [(2, "1")]),
        (
            "<answer><code>0</code><page><total>2</total>\n<r><A>1</A></r>\n<r><A>2</A></r></page></answer>",
            None,
            [(2, "1"), (3, "2")],
        ),
        (
            '<e:ExchangeMessage xmlns:e="urn:gd"><e:Header><sn>9</sn></e:Header><e:Body>\n'
            "<e:fields><e:A>1</e:A></e:fields></e:Body><e:Body>\n<fields><A>2</A></fields></e:Body></e:ExchangeMessage>",
            Format(row_path="ExchangeMessage/Body/fields"),
            [(2, "1"), (3, "2")],
        ),
        ("\n\n<?xml version='1.0'?>\n<ROWDATA><ROW><A>1</A></ROW></ROWDATA>", None, [(4, "1")]),
    ],
    ids=["ROWDATA", "DATAS", "repeated child", "only child", "deeper", "row path", "blank lines first"],
)
def test_rows_are_found(path: Path, text: str, layout: Format | None, expected: list[tuple[int, str]]) -> None:
    assert records(path, text, layout) == [(line, {"A": value}) for line, value in expected]


def test_everything_in_a_row_becomes_a_column(path: Path) -> None:
    row = """
    <ROW id="7" xsi:nil="false">
      <A>1</A><A>2</A><A/>
      <B unit="元"><C> 3 </C><D>&lt;4&gt;<![CDATA[&5]]></D></B>
      <party><name>甲</name></party><party><name>乙</name><code>9</code><code>8</code></party>
      <text>一<br/>二</text>
      <empty/>
    </ROW>"""
    [(line, record)] = records(path, f'<ROWDATA xmlns:xsi="http://x">{row}</ROWDATA>')
    assert line == 2
    assert record == {
        "@id": "7",
        "A": "1;2",
        "B.@unit": "元",
        "B.C": " 3 ",
        "B.D": "<4>&5",
        "party": '[{"name": "甲"}, {"name": "乙", "code": ["9", "8"]}]',
        "text": "一二",
        "text.br": None,
        "empty": None,
    }


def test_names_with_points_do_not_overwrite_each_other(path: Path) -> None:
    [(_, record)] = records(path, "<ROWDATA><ROW><a.b>1</a.b><a><b>2</b></a></ROW></ROWDATA>")
    assert record == {"a.b": "1;2"}


def test_lines_are_right_in_a_long_file(path: Path) -> None:
    rows = 100_000
    with path.open("w", encoding="utf-8") as writer:
        writer.write(DECLARED + "<ROWDATA>\n")
        for number in range(rows):
            writer.write(f"<ROW>\n  <A>{number}</A>\n</ROW>\n" if number % 2 else f"<ROW><A>{number}</A></ROW>\n")
    with path.open("a", encoding="utf-8") as writer:
        writer.write("</ROWDATA>")
    line = 3
    for number, (found, record) in enumerate(iter_records(path, "a.xml", "xml", Format())):
        assert (found, record) == (line, {"A": str(number)})
        line += 3 if number % 2 else 1
    assert number == rows - 1


def test_a_large_file_is_never_in_memory_as_a_whole(path: Path) -> None:
    row = f"<ROW><A>{'一' * 10_000}</A></ROW>\n"
    path.write_text(f"<ROWDATA>{row * 2_000}</ROWDATA>", encoding="utf-8")
    tracemalloc.start()
    assert sum(1 for _ in iter_records(path, "a.xml", "xml", Format())) == 2_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 60_000_000
    assert peak < 24 << 20


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("GBK", "gb18030"),
        ("gb2312", "gb18030"),
        ("GB18030", "gb18030"),
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-be"),
        ("UTF-16LE", "utf-16-le"),
        ("UTF-8", "gb18030"),
    ],
)
def test_encodings(duck: Session, take: Take, declared: str, encoding: str) -> None:
    name = "㐀𠮷行政处罚公司"
    text = f'<?xml version="1.0" encoding="{declared}"?><ROWDATA><ROW><CF_XDR_MC>{name}</CF_XDR_MC></ROW></ROWDATA>'
    result = take(text.encode(encoding), "a.xml")
    assert located(duck, result.parts[0]) == [("", 1, {"CF_XDR_MC": name})]
    assert result.extracts[0]["encoding"] == encoding.removesuffix("-sig")


def test_gb18030_has_the_code_points_of_2022(path: Path) -> None:
    data = b'<?xml version="1.0" encoding="GB18030"?><ROWDATA><ROW><A>\xa6\xd9\xd6\xd0\xb9\xfa</A></ROW></ROWDATA>'
    assert records(path, data) == [(1, {"A": "\ufe10中国"})]


@pytest.mark.parametrize(
    ("data", "layout", "words", "line"),
    [
        (f"<ROWDATA>\n{ROW}\n<A>公司".encode() + b"\xe5\x85</A></ROWDATA>", None, "UTF-8 or GB18030", 3),
        (DECLARED.encode().replace(b"UTF-8", b"Big5") + "<a>甲</a>".encode("big5"), None, "Big5", 1),
        (f"<ROWDATA>\n{ROW}</ROWDATA>".encode("gb18030"), Format(encoding="utf-8"), "UTF-8", 2),
        (f"<ROWDATA>{ROW}</ROWDATA>".encode("utf-16"), Format(encoding="gb18030"), "UTF-16", None),
        (f"<ROWDATA>\n{ROW}</ROWDATA>".encode("utf-16")[:-1], None, "UTF-16", 2),
    ],
)
def test_what_is_in_no_encoding_is_refused(
    path: Path, data: bytes, layout: Format | None, words: str, line: int | None
) -> None:
    error = refusal(path, data, layout)
    assert words in error.problem
    assert error.line == line


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that notes what it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!ENTITY a 'stolen'>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.mark.parametrize(
    ("start", "inside"),
    [
        ('<!DOCTYPE ROWDATA [\n<!ENTITY a "aaa"><!ENTITY b "&a;&a;&a;">]>', "&b;"),
        ('<!DOCTYPE ROWDATA [<!ENTITY a SYSTEM "{url}/a">]>', "&a;"),
        ('<!DOCTYPE ROWDATA [<!ENTITY a SYSTEM "file://{file}">]>', "&a;"),
        ('<!DOCTYPE ROWDATA [<!ENTITY % a SYSTEM "{url}/p"> %a;]>', ""),
        ('<!DOCTYPE ROWDATA SYSTEM "{url}/d.dtd">', ""),
        ('<!DOCTYPE ROWDATA PUBLIC "x" "{url}/d.dtd">', ""),
        ('<?xml-stylesheet type="text/xsl" href="{url}/s"?>', ""),
        ("", '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{url}/i"/>'),
        ("", '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{file}" parse="text"/>'),
        ("", "<?php echo 1 ?>"),
    ],
    ids=["laughs", "external", "file", "parameter", "dtd", "public", "stylesheet", "xinclude", "included file", "pi"],
)
@pytest.mark.parametrize("row_path", [None, "ROWDATA/ROW"])
def test_tricks_are_refused_and_nothing_is_fetched(
    tmp_path: Path, path: Path, server: tuple[str, list[str]], start: str, inside: str, row_path: str | None
) -> None:
    url, asked = server
    asked.clear()
    secret = tmp_path / "secret"
    secret.write_text("a secret of this machine", encoding="utf-8")
    places = {"url": url, "file": str(secret)}
    text = f"<ROWDATA>\n<ROW><A>1</A></ROW>\n<ROW><A>{inside}</A></ROW></ROWDATA>"
    if start:
        text = f"{start}\n{text}"
    for name, place in places.items():
        text = text.replace(f"{{{name}}}", place)
    error = refusal(path, text, Format(row_path=row_path))
    assert error.line == (1 if start else 3)
    assert "nothing of it was read" in error.problem
    assert "secret of this" not in str(error)
    assert asked == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"<ROWDATA>\n{ROW}\n<ROW><A>甲&乙</A></ROW></ROWDATA>", 3),
        (f"<ROWDATA>\n{ROW}\n<ROW><A>3<5</A></ROW></ROWDATA>", 3),
        (f"<ROWDATA>\n{ROW}\n<ROW><A>\x0b</A></ROW></ROWDATA>", 3),
        (f"<ROWDATA>\n{ROW}\n<ROW><A>1</ROW></ROWDATA>", 3),
        (f"<ROWDATA>\n{ROW}\n{ROW}\n", 4),
        (f"<ROWDATA>\n{ROW}\n<ROW><CF_W", 3),
        (f"<ROWDATA>\n{ROW}</ROWDATA>\n<ROWDATA>\n{ROW}</ROWDATA>", 3),
        (f"<ROWDATA>\n{ROW}\n<ROW><A>&nbsp;</A></ROW></ROWDATA>", 3),
    ],
    ids=["ampersand", "less than", "control", "tag", "cut between rows", "cut in a tag", "two documents", "entity"],
)
def test_malformed_xml_is_refused_whole(take: Take, tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(ExtractError) as caught:
        take(text.encode(), "a.xml")
    assert "not well-formed" in caught.value.problem
    assert (caught.value.file, caught.value.line) == ("a.xml", line)
    assert [found.name for found in (tmp_path / "run").rglob("*") if found.is_file()] == []


@pytest.mark.parametrize("row_path", [None, "ROWDATA/ROW"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<ROWDATA><ROW>" + "<a>" * 10_000, "too deep"),
        ("<a>" * 10_000, "too deep"),
        (f"<ROWDATA><ROW a={quoteattr('x' * (9 << 20))}/></ROWDATA>", "tag or comment is longer"),
        (f"<ROWDATA><!--{'x' * (9 << 20)}--><ROW/></ROWDATA>", "tag or comment is longer"),
        (f"<ROWDATA><ROW><A>{'x' * (20 << 20)}</A></ROW></ROWDATA>", "row is longer"),
    ],
    ids=["row", "document", "attribute", "comment", "text"],
)
def test_what_no_record_needs_is_refused(path: Path, text: str, words: str, row_path: str | None) -> None:
    if row_path is None and words.startswith("row"):
        return
    assert words in refusal(path, text, Format(row_path=row_path)).problem


def test_two_candidates_for_the_rows_are_named(path: Path) -> None:
    text = "<r><x><A>1</A></x><x><A>1</A></x><y><B>1</B></y><y><B>1</B></y></r>"
    assert "r/x, r/y" in refusal(path, text).problem
    assert [record for _, record in records(path, text, Format(row_path="r/y"))] == [{"B": "1"}, {"B": "1"}]


def test_elements_beside_the_rows_are_named_unless_the_path_is_declared(take: Take, feed: Callable[..., Feed]) -> None:
    text = f"<ROWDATA><total>2</total>{ROW}\n{ROW}\n<Row><CF_WSH>3</CF_WSH></Row></ROWDATA>".encode()
    assert take(text, "a.xml").extracts[0]["sheets_left_out"] == {
        "<total>": "1 beside the rows",
        "<Row>": "1 beside the rows",
    }
    declared = take(text, "b.xml", feed(format=Format(row_path="ROWDATA/ROW")))
    assert "sheets_left_out" not in declared.extracts[0]
    assert declared.rows_decoded == 2


def test_rows_that_share_a_line_are_numbered_as_records(duck: Session, take: Take) -> None:
    result = take(f"<ROWDATA>\n{ROW}\n{ROW}{ROW}</ROWDATA>".encode(), "a.xml")
    assert [line for _, line, _ in located(duck, result.parts[0])] == [1, 2, 3]
    assert result.extracts[0]["numbered_by"] == "record"
    alone = take(f"<ROWDATA>\n{ROW}\n{ROW}\n</ROWDATA>".encode(), "b.xml")
    assert [line for _, line, _ in located(duck, alone.parts[0])] == [2, 3]
    assert alone.extracts[0]["numbered_by"] == "line"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<ROWDATA></ROWDATA>", "no rows"),
        ("<ROWDATA/>", "no rows"),
        ("<list><a>1</a><a>2</a></list>", "no rows"),
        ("<ROWDATA><ROW><P>1</P><Q>2</Q></ROW></ROWDATA>", "no field that anybody knows"),
    ],
)
def test_a_file_without_records_of_ours_is_refused(take: Take, text: str, words: str) -> None:
    with pytest.raises(ExtractError, match=words):
        take(text.encode(), "a.xml")


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.sampled_from("\t &<>'\"]"), max_size=9
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.dictionaries(NAMES, TEXTS, min_size=1, max_size=4), min_size=1, max_size=5), pretty=st.booleans()
)
def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], pretty: bool
) -> None:
    gap = "\n " if pretty else ""
    fields = ["".join(f"{gap}<{name}>{escape(text)}</{name}>" for name, text in row.items()) for row in rows]
    text = "<ROWDATA>" + "".join(f"\n<ROW>{inside}{gap}</ROW>" for inside in fields) + "</ROWDATA>"
    found = records(tmp_path_factory.getbasetemp() / "written", text)
    assert [record for _, record in found] == [{name: value or None for name, value in row.items()} for row in rows]
    for line, _ in found:
        assert text.split("\n")[line - 1].startswith("<ROW>")
