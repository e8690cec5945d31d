"""Text from outside that may be shown: what a terminal or a log would obey is made visible instead."""

from __future__ import annotations

SHOWN_INSTEAD = "\N{REPLACEMENT CHARACTER}"
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_NAME = dict.fromkeys(_CONTROLS, SHOWN_INSTEAD)
_TEXT = {code: shown for code, shown in _NAME.items() if chr(code) not in "\n\t"}


def plain_name(name: str) -> str:
    """A name in one line without control characters (C0, DEL, C1)."""
    return name.translate(_NAME)


def plain_text(text: str) -> str:
    """The same for a text, whose line breaks and tabs stay."""
    return text.translate(_TEXT)
