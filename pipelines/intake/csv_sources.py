"""The file that a CSV is read from: as it came, or rewritten where lines and cells cannot be cut in its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pipelines.catalogue.formats import Format
from pipelines.errors import ExtractError
from pipelines.intake.csv_head import DELIMITERS, CsvHead
from pipelines.intake.csv_lines import lines
from pipelines.intake.decoding import Decoder, Encoding, byte_order_mark
from pipelines.intake.rejects import Reject
from pipelines.intake.utf16 import utf16_form, utf16_lines, utf16_to_utf8

_HEAD_BYTES = 64 << 10
_BLOCK = 1 << 20
# No line in UTF-8 or GB18030 holds this byte.
_NO_TEXT = b"\xff"

KeepReject = Callable[[Reject], None]


@dataclass(frozen=True)
class CsvSource:
    """Where a CSV is read from and how; ``line_end`` ends the lines of the file as it came.

    ``decoded_from`` is the encoding of a file that was rewritten in UTF-8; ``originals`` gives its lines as they came,
    from ``first_original`` on, without their ends.
    """

    path: Path
    layout: Format
    mark: Encoding | None
    line_end: bytes = b"\n"
    decoded_from: Encoding | None = None
    originals: Callable[[], Iterator[bytes]] | None = None
    first_original: int = 1

    def encoding(self, head: CsvHead) -> str:
        """How a manifest calls the encoding."""
        if self.mark:
            return f"{self.mark} with mark"
        if self.decoded_from == "utf-16":
            return "utf-16 without mark"
        return self.decoded_from or head.decoder.dominant

    def keeping(self, keep: KeepReject) -> KeepReject:
        """Passes on rejects, which come in the order of their lines, with the bytes that stand in the file."""
        if self.originals is not None:
            return _Originals(self.originals(), self.first_original, self.line_end, keep)
        if self.line_end == b"\r":
            return lambda reject: keep(replace(reject, data=reject.data.replace(b"\n", b"\r")))
        return keep


class _Originals:
    """Rejects with their lines as they came, read along."""

    def __init__(self, lines: Iterator[bytes], line: int, line_end: bytes, keep: KeepReject) -> None:
        self._lines = lines
        self._line = line
        self._line_end = line_end
        self._keep = keep

    def __call__(self, reject: Reject) -> None:
        count = reject.data.count(b"\n") + 1
        skipped = reject.line - self._line
        found = list(islice(self._lines, skipped, skipped + count))
        self._line = reject.line + count
        self._keep(replace(reject, data=self._line_end.join(found)))


def csv_source(path: Path, beside: Path, name: str, layout: Format) -> CsvSource:
    """A file whose lines end with LF and are no UTF-16; what has to be rewritten is written to ``beside``.

    Raises :class:`ExtractError` when the file is UTF-16 and the feed declares another encoding.
    """
    with path.open("rb") as reader:
        head = reader.read(_HEAD_BYTES)
    form = utf16_form(head)
    if form is not None:
        if layout.encoding != "auto":
            raise ExtractError(
                f"the file is UTF-16, the feed declares {layout.encoding.upper()}",
                remedy="ask for UTF-8, or set format.encoding to auto in the feed's YAML",
                file=name,
            )
        utf16_to_utf8(path, beside, form)
        return CsvSource(
            path=beside,
            layout=layout.model_copy(update={"encoding": "utf-8"}),
            mark="utf-16" if form.mark else None,
            line_end=form.unit,
            decoded_from="utf-16",
            originals=lambda: utf16_lines(path, form),
        )
    mark, _ = byte_order_mark(head)
    if b"\r" in head and b"\n" not in head and _lacks_line_feeds(path):
        with path.open("rb") as reader, beside.open("wb") as writer:
            while chunk := reader.read(_BLOCK):
                writer.write(chunk.replace(b"\r", b"\n"))
        return CsvSource(beside, layout, mark, line_end=b"\r")
    return CsvSource(path, layout, mark)


def without_pipes_in_characters(source: CsvSource, head: CsvHead, beside: Path) -> tuple[CsvSource, CsvHead]:
    """The same, unless a GB18030 file is split by ``|``, which may be the second byte of a character there.

    Then what follows the header is rewritten in UTF-8 to ``beside``; a line that cannot be decoded still cannot.
    """
    if head.delimiter != DELIMITERS["pipe"] or head.decoder.dominant != "gb18030":
        return source, head

    def originals() -> Iterator[bytes]:
        with source.path.open("rb") as reader:
            reader.seek(head.data_offset)
            yield from lines(reader)

    with beside.open("wb") as writer:
        for line in originals():
            decoded = head.decoder.line(line)
            writer.write((_NO_TEXT if decoded is None else decoded[0].encode()) + b"\n")
    rewritten = replace(source, path=beside, decoded_from="gb18030", originals=originals, first_original=head.data_line)
    return rewritten, replace(head, decoder=Decoder("utf-8", strict=True), data_offset=0, plain=False)


def _lacks_line_feeds(path: Path) -> bool:
    with path.open("rb") as reader:
        return not any(b"\n" in chunk for chunk in iter(lambda: reader.read(_BLOCK), b""))
