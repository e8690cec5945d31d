"""The tables of a front-end database (前置库) as the upper side creates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, MetaData, SmallInteger, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import ExchangeTable, HoldingViews

# Wider columns are TEXT: MariaDB counts VARCHAR columns against the 64 KB of a row.
WIDEST = 255
# Binary collation: codes that differ in capitals or blanks are different codes.
_MARIADB: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
}
_Instant = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


@dataclass(frozen=True)
class FrontEndTables:
    """Column keys are our words (``batch``, ``record``, …) and field codes; column names are those of the endpoint.

    ``content`` and ``held``: category → table; what is held is shown for the categories that the endpoint's file names.
    """

    metadata: MetaData
    content: Mapping[str, Table]
    receipts: Table
    held: Mapping[str, Table]


def front_end_tables(endpoint: Endpoint, categories: Mapping[str, Category]) -> FrontEndTables:
    """The tables that the section ``exchange_table`` of an endpoint speaks of."""
    section = endpoint.exchange_table
    if section is None:
        raise ValueError(f"{endpoint.endpoint} has no section exchange_table")
    metadata = MetaData(schema=section.table_schema)
    shown = section.holdings
    return FrontEndTables(
        metadata,
        {code: _content(metadata, endpoint, section, categories[code]) for code in section.tables},
        _receipts(metadata, section),
        {code: _held(metadata, shown, view) for code, view in shown.views.items()} if shown else {},
    )


def _content(metadata: MetaData, endpoint: Endpoint, section: ExchangeTable, category: Category) -> Table:
    names = section.columns
    renamed = endpoint.fields.get(category.category, {})
    return Table(
        section.tables[category.category],
        metadata,
        _column(names.batch, String(64), "batch", primary_key=True),
        _column(names.record, String(64), "record", primary_key=True),
        _column(names.operation, String(10), "operation", nullable=False),
        _column(names.content_hash, String(64), "content_hash", nullable=False),
        _column(names.written_at, _Instant, "written_at", nullable=False),
        _column(names.read, SmallInteger(), "read", nullable=False, index=True),
        _column(names.read_at, _Instant, "read_at"),
        *(_column(renamed.get(field.code, field.code), _type(field), field.code) for field in category.fields),
        quote=True,
        **_MARIADB,
    )


def _receipts(metadata: MetaData, section: ExchangeTable) -> Table:
    names = section.receipt_columns
    return Table(
        section.receipts,
        metadata,
        _column(names.batch, String(64), "batch", nullable=False, index=True),
        _column(names.record, String(64), "record", nullable=False),
        _column(names.result, String(1), "result", nullable=False),
        _column(names.rule_code, String(20), "rule_code"),
        _column(names.field, String(60), "field"),
        _column(names.message, Text(), "message"),
        _column(names.upper_id, String(20), "upper_id"),
        _column(names.issued_at, _Instant, "issued_at", nullable=False),
        quote=True,
        **_MARIADB,
    )


def _held(metadata: MetaData, names: HoldingViews, view: str) -> Table:
    objection = [_column(names.objection, Boolean(), "objection")] if names.objection else []
    return Table(
        view,
        metadata,
        _column(names.record, String(64), "record", primary_key=True),
        _column(names.content_hash, String(64), "content_hash", nullable=False),
        _column(names.upper_id, String(20), "upper_id", nullable=False),
        _column(names.state, String(10), "state", nullable=False),
        *objection,
        quote=True,
        **_MARIADB,
    )


def _column(name: str, kind: TypeEngine[Any], key: str, **options: Any) -> Column[Any]:
    return Column(name, kind, key=key, quote=True, **options)


def _type(field: Field) -> TypeEngine[Any]:
    if field.length is not None and field.length_unit == "characters" and field.length <= WIDEST:
        return String(field.length)
    return Text()
