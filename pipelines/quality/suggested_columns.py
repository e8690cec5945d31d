"""Columns of a whole file that hold what belongs one column further left or right (domain reference 8, no. 15, 62)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.catalogue.categories import Category, Field
from pipelines.engine.duck import Session, identifier, literal
from pipelines.quality.facts import FACTS
from pipelines.quality.suggested_codes import has_relation

COLUMN_ORDER = "column_order"
LEAST_ROWS = 5
LEAST_SHARE = 0.8
# One cell in the wrong column may be a typing error; two that fit next door are not.
_LEAST_CELLS = 2
_WORDS = ("name", "text")
# What a value is by its looks alone, whatever column it stands in.
_LOOKS = """CASE
    WHEN {0} IS NULL THEN NULL
    WHEN regexp_matches({0}, '^(?:19|20|21)[0-9]{{2}}[-/.年][0-9]{{1,2}}[-/.月][0-9]{{1,2}}日?$') THEN 'date'
    WHEN regexp_matches({0}, '^[0-9A-Z]{{18}}$') THEN 'uscc'
    WHEN regexp_matches({0}, '^[0-9A-Z]{{8,17}}$') THEN 'code'
    WHEN regexp_matches({0}, '^[0-9]+(?:\\.[0-9]+)?$') THEN 'number'
    WHEN regexp_matches({0}, '〔(?:19|20)[0-9]{{2}}〕.*号$') THEN 'document'
    WHEN holds_han({0}) THEN 'words'
END"""


@dataclass(frozen=True)
class _Column:
    field: Field
    looks: tuple[str, ...]


def suggest_columns(session: Session, category: Category) -> None:
    """Add one suggestion per row of a file whose values fit only one column further, for four rows in five or more.

    ``field`` is the first field that should get its neighbour's value and ``suggested`` that value, unless either of
    them is restricted or a name. Files are the parts of ``column_order``; parts with fewer than five rows, or mostly
    in order, are not looked at.
    """
    if not has_relation(session, COLUMN_ORDER):
        return
    parts = session.rows(
        f"""
        SELECT part, first_row, rows FROM (SELECT DISTINCT part, first_row, rows FROM {COLUMN_ORDER}) AS parts
        WHERE rows >= {LEAST_ROWS} AND (
            SELECT count(*) FROM suspicious WHERE row_no >= first_row AND row_no < first_row + rows
        ) >= {LEAST_SHARE} * rows
        ORDER BY part
        """
    )
    for part, first_row, rows in parts:
        order = session.rows(f"SELECT field FROM {COLUMN_ORDER} WHERE part = $part ORDER BY place", {"part": part})
        columns = [_column(category, str(code)) for (code,) in order]
        for step in (1, -1):
            if _suggest(session, columns, int(first_row), int(rows), step):
                break


def _column(category: Category, code: str) -> _Column:
    field = category.field(code)
    if field.type == "code":
        return _Column(field, ("uscc",) if field.code_system == "uscc" else ("code", "uscc", "number"))
    looks = {"date": "date", "amount": "number", "document_number": "document"}.get(field.type, "words")
    return _Column(field, (looks,))


def _suggest(session: Session, columns: Sequence[_Column], first_row: int, rows: int, step: int) -> bool:
    """Values moved by ``step`` (1: to the right) belong to the column ``step`` before; True when the file is so."""
    looks = ", ".join(
        f"{_LOOKS.format(identifier(column.field.code))} AS looks_{place}" for place, column in enumerate(columns)
    )
    astray = [
        f"coalesce(looks_{place} NOT IN ({_list(column)}), FALSE)"
        if column.field.type not in _WORDS
        # Words may hold anything but these.
        else f"coalesce(looks_{place} IN ('date', 'uscc', 'document'), FALSE)"
        for place, column in enumerate(columns)
    ]
    pairs = [place for place in range(len(columns)) if 0 <= place - step < len(columns)]
    if not pairs:
        return False
    explained = {
        place: f"({astray[place]} AND coalesce(looks_{place} IN ({_list(columns[place - step])}), FALSE))"
        for place in pairs
    }
    total = " + ".join(f"CAST({condition} AS INTEGER)" for condition in explained.values())
    wrong = " + ".join(f"CAST({condition} AS INTEGER)" for condition in astray)
    moved = ", ".join(f"{condition} AS moved_{place}" for place, condition in explained.items())
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE looked AS SELECT row_no, {moved}, "
        f"({total}) >= {_LEAST_CELLS} AND ({total}) >= {LEAST_SHARE} * ({wrong}) AS is_moved "
        f"FROM (SELECT row_no, {looks} FROM {FACTS} WHERE row_no >= {first_row} AND row_no < {first_row + rows})"
    )
    found = session.one(
        "SELECT count(*), count(*) FILTER (is_moved), "
        + ", ".join(f"count(*) FILTER (is_moved AND moved_{place})" for place in pairs)
        + " FROM looked"
    )
    judged, shifted = int(found[0]), int(found[1])
    is_shifted = shifted >= LEAST_ROWS and shifted >= LEAST_SHARE * judged
    if is_shifted:
        places = [place for place, count in zip(pairs, found[2:], strict=True) if count >= LEAST_SHARE * shifted]
        _add(session, columns, places or pairs, step, shifted, judged)
    session.execute("DROP TABLE looked")
    return is_shifted


def _add(
    session: Session, columns: Sequence[_Column], places: Sequence[int], step: int, shifted: int, judged: int
) -> None:
    plain = [place for place in places if _may_be_shown(columns[place]) and _may_be_shown(columns[place - step])]
    shown = [place for place in plain if columns[place - step].field.type not in _WORDS]
    place = (shown or plain or list(places))[0]
    value = f"CASE WHEN moved_{place} THEN {identifier(columns[place].field.code)} END" if shown else "NULL"
    share = f"{100 * shifted // judged}%"
    first, last = columns[min(places)].field, columns[max(places)].field
    direction_zh, direction_en = ("右", "right") if step == 1 else ("左", "left")
    zh = f"本文件{share}的行自“{first.name_zh}”至“{last.name_zh}”整体向{direction_zh}错了一列，请核对表头与数据列"
    en = f"in {share} of the rows of this file the values from {first.code} to {last.code} stand one column too far to "
    en += f"the {direction_en}"
    session.execute(
        f"INSERT INTO suggestions SELECT row_no, {literal(columns[place - step].field.code)}, "
        # A number that may be a person's is not repeated.
        f"CASE WHEN mask_code(value) = value THEN value END, 'column_shift', {literal(zh)}, {literal(en)} "
        f"FROM (SELECT row_no, {value} AS value FROM looked JOIN {FACTS} USING (row_no) WHERE is_moved)"
    )


def _may_be_shown(column: _Column) -> bool:
    return column.field.exposure == "public" and column.field.code_system != "identity_document"


def _list(column: _Column) -> str:
    return ", ".join(literal(looks) for looks in column.looks)
