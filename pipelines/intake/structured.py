"""What XML, JSON and JSON lines share: they are opened, and their records numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.catalogue.formats import Format
from pipelines.intake import json_reader, xml_reader
from pipelines.intake.content_kind import Kind
from pipelines.intake.decoding import Decoder, byte_order_mark, dominant_encoding
from pipelines.intake.json_reader import KeepReject
from pipelines.intake.structured_text import encoding_of, text_chunks, text_lines

STRUCTURED: frozenset[Kind] = frozenset({"xml", "json", "jsonl"})
_SAMPLE_BYTES = 256 << 10

Record = tuple[int, dict[str, str | None]]


@dataclass
class RecordFile:
    """A file of records: what was found out about it, and the records, to be taken once.

    ``left_out`` names what could be rows too and is not read, when nobody declared where the rows are; it is complete
    after the last record.
    """

    encoding: str
    row_path: str | None
    records: Iterator[Record]
    left_out: dict[str, str] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        return {"encoding": self.encoding, "row_path": self.row_path}


def open_records(path: Path, name: str, kind: Kind, layout: Format, keep_reject: KeepReject) -> RecordFile:
    """Open a file of kind ``xml``, ``json`` or ``jsonl``; ``name`` is what the department called it.

    The records come with the line they start on. Lines of a ``jsonl`` that are no record go to ``keep_reject``;
    everything else that is wrong with the file is an :class:`ExtractError`, raised here or on the way.
    """
    if kind == "jsonl":
        return _open_json_lines(path, name, layout, keep_reject)
    if kind not in STRUCTURED:
        raise ValueError(f"{kind} has no records")
    encoding = encoding_of(path, name, layout)
    open_text = partial(text_chunks, path, name, encoding)
    if kind == "json":
        steps = tuple(layout.row_path.split(".")) if layout.row_path else None
        others: dict[str, int] = {}
        if steps is None:
            steps, others = json_reader.find_row_path(open_text(), name)
        left_out = {other: f"a list of {size} objects" for other, size in others.items()}
        return RecordFile(encoding, ".".join(steps), json_reader.json_records(open_text(), name, steps), left_out)
    declared = tuple(layout.row_path.strip("/").split("/")) if layout.row_path else None
    found = declared or xml_reader.find_row_path(open_text(), name)
    if found is None:
        return RecordFile(encoding, None, iter(()))
    opened = RecordFile(encoding, "/".join(found), iter(()))
    opened.records = _xml(open_text(), name, found, opened.left_out if declared is None else {})
    return opened


def iter_records(
    path: Path, name: str, kind: Kind, layout: Format, keep_reject: KeepReject = lambda _reject: None
) -> Iterator[Record]:
    """The records of a file as line and column → text; see :func:`open_records`."""
    return open_records(path, name, kind, layout, keep_reject).records


def _xml(chunks: Iterator[str], name: str, row_path: tuple[str, ...], left_out: dict[str, str]) -> Iterator[Record]:
    beside: Counter[str] = Counter()
    yield from xml_reader.xml_records(chunks, name, row_path, beside)
    left_out.update({f"<{other}>": f"{count} beside the rows" for other, count in beside.items()})


def _open_json_lines(path: Path, name: str, layout: Format, keep_reject: KeepReject) -> RecordFile:
    with path.open("rb") as reader:
        sample = reader.read(_SAMPLE_BYTES)
    mark, length = byte_order_mark(sample)
    if mark == "utf-16":
        chunks = text_chunks(path, name, encoding_of(path, name, layout))
        encoded = ((line.encode(), True) for line in text_lines(chunks))
        return RecordFile(mark, None, json_reader.json_line_records(encoded, Decoder("utf-8"), keep_reject))
    if layout.encoding != "auto":
        decoder = Decoder(layout.encoding, strict=True)
    else:
        whole_lines = sample[length : sample.rfind(b"\n") + 1] or sample[length:]
        decoder = Decoder(dominant_encoding(whole_lines))
    lines = json_reader.json_lines(path)
    return RecordFile(decoder.dominant, None, json_reader.json_line_records(lines, decoder, keep_reject))
