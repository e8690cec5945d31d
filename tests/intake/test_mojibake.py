"""Traces of a conversion that went wrong before a file was sent are counted."""

from __future__ import annotations

import pytest

from pipelines.intake.mojibake import Mojibake, mojibake

SOUND = "，：（）０￥～𠮷销售锐拷贝烤鴨龻﹏\uf900\ufffc 1?2??3??? "


def test_sound_text_has_no_traces() -> None:
    assert mojibake(SOUND.encode()) == mojibake(b"") == mojibake(b"a") == mojibake("？".encode()) == Mojibake()


@pytest.mark.parametrize("before", ["", "x", "xx"])
def test_each_trace_is_counted_wherever_it_stands(before: str) -> None:
    assert mojibake(f"{before}\ufffd\ufffd{SOUND}\ufffd".encode()) == Mojibake(replacement=3)
    assert mojibake(f"{before}锟斤拷锟斤拷{SOUND}锟斤拷".encode()) == Mojibake(kun_jin_kao=3)
    assert mojibake(f"{before}????{SOUND}????????".encode()) == Mojibake(question_marks=3)
    ends = "\ue000\uefff\uf000\uf8ff\U000f0000\U000fffff\U00100000\U0010ffff"
    for character in ends:
        assert mojibake(f"{before}{character}{SOUND}".encode()) == Mojibake(private_use=1)
    assert mojibake(f"{before}{ends}".encode()) == Mojibake(private_use=len(ends))


def test_traces_add_up() -> None:
    found = mojibake("锟斤拷\ufffd".encode()) + mojibake("\ue000????".encode())
    assert found == Mojibake(replacement=1, kun_jin_kao=1, private_use=1, question_marks=1)


def test_utf8_read_as_gb18030_and_saved_again_is_seen() -> None:
    """A program put U+FFFD for what it could not read, and the next one read its UTF-8 as GB18030."""
    garbled = ("\ufffd" * 4).encode().decode("gb18030").encode()
    assert mojibake(garbled) == Mojibake(kun_jin_kao=2)
