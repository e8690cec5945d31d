"""What a batch has that the feed's last one had not, and the other way round: findings about files, not about rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from statistics import median
from typing import Any

from rapidfuzz import fuzz

from pipelines.catalogue.feeds import Volume
from pipelines.catalogue.headers import normalise_header
from pipelines.intake.shapes import Shape, Table, is_field

NEW_COLUMN = "SRC-001"
MISSING_COLUMN = "SRC-002"
RENAMED_COLUMN = "SRC-003"
REORDERED_COLUMNS = "SRC-004"
NEW_VALUE = "SRC-005"
OTHER_FORMAT = "SRC-006"
VOLUME = "SRC-007"
UNREAD = "SRC-008"
MOJIBAKE = "SRC-009"
BROKEN_DUMP = "SRC-010"
UNUSED_COLUMN_GONE = "SRC-011"
REKEYED = "SRC-012"

# How many decisions, and which share of those known from before, make a renumbered source.
FEWEST_REKEYED, MOST_REKEYED = 20, 0.2

# From here on two headers are taken for one that was renamed.
SIMILAR_FROM = 60
_NEAREST = 3
# Two tables of different names are compared when at least half of all their columns are the same.
_SAME_TABLE_FROM = 0.5
# What intake calls a column without a header.
_UNNAMED = re.compile(r"第[0-9]+列(?:#[0-9]+)?")
_MOST_NAMED = 8
# Reasons of intake for leaving out a sheet or an entry, and what it calls the traces of a wrong conversion.
_RIGHTLY_LEFT_OUT = frozenset({"empty", "not declared", "no worksheet", "a document"})
_REASONS = {"no known header": "没有可识别的表头", "hidden": "隐藏"}
_TRACES = {
    "replacement": "替换符“�”",
    "kun_jin_kao": "“锟斤拷”",
    "private_use": "自造字",
    "question_marks": "连续问号",
}


@dataclass(frozen=True)
class Change:
    """One finding about a file. ``observed`` holds names of columns and figures, never a value that tells of anybody.

    ``line`` is that of the header; ``field`` the field that is concerned, if it is one.
    """

    rule: str
    observed: str
    extract: str = ""
    extract_name: str = ""
    sheet: str = ""
    line: int | None = None
    field: str | None = None

    def as_json(self) -> dict[str, Any]:
        """A form that the manifest of a run can keep."""
        return asdict(self)


@dataclass(frozen=True)
class Loss:
    """A column that was read in the last batch, is gone, and whose ``purposes`` nothing else serves.

    ``nearest`` are new columns of the same table with how alike their headers are (0 to 100), the most alike first.
    """

    table: Table
    column: str
    purposes: tuple[str, ...]
    nearest: tuple[tuple[str, int], ...]


def compare_tables(before: Shape, tables: Sequence[Table]) -> list[Change]:
    """Columns that are new, gone, renamed or in another order, and files of another kind or encoding."""
    changes: list[Change] = []
    for table, earlier in _pairs(before, tables):
        changes += _columns(earlier, table)
        changes += _format(earlier, table)
    return list(dict.fromkeys(changes))


def lost_columns(before: Shape, tables: Sequence[Table], wanted: Callable[[Table, str], bool]) -> list[Loss]:
    """Columns that filled a field, or were read for another purpose, and that nothing in their table replaces.

    ``wanted`` says whether a table still has to serve a purpose: a feed may have stopped asking for it.
    """
    losses = []
    for table, earlier in _pairs(before, tables):
        for column, purposes in earlier.uses.items():
            unserved = tuple(p for p in purposes if p not in table.purposes and wanted(table, p))
            is_gone = normalise_header(column) not in table.headers and column not in earlier.optional
            if unserved and is_gone:
                losses.append(Loss(table, column, unserved, nearest_columns(column, _new(earlier, table))))
    return losses


def nearest_columns(column: str, candidates: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """The candidates whose headers are most like that of ``column``, with how alike they are (0 to 100)."""
    scored = [(candidate, _likeness(column, candidate)) for candidate in candidates]
    return tuple(sorted(scored, key=lambda item: (-item[1], item[0]))[:_NEAREST])


def volume_change(rows: int, earlier: Sequence[int], volume: Volume) -> Change | None:
    """A number of rows out of range; ``earlier`` are the numbers of the batches before, the latest first.

    Batches without a row say nothing about the usual size. Nothing is compared while neither this batch nor the
    usual one has ``volume.ignore_below`` rows.
    """
    counted = [count for count in earlier if count > 0][: volume.batches]
    if not counted:
        return None
    usual = float(median(counted))
    if max(rows, usual) < volume.ignore_below or usual / volume.factor <= rows <= usual * volume.factor:
        return None
    return Change(VOLUME, f"本批 {rows:,} 行；此前 {len(counted)} 批的中位数为 {usual:,.0f} 行")


def new_values(field: str, column: str, unseen: int, rows: int, shown: Sequence[str]) -> Change:
    """Values of a coded column that nobody has declared and no earlier batch had; ``shown`` tell of nobody."""
    named = f"，其中：{'、'.join(shown[:_MOST_NAMED])}" if shown else ""
    return Change(NEW_VALUE, f"{column}：{unseen:,} 个新值，共 {rows:,} 行{named}", field=field)


def broken_dump(absent: int, records: int) -> Change:
    """A full dump that lacks too many records to be believed."""
    return Change(BROKEN_DUMP, f"已有 {records:,} 条记录，本批缺少 {absent:,} 条")


def rekeyed_source(known: int, rekeyed: int) -> list[Change]:
    """Decisions known from before that come back under other keys: a source that silently renumbers its records."""
    if rekeyed < FEWEST_REKEYED or rekeyed < MOST_REKEYED * known:
        return []
    return [Change(REKEYED, f"以往报送过的 {known:,} 条决定中，{rekeyed:,} 条改了文书号、主体或机关，成了另一条记录")]


def extract_faults(manifests: Sequence[Mapping[str, Any]]) -> list[Change]:
    """What is wrong with files themselves: wrong extensions, sheets nobody read, damage done before they were sent."""
    changes: list[Change] = []
    for manifest in manifests:
        extract, name = str(manifest["sha256"]), str(manifest["name"])
        if manifest.get("extension_fits") is False:
            changes.append(Change(UNREAD, f"扩展名与内容不符，实为 {manifest.get('kind')}", extract, name))
        changes += [Change(UNREAD, f"未读取：{sheet}", extract, name) for sheet in _left_out(manifest)]
        changes += [Change(MOJIBAKE, kinds, extract, name, sheet) for sheet, kinds in _mojibake(manifest)]
    return changes


def _left_out(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Sheets and archive entries that were not read although nobody said so, each with the reason."""
    for name, reason in (manifest.get("sheets_left_out") or {}).items():
        if reason not in _RIGHTLY_LEFT_OUT:
            yield f"{name}（{_REASONS.get(reason, reason)}）"


def _mojibake(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Traces of a wrong conversion, by sheet where they are known by sheet."""
    for entry in [manifest] if manifest.get("mojibake") else manifest.get("sheets", ()):
        counts = [(kind, count) for kind, count in (entry.get("mojibake") or {}).items() if count]
        if counts:
            named = (f"{_TRACES.get(kind, kind)} {count:,} 处" for kind, count in counts)
            yield str(entry.get("sheet", "")), "，".join(named)


def _pairs(before: Shape, tables: Sequence[Table]) -> Iterator[tuple[Table, Table]]:
    """Each table with the earlier one that it is compared with, if there is one."""
    for table in tables:
        candidates = [earlier for earlier in before.tables if _may_be_compared(earlier, table)]
        alike = [
            earlier for earlier in candidates if (earlier.name, earlier.sheet_name) == (table.name, table.sheet_name)
        ]
        ranked = sorted(alike or candidates, key=lambda earlier: -_overlap(earlier, table))
        alone = len(tables) == 1 and before.present == 1 and before.tables[0] in candidates
        if ranked and (alike or _overlap(ranked[0], table) >= _SAME_TABLE_FROM):
            yield table, ranked[0]
        elif alone:
            yield table, before.tables[0]


def _may_be_compared(earlier: Table, table: Table) -> bool:
    """Two official templates are two kinds of table, whatever the files are called."""
    return None in {earlier.template, table.template} or earlier.template == table.template


def _overlap(earlier: Table, table: Table) -> float:
    old, new = set(earlier.headers), set(table.headers)
    return len(old & new) / max(len(old | new), 1)


def _new(earlier: Table, table: Table) -> list[str]:
    """Columns that the earlier table did not have; those without a header only when they are read."""
    known = earlier.headers
    return [
        column
        for header, column in table.headers.items()
        if header not in known and (column in table.uses or not _UNNAMED.fullmatch(column))
    ]


def _columns(earlier: Table, table: Table) -> Iterator[Change]:
    gone = [column for column in _new(table, earlier) if column not in earlier.optional]
    new = _new(earlier, table)
    renamed = _renamed(earlier, table, gone, new)
    for old, (column, why) in renamed.items():
        purposes = earlier.uses.get(old, ()) or table.uses.get(column, ())
        yield _change(table, RENAMED_COLUMN, f"{old} → {column}（{why}）", purposes)
    for column in gone:
        if column not in renamed:
            used = earlier.uses.get(column, ())
            yield _change(table, MISSING_COLUMN if used else UNUSED_COLUMN_GONE, column, used)
    taken = {column for column, _ in renamed.values()}
    for column in new:
        if column not in taken:
            yield _change(table, NEW_COLUMN, column, table.uses.get(column, ()))
    moved = [] if table.is_of_records else _moved(earlier, table)
    if moved:
        named = "、".join(moved[:_MOST_NAMED]) + (" 等" if len(moved) > _MOST_NAMED else "")
        yield _change(table, REORDERED_COLUMNS, f"{len(moved)} 列换了位置：{named}", ())


def _renamed(earlier: Table, table: Table, gone: Sequence[str], new: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Column that is gone → the new one that it has most likely become, and why: likeness first, then the place."""
    scored = sorted(((_likeness(old, column), old, column) for old in gone for column in new), reverse=True)
    found: dict[str, tuple[str, str]] = {}
    taken: set[str] = set()
    for score, old, column in scored:
        if score >= SIMILAR_FROM and old not in found and column not in taken:
            found[old] = (column, f"相似度 {score} %")
            taken.add(column)
    for old in gone:
        for column in new:
            if old not in found and column not in taken and _same_place(earlier, old, table, column):
                found[old] = (column, "位置相同")
                taken.add(column)
    return found


def _same_place(earlier: Table, old: str, table: Table, new: str) -> bool:
    """Between the same two columns, or at the same number in a table of as many columns."""
    before, after = list(earlier.headers.values()), list(table.headers.values())
    at, now = before.index(old), after.index(new)
    return (len(before) == len(after) and at == now) or _neighbours(before, at) == _neighbours(after, now)


def _neighbours(columns: Sequence[str], at: int) -> tuple[str, str]:
    left = normalise_header(columns[at - 1]) if at else ""
    return left, normalise_header(columns[at + 1]) if at + 1 < len(columns) else ""


def _moved(earlier: Table, table: Table) -> list[str]:
    """Columns without which the others stand in their old order."""
    old = [header for header in earlier.headers if header in table.headers]
    new = [header for header in table.headers if header in earlier.headers]
    kept: set[str] = set()
    for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        kept.update(old[block.a : block.a + block.size])
    return [column for header, column in table.headers.items() if header in earlier.headers and header not in kept]


def _format(earlier: Table, table: Table) -> Iterator[Change]:
    for old, new in ((earlier.kind, table.kind), (earlier.encoding, table.encoding)):
        if old and new and old != new:
            yield _change(table, OTHER_FORMAT, f"{old} → {new}", ())


def _change(table: Table, rule: str, observed: str, purposes: Sequence[str]) -> Change:
    fields = [purpose for purpose in purposes if is_field(purpose)]
    field = fields[0] if len(fields) == 1 else None
    return Change(rule, observed, table.extract, table.extract_name, table.sheet, table.line, field)


def _likeness(one: str, other: str) -> int:
    return round(fuzz.ratio(normalise_header(one), normalise_header(other)))
