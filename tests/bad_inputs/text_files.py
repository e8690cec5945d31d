"""Bad text files: encodings, quotes, line ends, what is no table at all."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.bad_inputs.bad_input import CELLS, HEAD, HEADERS, ROW, BadInput, cut_off

NO_HEADER = "no header that anybody knows"
BIG_LINE = 8 << 20


def _noise(size: int) -> bytes:
    return random.Random(58).randbytes(size).replace(b"\n", b"\xff").replace(b"\r", b"\xfe")


def _with(*lines: str) -> bytes:
    return (HEAD + "".join(lines)).encode()


def _garbled() -> bytes:
    """UTF-8 taken for GBK and saved again: every character is wrong, header included."""
    return (HEAD + ROW).encode().decode("gb18030", errors="replace").encode()


def text_files() -> Iterator[BadInput]:
    """Everything a text editor or an export can do to a table."""
    yield from _nothing_in_it()
    yield from _no_text_at_all()
    yield from _encodings()
    yield from _quotes_and_cells()
    yield from _line_ends_and_sizes()
    yield from cut_off("utf8.csv", lambda: _with(ROW * 40), 5, 1)
    yield from cut_off("gb18030.csv", lambda: _with(ROW * 40).decode().encode("gb18030"), 5, 2)
    yield from cut_off("utf16.csv", lambda: _with(ROW * 40).decode().encode("utf-16"), 4, 3)
    yield from cut_off("quoted.csv", lambda: _with('"甲\n公司","示罚〔2026〕2号","警,告"\n' * 40), 4, 4)


def _nothing_in_it() -> Iterator[BadInput]:
    yield BadInput("empty.csv", lambda: b"", "the file is empty")
    yield BadInput("only_a_mark.csv", lambda: b"\xef\xbb\xbf\r\n", "the file is empty")
    yield BadInput("only_blanks.csv", lambda: b" \r\n\t\r\n" * 50, "the file is empty|" + NO_HEADER)
    yield BadInput("only_commas.csv", lambda: b",,,,\n" * 50, NO_HEADER)
    yield BadInput("header_only.csv", HEAD.encode, "a header and no rows")
    yield BadInput("header_and_blank_lines.csv", lambda: _with("\n" * 20), "a header and no rows")
    yield BadInput("unknown_header.csv", lambda: b"p,q\n1,2\n", NO_HEADER)
    yield BadInput("no_header.csv", ROW.encode, NO_HEADER)
    yield BadInput("header_too_deep.csv", lambda: ("报送表\n" * 40).encode() + _with(ROW), NO_HEADER)
    yield BadInput("one_known_header_in_a_wide_row.csv", "序号,处罚内容,甲,乙,丙\n1,2,3,4,5\n".encode, NO_HEADER)


def _no_text_at_all() -> Iterator[BadInput]:
    yield BadInput("scan.csv", lambda: b"%PDF-1.7\n" + b"\0" * 100, "the file is a PDF")
    yield BadInput("photo.csv", lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "the file is a picture")
    yield BadInput("photo.xlsx", lambda: b"\xff\xd8\xff\xe0" + b"\0" * 100, "the file is a picture")
    yield BadInput("packed.csv", lambda: b"\x1f\x8b\x08" + b"\0" * 100, "a compressed file")
    yield BadInput("packed.rar", lambda: b"Rar!\x1a\x07\x01\x00" + b"\0" * 100, "a compressed archive")
    yield BadInput("packed.7z", lambda: b"7z\xbc\xaf\x27\x1c" + b"\0" * 100, "a compressed archive")
    yield BadInput("web_page.xls", lambda: b"\r\n<html><table><tr><td>1</td></tr></table></html>", "a web page")
    yield BadInput("old_web_page.xls", lambda: b"<!DOCTYPE html><html><body>x</body></html>", "a web page")
    yield BadInput("program.csv", lambda: b"MZ\x90\0" + _noise(5000), NO_HEADER + "|zero")
    yield BadInput("database.csv", lambda: b"SQLite format 3\0" + _noise(5000), NO_HEADER + "|zero")
    yield BadInput("zeros.csv", lambda: b"\0" * 5000, "zero|empty")
    yield BadInput("noise.csv", lambda: _noise(50_000), NO_HEADER + "|zero")
    yield BadInput("letter.rtf", lambda: rb"{\rtf1\ansi\deff0 {\fonttbl{\f0 SimSun;}} \par}", "document|" + NO_HEADER)
    yield BadInput("columns.parquet", lambda: b"PAR1" + b"\0" * 200 + b"PAR1", "Parquet|" + NO_HEADER)


def _encodings() -> Iterator[BadInput]:
    good = HEAD + ROW * 3
    yield BadInput("utf16_without_mark.csv", lambda: good.encode("utf-16-le"), None, rows=3)
    yield BadInput("utf16_other_way_round.csv", lambda: b"\xfe\xff" + good.encode("utf-16-be"), None, rows=3)
    yield BadInput("utf16_cut.csv", lambda: good.encode("utf-16")[:-1], either=True)
    yield BadInput(
        "utf16_lone_half_of_a_pair.csv",
        lambda: (good + "\ud800").encode("utf-16", "surrogatepass") + b"\n\0",
        either=True,
    )
    yield BadInput("utf32.csv", lambda: good.encode("utf-32"), "zero|" + NO_HEADER)
    yield BadInput("gb18030_cut_in_a_character.csv", lambda: good.encode("gb18030")[:-2], None, rows=2, rejects=1)
    yield BadInput("utf8_cut_in_a_character.csv", lambda: good.encode()[:-3], None, rows=2, rejects=1)
    yield BadInput("two_encodings.csv", lambda: good.encode() + ROW.encode("gb18030") * 2, None, rows=5)
    yield BadInput("two_encodings_other_way_round.csv", lambda: good.encode("gb18030") + ROW.encode() * 2, None, rows=5)
    yield BadInput("mark_in_the_middle.csv", lambda: good.encode() + b"\xef\xbb\xbf" + ROW.encode(), None, rows=4)
    yield BadInput("one_damaged_line.csv", lambda: good.encode() + b"\xe6\xff\xfe,x,y\n" + ROW.encode(), None, 4, 1)
    yield BadInput("big5.csv", lambda: "行政相對人名稱,處罰內容\n某市示例有限公司,警告\n".encode("big5"), NO_HEADER)
    yield BadInput("garbled_twice.csv", _garbled, NO_HEADER)
    yield BadInput("kun_jin_kao.csv", lambda: _with("锟斤拷锟斤拷有限公司,示罚〔2026〕1号,警告\n"), None, rows=1)
    yield BadInput(
        "replacement_characters.csv", lambda: _with("某\ufffd\ufffd公司,示罚〔2026〕1号,警告\n"), None, rows=1
    )
    yield BadInput("private_use.csv", lambda: _with("某\ue5e5公司,示罚〔2026〕1号,警告\n"), None, rows=1)
    yield BadInput("nul_in_a_line.csv", lambda: _with(ROW, "甲\0公司,示罚〔2026〕2号,警告\n", ROW), None, 2, 1)
    yield BadInput(
        "binary_halfway.csv",
        lambda: _with(ROW * 50) + _noise(20_000) + b"\n" + (ROW * 50).encode(),
        None,
        rows=100,
        rejects=1,
    )
    yield BadInput("end_of_file_mark.csv", lambda: _with(ROW) + b"\x1a", either=True)


def _quotes_and_cells() -> Iterator[BadInput]:
    yield BadInput("quote_never_closed.csv", lambda: _with('"' + ROW * 4), None, rows=3, rejects=1)
    yield BadInput(
        "quote_never_closed_in_many.csv",
        lambda: _with(ROW * 20_000, '甲,"乙,丙\n', ROW * 20_000),
        None,
        rows=40_000,
        rejects=1,
    )
    yield BadInput("every_line_opens_a_quote.csv", lambda: _with('"甲,乙,丙\n' * 3_001), either=True)
    yield BadInput(
        "quotes_not_doubled.csv", lambda: _with('"关于"某案"的公司","示罚〔2026〕1号","警告"\n'), None, rows=1
    )
    yield BadInput("text_after_a_quote.csv", lambda: _with('"甲"公司,示罚〔2026〕1号,警告,"x"y\n'), None, rejects=1)
    yield BadInput("ragged.csv", lambda: _with(ROW, "x,y\n", ROW), None, rows=2, rejects=1)
    yield BadInput("too_many_cells.csv", lambda: _with(ROW, "甲,乙,丙,丁\n"), None, rows=1, rejects=1)
    yield BadInput(
        "comma_not_quoted.csv", lambda: _with("某市示例有限公司,示罚〔2026〕1号,警告,罚款\n"), None, rejects=1
    )
    yield BadInput(
        "line_break_not_quoted.csv", lambda: _with("某市示例\n有限公司,示罚〔2026〕1号,警告\n", ROW), either=True
    )
    yield BadInput(
        "line_break_quoted.csv", lambda: _with('"某市\n示例有限公司",示罚〔2026〕1号,警告\n', ROW), None, rows=2
    )
    yield BadInput("header_again.csv", lambda: _with(ROW, HEAD, ROW), None, rows=3)
    yield BadInput("header_twice_the_same.csv", f"{HEADERS[0]},{HEADERS[0]},{HEADERS[2]}\n{ROW}".encode, None, rows=1)
    yield BadInput("header_with_gaps.csv", f"{HEADERS[0]},,{HEADERS[2]}\n{ROW}".encode, None, rows=1)
    yield BadInput(
        "header_like_sql.csv", f'{HEADERS[0]},"x""; DROP TABLE standard; --",{HEADERS[2]}\n{ROW}'.encode, None, rows=1
    )
    yield BadInput("header_with_line_break.csv", f'"行政相对人\n名称",{HEADERS[1]},{HEADERS[2]}\n{ROW}'.encode, None, 1)
    yield BadInput("header_full_width.csv", f"行政相对人名称　,{HEADERS[1]}＿,处 罚 内 容\n{ROW}".encode, None, rows=1)
    yield BadInput("formulas.csv", lambda: _with('=cmd|\'/C calc\'!A0,"=""0012""",@SUM(1)\n'), None, rows=1)
    yield BadInput(
        "title_and_notes.csv", lambda: "某市行政处罚信息表,,\n填表说明：如实填写,,\n".encode() + _with(ROW), None, 1
    )
    yield BadInput("separator_line.csv", lambda: b"sep=;\n" + _with(ROW).replace(b",", b";"), None, rows=1)
    yield BadInput("trailing_commas.csv", lambda: _with(ROW).replace(b"\n", b",\n"), None, rows=1)
    yield BadInput("tabs.csv", lambda: _with(ROW).replace(b",", b"\t"), None, rows=1)
    yield BadInput("semicolons.txt", lambda: _with(ROW).replace(b",", b";"), None, rows=1)
    yield BadInput("pipes.txt", lambda: _with(ROW).replace(b",", b"|"), None, rows=1)


def _line_ends_and_sizes() -> Iterator[BadInput]:
    yield BadInput("old_macintosh.csv", lambda: _with(ROW * 3).replace(b"\n", b"\r"), None, rows=3)
    yield BadInput("mixed_line_ends.csv", lambda: _with(ROW) + ROW.encode().replace(b"\n", b"\r\n") * 2, None, rows=3)
    yield BadInput("doubled_line_ends.csv", lambda: _with(ROW * 3).replace(b"\n", b"\r\r\n"), either=True)
    yield BadInput("blank_lines_between.csv", lambda: _with(ROW, "\n\n", ROW, "\n"), None, rows=2)
    yield BadInput("no_last_line_end.csv", lambda: _with(ROW * 2)[:-1], None, rows=2)
    yield BadInput("one_endless_line.csv", lambda: _with(ROW) + b"x" * BIG_LINE, None, rows=1, rejects=1)
    yield BadInput("one_endless_cell.csv", lambda: _with(ROW, f"甲,乙,{'长' * (1 << 20)}\n"), None, rows=2)
    yield BadInput("nothing_but_one_line.csv", lambda: b"x" * BIG_LINE, NO_HEADER)
    yield BadInput("ten_thousand_cells.csv", lambda: _with(ROW, "x," * 10_000 + "\n"), None, rows=1, rejects=1)
    yield BadInput(
        "five_thousand_columns.csv",
        (
            ",".join((*HEADERS, *(f"c{n}" for n in range(5_000))))
            + "\n"
            + ",".join((*CELLS, *("x" for _ in range(5_000))))
            + "\n"
        ).encode,
        None,
        rows=1,
    )
