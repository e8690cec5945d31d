"""UTF-16 with and without its mark, sound and damaged: a line that can be read is a row, whatever stands before it."""

from __future__ import annotations

import codecs
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.catalogue.formats import Format
from pipelines.errors import ExtractError
from pipelines.intake import utf16
from pipelines.intake.rejects import MAX_KEPT_BYTES
from pipelines.intake.utf16 import utf16_form, utf16_lines, utf16_to_utf8
from tests.intake.conftest import ReadCsv

Read = Callable[..., ReadCsv]
CODECS = pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
HEAD, ROW = "a,b,c\n", "上海市示例公司%d,一〇,𠮷\n"


@CODECS
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_utf16_without_a_mark_is_known_by_its_zeros(read: Read, codec: str, line_end: str) -> None:
    text = (HEAD + ROW % 1 + ROW % 2).replace("\n", line_end)
    result = read(text.encode(codec))
    assert result.rows == [(2, ("上海市示例公司1", "一〇", "𠮷")), (3, ("上海市示例公司2", "一〇", "𠮷"))]
    assert result.found.manifest["encoding"] == "utf-16 without mark"
    assert result.found.manifest["rows_by_encoding"] == {"utf-16": 2}
    assert read(MARKS[codec] + text.encode(codec)).found.manifest["encoding"] == "utf-16 with mark"


@pytest.mark.parametrize(
    "data",
    [b"a,b\0,c\n1,2\0,3\n\0", b"\0" * 500, b"a,\0b,\0c\n\n1,2,3\n", "公司,\n".encode() * 9, bytes(range(256)) * 8, b""],
)
def test_other_text_with_zeros_in_it_is_not_utf16(data: bytes) -> None:
    assert utf16_form(data) is None


@CODECS
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("damage", ["a byte lost", "a byte added", "half a pair", "cut off"])
def test_damage_costs_the_line_it_lies_in(read: Read, codec: str, marked: bool, damage: str) -> None:
    lines = [(ROW % number).encode(codec) for number in range(200)]
    broken = lines[100]
    changed = {
        "a byte lost": broken[:7] + broken[8:],
        "a byte added": broken[:7] + b"\x4e" + broken[7:],
        "half a pair": broken[:-6] + broken[-4:],
        "cut off": broken[:9],
    }[damage]
    rest = b"" if damage == "cut off" else b"".join(lines[101:])
    data = (MARKS[codec] if marked else b"") + HEAD.encode(codec) + b"".join(lines[:100]) + changed + rest
    result = read(data)
    expected = [number for number in range(200) if number < 100 or (number > 100 and rest)]
    assert [cells[0] for _, cells in result.rows] == [f"上海市示例公司{number}" for number in expected]
    assert [line for line, _ in result.rows] == [number + 2 for number in expected]
    assert result.causes == [(102, "LINE-001")]
    assert result.rejects[0].data == changed.removesuffix("\n".encode(codec))


@CODECS
def test_rejects_of_every_kind_keep_the_bytes_of_the_file(read: Read, codec: str) -> None:
    """Also a record of several lines, a ragged one and one with a NUL."""
    bad = ['"1\n2",3\n', "4,5\n", "6,\0,8\n"]
    for fast in (True, False):
        result = read(MARKS[codec] + (HEAD + ROW % 1 + "".join(bad) + ROW % 2).encode(codec), fast=fast)
        assert result.causes == [(3, "LINE-002"), (5, "LINE-002"), (6, "LINE-003")]
        assert [reject.data.decode(codec) + "\n" for reject in result.rejects] == bad
        assert [line for line, _ in result.rows] == [2, 7]


@CODECS
def test_blocks_end_anywhere(tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEAD + "".join(ROW % number for number in range(50))
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(MARKS[codec] + text.encode(codec))
    form = utf16_form(source.read_bytes())
    assert form is not None
    for block in (1, 2, 3, 50, 64):
        monkeypatch.setattr(utf16, "_BLOCK", block)
        utf16_to_utf8(source, target, form)
        assert target.read_text(encoding="utf-8") == text
        assert [line.decode(codec) for line in utf16_lines(source, form)] == text.splitlines()


@CODECS
def test_conservation_under_random_damage(read: Read, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is damaged, every line of the file is a row or a reject."""
    monkeypatch.setattr(utf16, "_BLOCK", 256)
    draw = random.Random(codec)
    unit = "\n".encode(codec)
    for _ in range(40):
        body = bytearray(b"".join((ROW % number).encode(codec) for number in range(20)))
        for _ in range(draw.randrange(1, 5)):
            place = draw.randrange(len(body))
            body[place : place + draw.randrange(2)] = draw.randbytes(draw.randrange(2))
        result = read(MARKS[codec] + HEAD.encode(codec) + bytes(body))
        lines = bytes(body).split(unit)
        lines = lines if lines[-1] else lines[:-1]
        blank = result.found.manifest["blank_lines"]
        assert len(result.rows) + len(result.rejects) + blank == len(lines)
        assert all(reject.data == lines[reject.line - 2] for reject in result.rejects)


@CODECS
def test_an_endless_line_is_one_reject(read: Read, codec: str) -> None:
    endless = "长" * (12 << 20)
    for end in ("\n" + ROW % 2, ""):
        result = read((HEAD + ROW % 1 + endless + end).encode(codec))
        assert [line for line, _ in result.rows] == ([2, 4] if end else [2])
        assert result.causes == [(3, "LINE-003")]
        assert result.rejects[0].data[:MAX_KEPT_BYTES] == endless[: MAX_KEPT_BYTES // 2].encode(codec)


@CODECS
def test_a_feed_that_declares_another_encoding_is_told(read: Read, codec: str) -> None:
    for mark in (MARKS[codec], b""):
        with pytest.raises(ExtractError, match=r"UTF-16, the feed declares GB18030.*format\.encoding"):
            read(mark + (HEAD + ROW % 1).encode(codec), layout=Format(encoding="gb18030"))
