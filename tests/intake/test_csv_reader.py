"""CSV: every encoding and delimiter, both ways, and a bad line that costs only itself."""

from __future__ import annotations

import codecs
import csv
import errno
import io
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.catalogue.formats import Format
from pipelines.errors import ExtractError, StorageError
from pipelines.intake import csv_pieces
from pipelines.intake.csv_lines import read_lines
from pipelines.intake.csv_records import MAX_LINE_BYTES, MAX_RECORD_LINES
from pipelines.intake.delimited import OpenRecord
from pipelines.intake.rejects import MAX_KEPT_BYTES
from tests.intake.conftest import ReadCsv

Read = Callable[..., ReadCsv]
BOTH = pytest.mark.parametrize("fast", [True, False], ids=["fast", "careful"])
WAY = {"utf-8": "fast", "utf-8-sig": "fast", "utf-16": "fast", "gb18030": "mended"}
RELAXED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@BOTH
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"], ids=["comma", "tab", "semicolon", "pipe"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_every_encoding_delimiter_and_line_end(
    read: Read, encoding: str, delimiter: str, line_end: str, fast: bool
) -> None:
    table = [["a", "b", "c"], ["甲公司𠮷", "", "罚款1元"], ["x", "y ", " z"]]
    data = (line_end.join(delimiter.join(row) for row in table) + line_end).encode(encoding)
    result = read(data, fast=fast)
    assert result.rows == [(2, ("甲公司𠮷", None, "罚款1元")), (3, ("x", "y ", " z"))]
    assert result.rejects == []
    assert result.found.manifest["physical_lines"] == 3
    assert result.found.manifest["encoding"].startswith(encoding.removesuffix("-sig"))
    assert result.found.manifest["way"] == (WAY[encoding] if fast else "careful")


@BOTH
def test_cells_stay_exactly_as_sent(read: Read, fast: bool) -> None:
    row = ["  two blanks  ", 'a"b', "="]
    result = read(("a,b,c\n" + ",".join(row) + "\n\u3000,NULL,0012\n").encode(), fast=fast)
    assert [cells for _, cells in result.rows] == [tuple(row), ("\u3000", "NULL", "0012")]


def test_no_byte_inside_a_gb18030_character_looks_like_structure() -> None:
    structure = set(b',\t;"\r\n')
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x110000, 7)):
        assert not structure & set(chr(code).encode("gb18030"))


@BOTH
def test_quoted_line_breaks_join_lines_and_lines_are_counted_on(read: Read, fast: bool) -> None:
    data = 'a,b,c\n1,"二\n行",3\n4,"x,\r\ny ""z""",6\n7,8,9\n'.encode()
    result = read(data, fast=fast)
    assert result.rows == [(2, ("1", "二\n行", "3")), (4, ("4", 'x,\r\ny "z"', "6")), (6, ("7", "8", "9"))]


@BOTH
def test_wrong_number_of_cells_costs_only_that_line(read: Read, fast: bool) -> None:
    result = read("a,b,c\n1,2,3\n短,行\n4,5,6\n1,2,3,4\n7,8,9\n".encode(), fast=fast)
    assert [line for line, _ in result.rows] == [2, 4, 6]
    assert result.causes == [(3, "LINE-002"), (5, "LINE-002")]
    assert [(reject.data, reject.expected_cells, reject.actual_cells) for reject in result.rejects] == [
        ("短,行".encode(), 3, 2),
        (b"1,2,3,4", 3, 4),
    ]


@BOTH
def test_empty_cells_beyond_the_last_column_hold_nothing(read: Read, fast: bool) -> None:
    assert read(b"a,b,c\n1,2,3,\n4,5,6,,\n", fast=fast).rows == [(2, ("1", "2", "3")), (3, ("4", "5", "6"))]


@BOTH
def test_blank_lines_are_skipped_counted_and_do_not_shift_lines(read: Read, fast: bool) -> None:
    result = read(b"a,b,c\n1,2,3\n\n  \n,,\n4,5,6\n\n\n", fast=fast)
    assert [line for line, _ in result.rows] == [2, 6]
    assert result.rejects == []
    assert result.found.manifest["blank_lines"] == 5


@BOTH
def test_a_quote_never_closed_does_not_swallow_the_file(read: Read, fast: bool) -> None:
    result = read(b'a,b,c\n1,2,3\n4,"5,6\n7,8,9\n"x",y,z\n10,11,12\n', fast=fast)
    assert [line for line, _ in result.rows] == [2, 4, 5, 6]
    assert result.causes == [(3, "LINE-004")]
    assert result.rejects[0].data == b'4,"5,6'


def test_a_quote_never_closed_is_given_up_after_a_bounded_number_of_lines(read: Read) -> None:
    many = MAX_RECORD_LINES * 3
    result = read(b'a,b,c\n1,"2,3\n' + b"4,5,6\n" * many + b'7,8",9\n')
    assert len(result.rows) == many + 1
    assert result.causes == [(2, "LINE-004")]


@BOTH
def test_quotes_that_were_not_doubled_are_text_when_the_cells_add_up(read: Read, fast: bool) -> None:
    result = read('a,b,c\n1,"关于"某案"的决定",3\n4,"关于"某,案"的决定",6\n'.encode(), fast=fast)
    assert result.rows[0] == (2, ("1", '关于"某案"的决定', "3"))
    assert result.rows[1] == (3, ("4", '关于"某,案"的决定', "6"))


@BOTH
def test_nul_bytes_and_binary_rubbish_are_rejected_with_their_bytes(read: Read, fast: bool) -> None:
    rubbish = bytes(range(128, 256)) * 3
    result = read(b"a,b,c\n1,2,3\n4,5\0,6\n" + rubbish + b"\n7,8,9\n", fast=fast)
    assert [line for line, _ in result.rows] == [2, 5]
    assert result.causes == [(3, "LINE-003"), (4, "LINE-001")]
    assert [reject.data for reject in result.rejects] == [b"4,5\0,6", rubbish]


@BOTH
@pytest.mark.parametrize("cut", [1, 2])
def test_a_truncated_last_character_costs_the_last_line(read: Read, fast: bool, cut: int) -> None:
    good = "a,b,c\n一,二,三\n".encode("gb18030")
    last = "四,五,六𠮷".encode("gb18030")[:-cut]
    result = read(good + last, fast=fast)
    assert result.rows == [(2, ("一", "二", "三"))]
    assert result.causes == [(3, "LINE-001")]


@BOTH
def test_lines_in_another_encoding_are_read_line_by_line(read: Read, fast: bool) -> None:
    """Two departments' files pasted together (domain.md 8, 58): each line is read in what it is in."""
    gb = "某市示例有限公司,罚款人民币,警告\n".encode("gb18030")
    for data in (
        "a,b,c\n测试公司,罚款,警告\n".encode() + gb,
        "a,b,c\n处罚事由,罚款,警告\n".encode("gb18030") + "示例有限公司,罚款,警告\n".encode() + gb,
    ):
        result = read(data, fast=fast)
        assert "某市示例有限公司" in [cells[0] for _, cells in result.rows]
        assert {"测试公司", "示例有限公司"} & {cells[0] for _, cells in result.rows}
        assert set(result.found.manifest["rows_by_encoding"]) == {"utf-8", "gb18030"}
        assert result.rejects == []


@BOTH
def test_a_damaged_utf8_line_is_not_taken_for_gb18030(read: Read, fast: bool) -> None:
    damaged = "示例科技有限公司,罚款,警告".encode()[1:]
    result = read("a,b,c\n甲,乙,丙\n".encode() + damaged + b"\n1,2,3\n", fast=fast)
    assert result.causes == [(3, "LINE-001")]
    assert [line for line, _ in result.rows] == [2, 4]


@BOTH
def test_a_declared_encoding_is_not_second_guessed(read: Read, fast: bool) -> None:
    gb, utf8 = "甲,乙,丙\n".encode("gb18030"), "丁,戊,己\n".encode()
    result = read(b"a,b,c\n" + gb + utf8, layout=Format(encoding="utf-8"), fast=fast)
    assert result.causes == [(2, "LINE-001")]
    assert result.rows == [(3, ("丁", "戊", "己"))]
    result = read(b"a,b,c\n" + gb + b"\xff\xff,2,3\n", layout=Format(encoding="gb18030"), fast=fast)
    assert result.rows == [(2, ("甲", "乙", "丙"))]
    assert result.causes == [(3, "LINE-001")]


@pytest.mark.parametrize(("declared", "real"), [("utf-8", "gb18030"), ("gb18030", "utf-8"), ("gb18030", "utf-8-sig")])
@pytest.mark.parametrize("header", ["a,b,c", "名称,代码,a"], ids=["ascii header", "chinese header"])
def test_another_encoding_than_declared_is_named_with_its_remedy(
    read: Read, declared: str, real: str, header: str
) -> None:
    data = f"{header}\n某市示例有限公司,罚款,警告\n".encode(real)
    expected = (
        rf"x\.csv: the file seems to be {real.removesuffix('-sig')}, the feed declares {declared}.*format\.encoding"
    )
    with pytest.raises(ExtractError, match=f"(?i){expected}"):
        read(data, columns=("a", "b", "名称", "代码"), layout=Format.model_validate({"encoding": declared}))


@BOTH
def test_a_separator_line_of_excel_is_passed_over(read: Read, fast: bool) -> None:
    for first in ("sep=;", '"sep=;"'):
        result = read(f"{first}\r\na;b;c\r\n1,5;2;3\r\n".encode(), fast=fast)
        assert result.rows == [(3, ("1,5", "2", "3"))]
        assert result.found.manifest["delimiter"] == "semicolon"


@BOTH
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_delimiter_at_the_end_of_every_line_makes_no_column(read: Read, line_end: str, fast: bool) -> None:
    rows = ["a,b,c,", "甲,2,3,", '"4",5,"6",', "7,8,9,"]
    for encoding in ("utf-8", "gb18030"):
        result = read((line_end.join(rows) + line_end).encode(encoding), fast=fast)
        assert result.found.header.columns == ("a", "b", "c")
        assert result.rows == [(2, ("甲", "2", "3")), (3, ("4", "5", "6")), (4, ("7", "8", "9"))]
        unended = read(line_end.join(rows).encode(encoding), fast=fast)
        assert unended.rows == result.rows


@BOTH
def test_a_delimiter_at_the_end_of_the_header_alone_costs_no_row(read: Read, fast: bool) -> None:
    result = read("a,b,c,,\n甲,2,3\n4,5,6\n7,8,9,x\n".encode(), fast=fast)
    assert result.found.header.columns == ("a", "b", "c")
    assert [line for line, _ in result.rows] == [2, 3]
    assert result.causes == [(4, "LINE-002")]


@BOTH
def test_a_column_that_has_no_name_and_holds_something_stays(read: Read, fast: bool) -> None:
    result = read("a,b,c,\n甲,2,3,\n4,5,6,备注\n".encode(), fast=fast)
    assert result.found.header.columns == ("a", "b", "c", "第4列")
    assert result.rows == [(2, ("甲", "2", "3", None)), (3, ("4", "5", "6", "备注"))]


@BOTH
def test_titles_before_the_header_are_passed_over(read: Read, fast: bool) -> None:
    result = read("行政处罚信息\n填表说明:必填;不得为空\n\na,b,c\n1,2,3\n".encode(), fast=fast)
    assert result.rows == [(5, ("1", "2", "3"))]
    assert result.found.manifest["header_line"] == 4


@BOTH
def test_a_header_cell_with_a_line_break(read: Read, fast: bool) -> None:
    result = read(b'"a\n",b,c\n1,2,3\n', fast=fast)
    assert result.found.header.columns == ("a", "b", "c")
    assert result.rows == [(3, ("1", "2", "3"))]


def test_a_declared_header_row_and_two_header_rows(read: Read) -> None:
    data = "标题\n代码,,名称\n一,二,\n1,2,3\n".encode()
    result = read(data, columns=("代码一", "代码二", "名称"))
    assert result.found.header.columns == ("代码一", "代码二", "名称")
    assert result.rows == [(4, ("1", "2", "3"))]
    declared = read(data, columns=("zzz",), layout=Format(header_row=2, header_rows=2))
    assert declared.found.header.columns == ("代码_一", "代码_二", "名称")
    assert declared.rows == [(4, ("1", "2", "3"))]


def test_repeated_and_empty_headers_become_unique_columns(read: Read) -> None:
    result = read(b"a,b,B,,_line\n1,2,3,4,5\n")
    assert result.found.header.columns == ("a", "b", "B#2", "第4列", "_line#2")
    assert result.rows == [(2, ("1", "2", "3", "4", "5"))]


def test_a_header_nobody_knows_is_one_clear_error(read: Read) -> None:
    with pytest.raises(ExtractError, match=r"x\.csv: no header .* 4 cells .*columns:") as caught:
        read(b"p,q,r,s\n1,2,3,4\n")
    assert "q" not in caught.value.problem.split()


@BOTH
@pytest.mark.parametrize("before", [b"1,2,3\n", b'1,"2,3\n'], ids=["after a row", "after an open quote"])
def test_a_line_longer_than_any_record_is_one_reject_in_little_memory(read: Read, before: bytes, fast: bool) -> None:
    long_line = b"\xfe" * (40 << 20)
    tracemalloc.start()
    result = read(b"a,b,c\n" + before + long_line + b"\n4,5,6\n", fast=fast)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [line for line, _ in result.rows] == ([2, 4] if before == b"1,2,3\n" else [4])
    assert result.causes[-1] == (3, "LINE-003")
    assert result.rejects[-1].data == long_line[:MAX_KEPT_BYTES]
    # The line itself is held by this test; reading it takes a few times the longest line of a record.
    assert peak < len(long_line) * 2 + 6 * MAX_LINE_BYTES


@BOTH
def test_a_cell_of_three_million_bytes_is_a_cell(read: Read, fast: bool) -> None:
    long_cell = "长" * (1 << 20)
    for quoted in (long_cell, f'"{long_cell}"'):
        assert read(f"a,b,c\n1,2,3\n4,{quoted},6\n".encode(), fast=fast).rows[1] == (3, ("4", long_cell, "6"))


@BOTH
def test_open_quotes_everywhere_are_followed_with_bounded_patience(
    read: Read, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    """Each line closes the quote of the one before and opens another: no end is ever found."""
    looked: list[str] = []
    add = OpenRecord.add
    monkeypatch.setattr(OpenRecord, "add", lambda record, text: looked.append(text) or add(record, text))
    monkeypatch.setattr("pipelines.intake.csv_records._PATIENCE", 5_000)
    lines = 20_000
    result = read(b"a,b,c\n1,2,3\n" + b'x","y\n' * lines + b'4,"5\n6",7\n8,9,10\n', fast=fast)
    assert len(looked) < 2 * lines
    assert [cells for _, cells in result.rows] == [("1", "2", "3"), ("8", "9", "10")]
    assert len(result.rejects) == lines + 2


def test_a_disk_that_fills_up_while_rows_are_written(
    read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pipelines.intake.parquet_file.pq.ParquetWriter.write_table", full)
    with pytest.raises(StorageError, match=r"No space left.*free disk space"):
        read(b"a,b,c\n1,2,3\n", fast=False)
    assert [path.name for path in tmp_path.iterdir()] == ["extract"]


def test_records_across_block_borders(read: Read) -> None:
    """Blocks of the careful way end anywhere; nothing is lost or doubled at their borders."""
    rows = [[str(number), "某" * (number % 50), "分\n行" if number % 3 == 0 else "x"] for number in range(12_000)]
    result = read(_csv([["a", "b", "c"], *rows]).encode("gb18030"))
    assert [cells for _, cells in result.rows] == [(a, b or None, c) for a, b, c in rows]
    line = 2
    for (found, _), row in zip(result.rows, rows, strict=True):
        assert found == line
        line += 2 if "\n" in row[2] else 1


CHARACTER = st.sampled_from(["a", "公", "𠮷", " ", '"', ",", ";", "|", "\t", "\n", "\r", "\r\n", "\u3000", "0", "\x1f"])
CELL = st.lists(CHARACTER, max_size=6).map("".join)
ENCODING = st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"])
DELIMITER = st.sampled_from([",", "\t", ";", "|"])
# How the quick way cuts a file must not show in what it gives.
CUT = st.sampled_from([{}, {"_FEW_BYTES": 0}, {"_FEW_BYTES": 0, "_FEW_LINES": 1}])
BLOCK = st.sampled_from([24, 300, 112 << 10])


@RELAXED
@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=6),
    delimiter=DELIMITER,
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=ENCODING,
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_whatever_a_correct_writer_writes_comes_back(
    read: Read, rows: list[list[str]], delimiter: str, line_end: str, encoding: str, quoting: int
) -> None:
    if quoting == csv.QUOTE_MINIMAL:  # Python's writer leaves a lone carriage return unquoted
        rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    data = _csv([["a", "b", "c"], *rows], delimiter=delimiter, line_end=line_end, quoting=quoting).encode(encoding)
    kept = [tuple(cell or None for cell in row) for row in rows if any(row)]
    for fast in (True, False):
        result = read(data, fast=fast)
        assert [cells for _, cells in result.rows] == kept
        assert result.rejects == []


STRUCTURE = [b",", b",", b",", b"\n", b"\n", b"\r\n", b"\r", b'"', b'""', b" "]
TEXT = [b"a", b"\x1e", b"\x1f", b"\0", b"\x1a", b"\xe5\x85", b"\xb9\xab", b"\xff", b"\x81", codecs.BOM_UTF8, b"????"]
BOTH_ENCODINGS = [text.encode(name) for text in ("公司", "处罚", "𠮷", "龴", "锟斤拷") for name in ("utf-8", "gb18030")]
CHANGED_CODES = [b"\xfe\x59", b"\xfe\x51", b"\xa8\xbc", b"\x82\x35\x90\x37", "食品".encode("gb18030")]
LINES = [
    b"1,2,3\n",
    b"1,2,3\r\n",
    b"1,2,3,\n",
    b'"x",y,z\n',
    b'"1\n2",3,4\n',
    b'"a""b","""",""\r\n',
    b'"","",""\n',
    b',"","x,y"\n',
    b"\n",
    "甲,乙,丙\n".encode(),
    "甲,乙,丙\n".encode("gb18030"),
    '"某""案",处罚,"警,告"\n'.encode("gb18030"),
]
PIECE = st.sampled_from([*STRUCTURE, *TEXT, *BOTH_ENCODINGS, *CHANGED_CODES, *LINES, *LINES])
MOSTLY = st.sampled_from(["", "市场监督管理局,2,3\n"])


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(PIECE, max_size=24),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
    mostly=MOSTLY,
    encoding=st.sampled_from(["utf-8", "gb18030"]),
    declared=st.sampled_from(["auto", "auto", "auto", "utf-8", "gb18030"]),
    delimiter=st.sampled_from([b",", b",", b"|"]),
    cut=CUT,
    block=BLOCK,
)
def test_all_ways_agree_on_any_bytes(
    read: Read,
    pieces: list[bytes],
    line_end: bytes,
    mostly: str,
    encoding: str,
    declared: str,
    delimiter: bytes,
    cut: dict[str, int],
    block: int,
) -> None:
    """The quick ways against the plain one: rows, their lines, rejects with their bytes, counts, traces."""
    data = b"a,b,c" + line_end + mostly.encode(encoding) * 3 + b"".join(pieces)
    data = data.replace(b",", delimiter)
    layout = Format.model_validate({"encoding": declared})
    found: list[ReadCsv | str] = []
    for fast in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_pieces, "read_lines", partial(read_lines, size=block))
            for name, value in cut.items():
                patch.setattr(csv_pieces, name, value)
            try:
                found.append(read(data, fast=fast, layout=layout))
            except ExtractError as error:
                found.append(str(error))
    quick, careful = found
    if isinstance(quick, str) or isinstance(careful, str):
        assert quick == careful
        return
    assert quick.rows == careful.rows
    assert quick.rejects == careful.rejects
    told = ("physical_lines", "blank_lines", "rows_by_encoding", "mojibake", "encoding", "columns")
    assert {key: quick.found.manifest[key] for key in told} == {key: careful.found.manifest[key] for key in told}


@RELAXED
@given(
    rows=st.lists(st.tuples(*[st.sampled_from(["甲公司", "处罚", "1"])] * 3), min_size=1, max_size=8),
    damage=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(b"\0,;\xff\x80\n\xe5a")), max_size=5),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
)
def test_every_line_is_a_row_a_reject_or_blank(
    read: Read, rows: list[tuple[str, ...]], damage: list[tuple[int, int]], encoding: str
) -> None:
    """Conservation, with lines counted in the file itself; every row stands on the line it says."""
    head = "a,b,c\n".encode(encoding)
    body = bytearray("".join(",".join(row) + "\n" for row in rows).encode(encoding.removesuffix("-sig")))
    for position, byte in damage:
        body[position % len(body)] = byte
    result = read(head + bytes(body))
    lines = bytes(body).removesuffix(b"\n").split(b"\n")
    assert len(result.rows) + len(result.rejects) + result.found.manifest["blank_lines"] == len(lines)
    for line, cells in result.rows:
        decoded = [lines[line - 2].decode(name, "replace").split(",") for name in ("utf-8", "gb18030")]
        assert [cell or "" for cell in cells] in [row[:3] for row in decoded]
    for reject in result.rejects:
        assert reject.data == lines[reject.line - 2]


def test_a_mark_in_the_middle_is_text(read: Read) -> None:
    data = b"a,b,c\n" + codecs.BOM_UTF8 + b"1,2,3\n"
    assert read(data).rows == read(data, fast=False).rows == [(2, ("\ufeff1", "2", "3"))]


def _csv(rows: list[list[str]], *, delimiter: str = ",", line_end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue()
