"""What a batch looked like, so that the next batch of its feed can be compared with it.

A shape holds names of columns, kinds and encodings of files, and figures. It never holds a value of a row: values of
coded columns that nobody knows are kept as hashes, since a shifted column may have put anything there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from pipelines.catalogue.headers import normalise_header
from pipelines.engine.rows import RowsPart

# Kinds of tables that a feed has sent at some time and that are not part of this batch; more are forgotten.
_MOST_TABLES = 20
_MOST_UNKNOWN_VALUES = 1_000
_DIGITS = re.compile(r"[0-9０-９]+")
_HASH_DIGITS = 16
_KINDS_OF_RECORDS = frozenset({"xml", "json", "jsonl"})
TIME_STAMP = "source_timestamp"
_EXCLUSION = "exclusion:"

Uses = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Table:
    """One kind of table of a batch: the extracts and sheets that are called alike, digits aside, and have one header.

    ``uses`` says what each column is read for: codes of fields, :func:`exclusion` and :data:`TIME_STAMP`; columns that
    are read for nothing are left out. ``kind`` and ``encoding`` are what was found, ``encoding`` without a word on byte
    order marks. ``optional`` columns may be missing on a day: records of XML and JSON leave out names without a value.
    The rest is where the first such table stands in its batch.
    """

    name: str
    sheet_name: str
    template: str | None
    columns: tuple[str, ...]
    uses: Uses
    kind: str
    encoding: str | None
    optional: tuple[str, ...] = ()
    extract: str = ""
    extract_name: str = ""
    sheet: str = ""
    line: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Normalised header → column, in order."""
        found: dict[str, str] = {}
        for column in self.columns:
            found.setdefault(normalise_header(column), column)
        return found

    @property
    def is_of_records(self) -> bool:
        """Whether the columns are the names that any record has, in no order, and not those of one header."""
        return self.kind in _KINDS_OF_RECORDS

    @property
    def purposes(self) -> frozenset[str]:
        """Everything that any column is read for."""
        return frozenset(purpose for purposes in self.uses.values() for purpose in purposes)


@dataclass(frozen=True)
class Shape:
    """The tables of a batch, those of earlier batches that it did not have, and its unknown coded values.

    ``present`` counts how many of ``tables``, from the first one on, belong to the batch itself. ``unknown``: field
    code → hashes of values that its code list does not know, of this and all earlier batches.
    """

    tables: tuple[Table, ...] = ()
    present: int = 0
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """A form that the manifest of a run can keep."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Shape:
        known = {item.name for item in fields(Table)}
        tables = tuple(
            Table(
                **{
                    **{name: value for name, value in table.items() if name in known},
                    "columns": tuple(table["columns"]),
                    "optional": tuple(table["optional"]),
                    "uses": {column: tuple(purposes) for column, purposes in table["uses"].items()},
                }
            )
            for table in data["tables"]
        )
        unknown = {code: tuple(hashes) for code, hashes in data["unknown"].items()}
        return Shape(tables, int(data["present"]), unknown)


def exclusion(column: str) -> str:
    """The purpose of a column that says which rows are not reportable."""
    return f"{_EXCLUSION}{column}"


def is_field(purpose: str) -> bool:
    """Whether a column with this purpose fills a field."""
    return purpose != TIME_STAMP and not purpose.startswith(_EXCLUSION)


def tables_of(
    parts: Sequence[RowsPart],
    manifests: Iterable[Mapping[str, Any]],
    uses: Sequence[Uses],
    required: frozenset[str],
) -> list[Table]:
    """The different kinds of tables among the parts of a run.

    ``uses`` belong to the parts, one each; ``required`` are the fields that every record must have.
    """
    by_extract = {str(manifest["sha256"]): manifest for manifest in manifests if "kind" in manifest}
    found: dict[tuple[str, str, tuple[str, ...]], Table] = {}
    for part, used in zip(parts, uses, strict=True):
        facts = _facts(by_extract.get(part.extract, {}), part)
        kind = str(facts.get("kind", ""))
        table = Table(
            name=without_digits(part.extract_name.rpartition(".")[0] or part.extract_name),
            sheet_name=without_digits(part.sheet),
            template=part.template,
            columns=part.columns,
            uses=used,
            kind=kind,
            encoding=str(facts["encoding"]).removesuffix(" with mark") if facts.get("encoding") else None,
            optional=_optional(part, used, required) if kind in _KINDS_OF_RECORDS else (),
            extract=part.extract,
            extract_name=part.extract_name,
            sheet=part.sheet,
            line=facts.get("header_line"),
        )
        found.setdefault((table.name, table.sheet_name, table.columns), table)
    return list(found.values())


def remembered(tables: Sequence[Table], before: Shape | None) -> Shape:
    """The shape of a batch with these tables, which also remembers tables that only earlier batches had."""
    earlier = before or Shape()
    by_name = {(table.name, table.sheet_name): table for table in reversed(earlier.tables)}
    present = [_joined(table, by_name.get((table.name, table.sheet_name))) for table in tables]
    names = {(table.name, table.sheet_name) for table in tables}
    kept = [table for table in earlier.tables if (table.name, table.sheet_name) not in names]
    return Shape((*present, *kept)[: max(_MOST_TABLES, len(tables))], len(tables), dict(earlier.unknown))


def with_unknown(shape: Shape, found: Mapping[str, Iterable[str]]) -> Shape:
    """The shape with more values that a code list does not know, by field."""
    unknown = {code: list(hashes) for code, hashes in shape.unknown.items()}
    for code, values in found.items():
        known = unknown.setdefault(code, [])
        known += [value for value in map(value_hash, values) if value not in known]
    return Shape(
        shape.tables,
        shape.present,
        {code: tuple(hashes[-_MOST_UNKNOWN_VALUES:]) for code, hashes in unknown.items()},
    )


def value_hash(value: str) -> str:
    """A value that must not be kept, as something it can be recognised by."""
    return hashlib.sha256(value.encode()).hexdigest()[:_HASH_DIGITS]


def without_digits(name: str) -> str:
    """A name as it is every day: dates and numbers in it become ``#``."""
    return _DIGITS.sub("#", name)


def _facts(manifest: Mapping[str, Any], part: RowsPart) -> Mapping[str, Any]:
    """What intake found out about the table of a part: its sheet's facts, else those of the whole extract."""
    own = [sheet for sheet in manifest.get("sheets", ()) if part.sheet_column or sheet.get("sheet") == part.sheet]
    return {"kind": manifest.get("kind"), **own[0]} if own else manifest


def _optional(part: RowsPart, uses: Uses, required: frozenset[str]) -> tuple[str, ...]:
    return tuple(column for column in part.columns if required.isdisjoint(uses.get(column, ())))


def _joined(table: Table, earlier: Table | None) -> Table:
    """The table, with the names that only earlier records had."""
    if earlier is None or not (table.is_of_records and earlier.is_of_records):
        return table
    more = [column for header, column in earlier.headers.items() if header not in table.headers]
    return replace(
        table,
        columns=(*table.columns, *more),
        uses={**{column: earlier.uses[column] for column in more if column in earlier.uses}, **table.uses},
        optional=(*table.optional, *(column for column in more if column in earlier.optional)),
    )
