"""Strict decoding: what a line is in, and what is left undecoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.intake.decoding import Decoder, dominant_encoding, utf16_to_utf8

UTF8, GB = Decoder("utf-8"), Decoder("gb18030")
NAME = "某市市场监督管理局处罚决定"


def test_characters_outside_gbk_survive() -> None:
    for text in ("𠮷", "㐀", "䶮", "€", "\ue000"):
        assert GB.line(text.encode("gb18030")) == (text, "gb18030")


def test_a_line_is_read_in_its_own_encoding() -> None:
    for decoder in (UTF8, GB):
        assert decoder.line(NAME.encode()) == (NAME, "utf-8")
        assert decoder.line(NAME.encode("gb18030")) == (NAME, "gb18030")


@pytest.mark.parametrize("cut", [slice(1, None), slice(2, None), slice(None, -1), slice(None, -2)])
def test_damaged_utf8_is_undecodable_not_nonsense(cut: slice) -> None:
    assert UTF8.line(NAME.encode()[cut]) is None


def test_nothing_is_ignored_or_replaced() -> None:
    for data in (b"\xff\xff", b"\x81", "公".encode("gb18030") + b"\xfe\n"):
        assert UTF8.line(data) is None
        assert GB.line(data) is None
    assert Decoder("gb18030", strict=True).line(b"\xe5\x85\xac\xff") is None


def test_a_block_with_utf8_words_is_not_taken_for_gb18030() -> None:
    utf8_words = "有限公司".encode()
    assert utf8_words.decode("gb18030") != "有限公司"
    assert GB.block(utf8_words) is None
    assert GB.block(NAME.encode("gb18030")) == (NAME, "gb18030")


def test_the_dominant_encoding_of_a_damaged_sample() -> None:
    assert dominant_encoding(b"ascii") == "utf-8"
    assert dominant_encoding("公\n\n".encode("gb18030") * 3 + b"\xff\xff\n") == "gb18030"
    assert dominant_encoding(NAME.encode() + b"\n\xff\xff\n") == "utf-8"


def test_utf16_becomes_utf8_or_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(NAME.encode("utf-16"))
    assert utf16_to_utf8(source, target)
    assert target.read_text(encoding="utf-8") == NAME
    source.write_bytes(NAME.encode("utf-16")[:-1])
    assert not utf16_to_utf8(source, target)


def test_gb18030_gives_the_characters_of_the_2022_edition() -> None:
    """龴 and seven others were private-use code points in the edition that Python's codec knows."""
    decoder = Decoder("gb18030")
    old = b"\xfe\x59\xfe\x61\xa6\xd9"
    assert decoder.line(old) == ("龴龵︐", "gb18030")
    assert decoder.block(old + b"\n") == ("龴龵︐\n", "gb18030")
