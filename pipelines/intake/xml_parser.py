"""The XML parser with everything refused that an extract has no use for.

The parser is expat: it streams, it fetches nothing, and it counts lines in files of any length. A file with a document
type, entities of its own, inclusions or processing instructions is refused, and so is what no record needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn
from xml.parsers import expat

from pipelines.errors import ExtractError

MAX_DEPTH = 64
# The parser holds a tag or a comment until its end.
_MAX_TAG_BYTES = 4 << 20
_XINCLUDE = "http://www.w3.org/2001/XInclude"


class StrictParser:
    """Calls :meth:`start` and :meth:`end`; every complaint is an :class:`ExtractError` with the line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._skipped_lines = 0
        # The text comes decoded already: what the file declares about its encoding must not be believed again.
        self._expat = expat.ParserCreate("utf-8")
        self._expat.StartElementHandler = self.start
        self._expat.EndElementHandler = self.end
        self._expat.StartDoctypeDeclHandler = lambda *_: self.refuse("a document type (DTD)")
        self._expat.EntityDeclHandler = lambda *_: self.refuse("an entity of its own")
        self._expat.ProcessingInstructionHandler = lambda *_: self.refuse("a processing instruction")

    @property
    def line(self) -> int:
        return self._expat.CurrentLineNumber + self._skipped_lines

    def fed(self, chunks: Iterable[str]) -> Iterator[None]:
        """Parse chunk by chunk; control returns after each."""
        size = 0
        for chunk in chunks:
            text = chunk
            if size == 0:
                # A blank line before the XML declaration breaks the rules of XML and nothing else.
                text = chunk.lstrip()
                self._skipped_lines += chunk.count("\n", 0, len(chunk) - len(text))
            data = text.encode()
            size += len(data)
            self._parse(data, final=False)
            if size - max(self._expat.CurrentByteIndex, 0) > _MAX_TAG_BYTES:
                raise self.error("a tag or comment is longer than any extract needs", "ask what this file is")
            self.check_chunk(size)
            yield
        self._parse(b"", final=True)
        yield

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._expat.Parse(data, final)
        except expat.ExpatError as error:
            raise ExtractError(
                f"the XML is not well-formed: {expat.ErrorString(error.code)}",
                remedy="ask the department to send the whole file again; &, < and control characters in a text must be "
                "escaped or left out",
                file=self._name,
                line=error.lineno + self._skipped_lines,
            ) from error

    def refuse(self, what: str) -> NoReturn:
        raise self.error(f"the XML has {what}; nothing of it was read", "ask the department for the rows without it")

    def error(self, problem: str, remedy: str) -> ExtractError:
        return ExtractError(problem, remedy=remedy, file=self._name, line=self.line)

    def check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.error("elements are nested too deep", "ask what this file is; rows of records are flat")

    def check_namespaces(self, attributes: dict[str, str]) -> None:
        if _XINCLUDE in attributes.values():
            self.refuse("an inclusion of other files (XInclude)")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def end(self, name: str) -> None:
        raise NotImplementedError

    def check_chunk(self, size: int) -> None:
        """Called when ``size`` bytes have been parsed."""
