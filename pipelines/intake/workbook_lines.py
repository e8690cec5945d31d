"""Which lines below the header of a sheet are rows, and what the others are.

A sheet kept by hand has blank lines, totals, signatures and notes between and below its rows. Each line is a row unless
what it says proves that it is none; every line that is no row is named in the manifest. In doubt a line is a row: then
it gets an outcome, and the department hears of it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.catalogue.headers import normalise_header
from pipelines.intake.header_search import SERIAL_HEADERS, Header, KnownHeaders
from pipelines.intake.workbook_sheet import SheetCells

ROW, SERIAL_ONLY = "row", "serial only"
# In a narrower table a line with one cell may well be a row.
_NOTES_FROM_COLUMNS = 3
# A sample row, or a line that says how to fill the columns, stands directly below the header; signatures at the end.
_LEADING_LINES = 5
_CLOSING_LINES = 30
_TOTALS_IN_COLUMNS = 3
_SENTENCE_CHARACTERS = 30
_MOST_LISTED = 200

_TOTAL_WORDS = r"(?:本页|本表|累计|以上)?[合总小共累]\s*计|合\s*计金额"
_TOTAL = re.compile(rf"(?:{_TOTAL_WORDS})\s*[:：]?")
_TOTAL_IN_COLUMN = rf"^\s*(?:{_TOTAL_WORDS})\s*[:：]?\s*$"
_QUANTITY = re.compile(r"[-+]?[0-9][0-9,.\s]*(?:%|[家户条件个人起笔宗份元项]|万元|亿元)?|-|—|/")
_LABEL = re.compile(
    r"(?:(?:制表|填表|填报|审核|复核|校对|经办|联系|报送|上报|统计|编制|录入|签发|批准)(?:人|单位|部门|日期|时间|电话|方式)?(?:\(?签字\)?)?"
    r"|(?:单位|部门|分管|主要|科室|处室)?(?:负责人|领导)(?:\(?签字\)?)?|单位\(?(?:公章|盖章)\)?|盖\s*章|电\s*话|日\s*期)\s*[:：]"
)
_NOTE = re.compile(
    r"(?:备?注|说\s*明|填表说明|填报说明|附注|提示|温馨提示|数据来源|来源|注意事项?|附|单位名称)\s*\d*\s*[:：]"
    r"|填[表报]说明|以上|本表|此表|截[至止]|[（(]?[一二三四五六七八九十]{1,3}[)）、.．]|第[一二三四五六七八九十]+部分|共\s*\d+\s*页?"
)
_SAMPLE = re.compile(
    r"[（(【]?(?:填[写报表])?(?:示例|样例|范例|举例|例如|例子)(?:行|数据)?\s*\d*[)）】]?[:：]?|例\s*\d*[:：]?"
)
_INSTRUCTION = re.compile(
    r"[（(*]?\s*(?:必\s*填|选\s*填|非必填|可选|必选|必填项|选填项|非必填项|可为空|可空|不可为空|必须填写|有则必填|条件必填)\s*[)）*]?"
)
_DATE = re.compile(
    r"[0-9〇一二三四五六七八九零]{4}\s*[年./-]\s*\d{1,2}\s*[月./-]\s*\d{1,2}\s*日?|\S{4}年\S{1,2}月\S{1,3}日"
)
_SENTENCE = re.compile(r"[。；;：:]|盖\s*章|公章|签[字章名]")

# The filled cells of a line: (column, text without blanks around it).
Texts = list[tuple[int, str]]


@dataclass
class Lines:
    """Lines from 0. ``rows`` is what is kept, in order; every other line below the header is in one of the others."""

    rows: list[int] = field(default_factory=list)
    blank: int = 0
    serial_only: int = 0
    notes: list[dict[str, Any]] = field(default_factory=list)
    hidden_left_out: list[int] = field(default_factory=list)

    def manifest(self) -> dict[str, Any]:
        """Counts, and the notes with line, column and length: never their text, which may name persons."""
        return {
            "blank_lines": self.blank,
            "serial_only_lines": self.serial_only,
            "note_row_count": len(self.notes),
            "note_rows": self.notes[:_MOST_LISTED],
            "hidden_rows_left_out": len(self.hidden_left_out),
        }


def sort_lines(
    cells: SheetCells,
    header: Header,
    known: KnownHeaders,
    fills: Collection[int],
    *,
    leave_out: Collection[int] = (),
) -> Lines:
    """Sort the lines below the header.

    ``fills`` are lines that get the text of a cell merged downwards: they hold more than their own cells.
    ``leave_out`` are hidden lines that the feed does not want.
    """
    filled = _filled_cells(cells)
    below = [line for line in range(header.last + 1, cells.height) if line not in leave_out]
    held = [line for line in below if filled[line]]
    judge = _Judge(cells, header, known)
    suspects = sorted(judge.suspects(held, filled) - set(fills))
    texts = dict(zip(suspects, _texts_at(cells, suspects), strict=True))
    kinds = {line: judge.kind(texts[line], line) for line in suspects}
    _settle_closing(kinds, texts, held, filled, judge)
    _settle_leading(kinds, texts, held, judge)
    lines = Lines(hidden_left_out=[line for line in range(header.last + 1, cells.height) if line in leave_out])
    lines.blank = len(below) - len(held)
    for line in held:
        kind = kinds.get(line, ROW)
        if kind == ROW:
            lines.rows.append(line)
        elif kind == SERIAL_ONLY:
            lines.serial_only += 1
        else:
            lines.notes.append(_note(line, kind, texts[line]))
    return lines


def _settle_closing(
    kinds: dict[int, str], texts: Mapping[int, Texts], held: Sequence[int], filled: Sequence[int], judge: _Judge
) -> None:
    """Signatures and last remarks: from the last line upwards, until a row."""
    for line in reversed(held[-_CLOSING_LINES:]):
        if line in kinds and kinds[line] == ROW and judge.is_closing(texts[line], after_blank=filled[line - 1] == 0):
            kinds[line] = "closing"
        if kinds.get(line, ROW) == ROW:
            return


def _settle_leading(kinds: dict[int, str], texts: Mapping[int, Texts], held: Sequence[int], judge: _Judge) -> None:
    """Sample rows, instructions and a second header in other words: from the header downwards, until a row."""
    for line in held[:_LEADING_LINES]:
        if line in kinds and kinds[line] == ROW:
            kinds[line] = judge.leading_kind(texts[line])
        if kinds.get(line, ROW) == ROW:
            return


class _Judge:
    """Knows the header of a sheet and says what a line below it is."""

    def __init__(self, cells: SheetCells, header: Header, known: KnownHeaders) -> None:
        self._cells = cells
        self._known = known.names
        self._above = cells.rows(header.first, header.last - header.first + 1)
        self._named = [any(row[column].strip() for row in self._above) for column in range(len(cells.columns))]
        self._serial = [normalise_header(name) in SERIAL_HEADERS for name in header.columns]
        self._spread = {top for (top, left), (bottom, right) in cells.merged if top == bottom and right > left}

    def suspects(self, held: Sequence[int], filled: Sequence[int]) -> set[int]:
        """The lines that may be no rows; only these are looked at one by one."""
        found = {*held[:_LEADING_LINES], *held[-_CLOSING_LINES:]}
        found.update(line for line in held if filled[line] == 1)
        named = [column for column, is_named in enumerate(self._named) if is_named]
        for column in named[:_TOTALS_IN_COLUMNS]:
            found.update(_lines_where(pc.match_substring_regex(self._cells.columns[column], _TOTAL_IN_COLUMN)))
        for column in named[:1]:
            again = pa.scalar(self._above[-1][column], pa.string())
            found.update(_lines_where(pc.equal(self._cells.columns[column], again)))
        return found.intersection(held)

    def kind(self, texts: Texts, line: int) -> str:
        """What a line is wherever it stands."""
        if len(texts) > 1 and all(text in [row[column].strip() for row in self._above] for column, text in texts):
            return "header again"
        if _TOTAL.fullmatch(texts[0][1]) and all(_QUANTITY.fullmatch(text) for _, text in texts[1:]):
            return "total"
        if len(texts) > 1 or sum(self._named) < _NOTES_FROM_COLUMNS:
            return ROW
        column, text = texts[0]
        if self._serial[column] and text.isdigit():
            return SERIAL_ONLY
        beside_the_table = self._serial[column] or not self._named[column] or line in self._spread
        return "note" if beside_the_table or _NOTE.match(text) or _LABEL.match(text) else ROW

    def is_closing(self, texts: Texts, *, after_blank: bool) -> bool:
        """Whether a line below the last row is a signature: labels, each with what it asks for, and dates."""
        if len(texts) == 1 and sum(self._named) >= _NOTES_FROM_COLUMNS:
            text = texts[0][1]
            is_sentence = len(text) >= _SENTENCE_CHARACTERS or _SENTENCE.search(text) is not None
            return after_blank or is_sentence or _DATE.fullmatch(text) is not None
        asked = False
        for position, (_, text) in enumerate(texts):
            is_label = _LABEL.match(text) is not None
            if not (is_label or asked or (position and _DATE.fullmatch(text))):
                return False
            asked = is_label and text.endswith((":", "："))
        return True

    def leading_kind(self, texts: Texts) -> str:
        """What a line directly below the header is."""
        if _SAMPLE.fullmatch(texts[0][1]):
            return "sample"
        if all(_INSTRUCTION.fullmatch(text) for _, text in texts):
            return "instruction"
        if len(texts) > 1 and all(normalise_header(text) in self._known for _, text in texts):
            return "second header"
        return ROW


def _filled_cells(cells: SheetCells) -> list[int]:
    """For each line how many cells hold more than blanks."""
    counts: Any = pa.nulls(cells.height, pa.int32()).fill_null(0)
    for column in cells.columns:
        is_filled = pc.invert(pc.utf8_is_space(column)).fill_null(False)
        counts = pc.add(counts, is_filled.cast(pa.int32()))
    filled: list[int] = counts.to_pylist()
    return filled


def _texts_at(cells: SheetCells, lines: Sequence[int]) -> list[Texts]:
    """The filled cells of some lines, which are in order, each as (column, text)."""
    found: list[Texts] = []
    coming = deque(lines)
    start = 0
    for batch in cells.table().to_batches():
        places: list[int] = []
        while coming and coming[0] < start + len(batch):
            places.append(coming.popleft() - start)
        start += len(batch)
        columns = [column.take(pa.array(places, pa.int64())).to_pylist() for column in batch.columns] if places else []
        for row in zip(*columns, strict=True):
            found.append([(column, text.strip()) for column, text in enumerate(row) if text and text.strip()])
    return found


def _lines_where(matches: Any) -> list[int]:
    found: list[int] = pc.indices_nonzero(matches.fill_null(False)).to_pylist()
    return found


def _note(line: int, kind: str, texts: Texts) -> dict[str, Any]:
    column, text = texts[0]
    return {"line": line + 1, "column": column + 1, "cells": len(texts), "characters": len(text), "kind": kind}
