"""GB18030 becomes UTF-8 in bulk as it does line by line, whichever converter the machine has."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from pipelines.intake import gb18030
from pipelines.intake.gb18030 import gb18030_to_utf8, library_agrees, of_2022

LEADS, DIGITS = range(0x80, 0x100), range(0x30, 0x3A)
# The codec is what a machine has whose C library gives other code points.
WAYS = ["library", "codec"] if library_agrees() else ["codec"]
Convert = Callable[[bytes], bytes | None]


def _by_codec(data: bytes) -> bytes | None:
    try:
        return of_2022(data.decode("gb18030")).encode()
    except UnicodeDecodeError:
        return None


def test_every_two_bytes_are_converted_or_refused_as_by_the_codec() -> None:
    for lead in LEADS:
        for trail in range(0x100):
            data = bytes((lead, trail, 0x0A))
            assert gb18030_to_utf8(data) == _by_codec(data), data.hex()


def test_every_four_byte_code_is_converted_as_by_the_codec_or_refused() -> None:
    """What the library refuses is looked at line by line, where the codec decides."""
    refused = 0
    for lead in range(0x81, 0xFF):
        for second in DIGITS:
            codes = [bytes((lead, second, third, fourth)) for third in range(0x81, 0xFF) for fourth in DIGITS]
            expected = _by_codec(b"".join(codes))
            found = gb18030_to_utf8(b"".join(codes))
            if expected is None:
                assert found is None
            elif found != expected:
                one_by_one = [(gb18030_to_utf8(code), _by_codec(code)) for code in codes]
                assert all(found in {None, expected} for found, expected in one_by_one)
                refused += sum(found is None for found, _ in one_by_one)
    assert refused <= 18


@pytest.fixture(params=WAYS)
def convert(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Convert:
    """Every way of converting that this machine has."""
    monkeypatch.setattr(gb18030, "library_agrees", lambda: request.param == "library")
    return gb18030_to_utf8


def test_codes_that_later_editions_changed(convert: Convert) -> None:
    changed = {b"\xa6\xd9": "︐", b"\xfe\x59": "龴", b"\xfe\xa0": "龻", b"\xa8\xbc": "ḿ", b"\xfe\x51": "𠂇"}
    for code, character in changed.items():
        assert convert(b"a" + code + b"b") == f"a{character}b".encode()


def test_ascii_wide_and_long_codes_side_by_side(convert: Convert) -> None:
    text = "1,甲公司𠮷㐀€\ue000\uf8ff\U0010ffff\n" * 50
    assert convert(text.encode("gb18030")) == text.encode()
    assert convert(b"") == b""


@pytest.mark.parametrize("damage", [b"\xff", b"\x80", b"\x81", b"\x81\x30", b"\x81\x30\x81", b"\xb9\x20", b"\xb9\n"])
def test_what_is_no_text_is_refused_wherever_it_stands(convert: Convert, damage: bytes) -> None:
    text = "公司".encode("gb18030")
    for data in (damage, text + damage, damage + b"," + text, text * 1000 + damage + b"\n" + text):
        assert convert(data) is None


def test_a_library_that_gives_other_code_points_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    real = gb18030._library()

    class Older:
        """Takes every file for GBK, whose private-use codes are those of 1995."""

        iconv, iconv_close = real.iconv, real.iconv_close

        def iconv_open(self, into: bytes, _: bytes) -> int:
            return int(real.iconv_open(into, b"GBK"))

    for library in (Older, _missing):
        monkeypatch.setattr(gb18030, "_library", library)
        library_agrees.cache_clear()
        assert not library_agrees()
        assert gb18030_to_utf8(b"\xfe\x59") == "龴".encode()
    library_agrees.cache_clear()


def _missing() -> ctypes.CDLL:
    raise OSError("no such library")
