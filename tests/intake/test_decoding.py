"""Strict decoding: what a line is in, and what is left undecoded."""

from __future__ import annotations

import pytest

from pipelines.intake.decoding import Decoder, dominant_encoding, other_encoding

UTF8, GB = Decoder("utf-8"), Decoder("gb18030")
NAME = "某市市场监督管理局处罚决定"


def test_characters_outside_gbk_survive() -> None:
    for text in ("𠮷", "㐀", "䶮", "€", "\ue000"):
        assert GB.line(text.encode("gb18030")) == (text, "gb18030")


def test_a_line_is_read_in_its_own_encoding() -> None:
    for decoder in (UTF8, GB):
        assert decoder.line(NAME.encode()) == (NAME, "utf-8")
        assert decoder.line(NAME.encode("gb18030")) == (NAME, "gb18030")


def test_a_short_line_without_any_everyday_word_is_read_in_its_own_encoding() -> None:
    for text in ("甲,乙", "测试", "龙", "𠮷"):
        assert GB.line(text.encode()) == (text, "utf-8")


@pytest.mark.parametrize("text", ["食品", "小路", "一品", "路"])
def test_everyday_words_that_are_valid_in_both_encodings(text: str) -> None:
    """What a file is mostly in decides; a sample of nothing but such words is Chinese rather than ``ʳƷ``."""
    data = text.encode("gb18030")
    assert GB.line(data + b",1") == (text + ",1", "gb18030")
    assert UTF8.line(data + b",1") == (data.decode() + ",1", "utf-8")
    assert dominant_encoding(b"a,b\n" + data + b",1\n") == "gb18030"
    assert dominant_encoding(b"a,b\n" + data + b",1\n" + "甲,1\n".encode()) == "utf-8"


def test_plain_ascii_counts_as_what_most_of_the_file_is_in() -> None:
    assert UTF8.line(b"1,2") == ("1,2", "utf-8")
    assert GB.line(b"1,2") == ("1,2", "gb18030")


@pytest.mark.parametrize("cut", [slice(1, None), slice(2, None), slice(None, -1), slice(None, -2)])
def test_damaged_utf8_is_undecodable_not_nonsense(cut: slice) -> None:
    assert UTF8.line(NAME.encode()[cut]) is None


def test_nothing_is_ignored_or_replaced() -> None:
    for data in (b"\xff\xff", b"\x81", "公".encode("gb18030") + b"\xfe\n"):
        assert UTF8.line(data) is None
        assert GB.line(data) is None
    assert Decoder("gb18030", strict=True).line(b"\xe5\x85\xac\xff") is None


def test_the_dominant_encoding_of_a_damaged_sample() -> None:
    assert dominant_encoding(b"ascii") == "utf-8"
    assert dominant_encoding("公\n\n".encode("gb18030") * 3 + b"\xff\xff\n") == "gb18030"
    assert dominant_encoding(NAME.encode() + b"\n\xff\xff\n") == "utf-8"


def test_a_sample_is_in_another_encoding_only_when_nothing_of_it_is_in_the_declared_one() -> None:
    utf8, gb, ascii_line = NAME.encode() + b"\n", NAME.encode("gb18030") + b"\n", b"1,2\n"
    assert other_encoding(ascii_line + gb * 3, "utf-8") == "gb18030"
    assert other_encoding(ascii_line + utf8 * 3, "gb18030") == "utf-8"
    assert other_encoding(gb * 30 + utf8, "utf-8") is None
    assert other_encoding(utf8 * 30 + gb, "gb18030") is None
    assert other_encoding(ascii_line, "utf-8") is None
    assert other_encoding(b"\xff\xff\n", "gb18030") is None


def test_gb18030_gives_the_characters_of_the_2022_edition() -> None:
    """龴 and seven others were private-use code points in the edition that Python's codec knows."""
    assert GB.line(b"\xfe\x59\xfe\x61\xa6\xd9") == ("龴龵︐", "gb18030")
