"""Standard rows for the tests of this room, from the cases that break one rule each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pipelines.catalogue.authorities import Authorities, Authority, FormerName
from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session
from pipelines.quality.reference import Reference, create_reference
from pipelines.quality.rules import Suite
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings

BUSINESS_DATE = date(2026, 11, 20)
CATEGORIES = ("administrative_licence", "administrative_penalty")
REFERENCE = Reference(
    Authorities(
        covers=("1199",),
        authorities=(
            Authority(
                name="示例市样本甲局",
                code="11119900MA990001XH",
                short=("样本甲局",),
                former=(FormerName(name="示例市样本旧局", until=date(2019, 3, 1)),),
            ),
        ),
    ),
    regions=("1199",),
)
_CASES = Path(__file__).parent / "cases"

Row = dict[str, str | None]


@dataclass(frozen=True)
class Case:
    """A clean row with a few cells changed, and the complete list of reasons that it must get."""

    rule: str
    row: Row
    reasons: tuple[str, ...]


@cache
def catalogue() -> Catalogue:
    return load_catalogue(Settings())


@cache
def suite(category: str) -> Suite:
    return load_suite(Settings(), catalogue().categories[category], catalogue().code_lists)


@cache
def bases(category: str) -> dict[str, Row]:
    """The clean rows of a category: an organisation, a person, an individual business."""
    loaded: dict[str, Row] = _document(category)["bases"]
    return loaded


@cache
def cases(category: str) -> tuple[Case, ...]:
    found = []
    for entry in _document(category)["cases"]:
        row = bases(category)[entry.get("base", "organisation")] | {
            field: _value(value) for field, value in entry["set"].items()
        }
        found.append(Case(entry["rule"], row, (entry["rule"], *entry.get("also", ()))))
    return tuple(found)


def standard_table(
    session: Session, category: Category, rows: Sequence[Mapping[str, str | None]], name: str = "standard"
) -> None:
    """Make a table as normalize leaves it; ``excluded_reason`` may stand among a row's fields."""
    columns: dict[str, Any] = {
        "row_no": pa.array(range(len(rows)), pa.int64()),
        "extract": pa.array(["e" * 64] * len(rows), pa.string()),
        "sheet": pa.array([""] * len(rows), pa.string()),
        "line": pa.array(range(2, len(rows) + 2), pa.int64()),
    }
    for field in (*category.field_codes, "excluded_reason", "source_timestamp"):
        columns[field] = pa.array([row.get(field) for row in rows], pa.string())
    session.register("given_rows", pa.table(columns))
    session.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM given_rows")
    create_reference(session, REFERENCE)


def _value(value: Any) -> str | None:
    if isinstance(value, dict):
        text, times = value["repeat"]
        return str(text) * int(times)
    return None if value is None else str(value)


@cache
def _document(category: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((_CASES / f"{category}.yaml").read_text(encoding="utf-8"))
    return loaded
