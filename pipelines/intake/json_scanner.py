"""JSON read piece by piece: the values are parsed by Python's own parser, the file is never in memory as a whole.

Numbers stay as they are written: ``410000.0`` and ``1e18`` are texts that happen to have no quotes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.errors import ExtractError

MAX_VALUE_CHARACTERS = 16 << 20
_BLANK = " \t\r\n"


class NumberText(str):
    """A number (or ``NaN``) of a JSON text as it is written there."""

    __slots__ = ()


class JsonScanner:
    """A cursor in JSON text; every complaint is an :class:`ExtractError` with the line."""

    def __init__(self, chunks: Iterable[str], name: str) -> None:
        self.name = name
        self.start(chunks)
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=NumberText,
            parse_int=NumberText,
            parse_constant=NumberText,
            # Line breaks and tabs inside a text are no JSON, and no reason to lose a file either.
            strict=False,
        )

    def start(self, chunks: Iterable[str]) -> None:
        """Begin another text."""
        self.repeated_key = False
        self.has_escapes = False
        self._chunks = iter(chunks)
        self._text = ""
        self._position = 0
        self._counted = 0
        self._line = 1

    @property
    def line(self) -> int:
        """The line of the cursor."""
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line

    def peek(self) -> str:
        """The next character that is no blank, empty at the end; the cursor moves up to it."""
        while True:
            while self._position < len(self._text) and self._text[self._position] in _BLANK:
                self._position += 1
            if self._position < len(self._text) or not self._more():
                return self._text[self._position : self._position + 1]

    def take(self, character: str) -> bool:
        """Move behind a character if it comes next."""
        if self.peek() != character:
            return False
        self._position += 1
        return True

    def expect(self, character: str) -> None:
        if not self.take(character):
            raise self.malformed(f"{character} is missing" if self.peek() else "the text ends early")

    def value(self) -> Any:
        """The value at the cursor: dict, list, str, :class:`NumberText`, bool or None.

        ``has_escapes`` says whether it is written with ``\\u`` or holds NUL: only then it may be text that is none.
        ``repeated_key`` says whether any object in it has a key twice with different values; of these the last stands.
        """
        self.peek()
        wanted = 0
        while True:
            self.repeated_key = False
            try:
                found, end = self._decoder.raw_decode(self._text, self._position)
            except RecursionError as error:
                raise self.error("the JSON is nested too deep", "ask what this file is") from error
            except json.JSONDecodeError as error:
                rest = len(self._text) - self._position
                if rest < MAX_VALUE_CHARACTERS and self._more(at_least=wanted):
                    # What is asked for doubles, so that a long value is not begun again for each chunk.
                    wanted = 2 * rest
                    continue
                if rest >= MAX_VALUE_CHARACTERS:
                    raise self.error("a value of the JSON is longer than a record can be, or never ends") from error
                self._position = min(error.pos, len(self._text))
                raise self.malformed(error.msg[:1].lower() + error.msg[1:]) from error
            if end < len(self._text) or not self._more():
                start = self._position
                self.has_escapes = self._text.find("\\u", start, end) >= 0 or self._text.find("\0", start, end) >= 0
                self._position = end
                return found

    def entries(self) -> Iterator[str]:
        """The keys of the object at the cursor; before the next is asked for, the value has to be read."""
        self.expect("{")
        if self.take("}"):
            return
        while True:
            if self.peek() != '"':
                raise self.malformed("a key in double quotes is missing")
            key = str(self.value())
            self.expect(":")
            yield key
            if self.take("}"):
                return
            self.expect(",")

    def elements(self) -> Iterator[int]:
        """The lines on which the elements of the array at the cursor start; each has to be read before the next."""
        self.expect("[")
        if self.take("]"):
            return
        while True:
            self.peek()
            yield self.line
            if self.take("]"):
                return
            self.expect(",")
            if self.peek() == "]":
                raise self.malformed("a comma stands before the end of a list")

    def end(self) -> None:
        """Nothing but blanks may follow."""
        if self.peek():
            raise self.malformed("something follows after its end")

    def malformed(self, what: str) -> ExtractError:
        return self.error(f"the JSON is malformed: {what}", "ask the department to send the whole file again")

    def error(self, problem: str, remedy: str = "ask what this file is") -> ExtractError:
        return ExtractError(problem, remedy=remedy, file=self.name, line=self.line)

    def _more(self, *, at_least: int = 0) -> bool:
        """Get more text; what lies behind the cursor is forgotten. False, and nothing changes, at the end."""
        parts: list[str] = []
        got = 0
        while got <= at_least and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            got += len(chunk)
        if not parts:
            return False
        _ = self.line
        self._text = "".join([self._text[self._position :], *parts])
        self._position = self._counted = 0
        return True

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs) and any(found[key] != value for key, value in pairs):
            self.repeated_key = True
        return found
