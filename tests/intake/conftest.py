"""What the intake tests share: the penalty category, a session, and a way to read a file into plain lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Format
from pipelines.catalogue.sources import FolderSource
from pipelines.engine.duck import Session, identifier, session
from pipelines.engine.rows import LINE_COLUMN, RowsPart, lines_beside
from pipelines.intake.csv_reader import CsvRows, read_csv
from pipelines.intake.header_search import KnownHeaders
from pipelines.intake.landing import land
from pipelines.intake.reading import IntakeResult, read_landed
from pipelines.intake.rejects import Reject
from pipelines.settings import Settings

Rows = list[tuple[int, tuple[str | None, ...]]]


@pytest.fixture(scope="session")
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


@pytest.fixture(scope="session")
def category() -> Category:
    return load_catalogue(Settings()).categories["administrative_penalty"]


@pytest.fixture
def feed() -> Callable[..., Feed]:
    """A penalty feed; keyword arguments replace its parts."""

    def make(**parts: Any) -> Feed:
        given = {"source": FolderSource(path="dept/{date}", pattern="*"), **parts}
        return Feed(feed="dept_penalty", name_zh="x", category="administrative_penalty", edition=2018, **given)

    return make


def rows_of(path: Path, first_line: int | None) -> Rows:
    """(line, cells) of a rows file."""
    table = pq.read_table(path)
    names = [name for name in table.column_names if name != LINE_COLUMN]
    cells = list(zip(*(table[name].to_pylist() for name in names), strict=True))
    if first_line is not None:
        lines = [first_line + index for index in range(len(cells))]
    else:
        beside = lines_beside(path)
        lines = (pq.read_table(beside) if beside.exists() else table)[LINE_COLUMN].to_pylist()
    return list(zip(lines, cells, strict=True))


def part_rows(part: RowsPart) -> Rows:
    return rows_of(part.path, part.first_line)


@dataclass(frozen=True)
class ReadCsv:
    found: CsvRows
    rows: Rows
    rejects: list[Reject]

    @property
    def causes(self) -> list[tuple[int, str]]:
        return [(reject.line, reject.cause[0]) for reject in self.rejects]


@pytest.fixture
def read(duck: Session, tmp_path: Path) -> Callable[..., ReadCsv]:
    """Read CSV bytes whose columns a, b, c (or others) are known."""

    def go(
        data: bytes, *, fast: bool = True, columns: tuple[str, ...] = ("a", "b", "c"), layout: Format | None = None
    ) -> ReadCsv:
        path, target = tmp_path / "extract", tmp_path / "rows.parquet"
        path.write_bytes(data)
        target.unlink(missing_ok=True)
        lines_beside(target).unlink(missing_ok=True)
        rejects: list[Reject] = []
        known = KnownHeaders(frozenset(columns), 0, ())
        found = read_csv(duck, path, "x.csv", known, layout or Format(), target, rejects.append, fast=fast)
        return ReadCsv(found, rows_of(target, found.first_line), rejects)

    return go


@pytest.fixture
def take(duck: Session, category: Category, tmp_path: Path) -> Callable[..., IntakeResult]:
    """Read one file, given as bytes, as the only extract of a penalty batch."""

    def go(data: bytes, name: str, feed: Feed | None = None) -> IntakeResult:
        (tmp_path / "inbox").mkdir(exist_ok=True)
        path = tmp_path / "inbox" / name
        path.write_bytes(data)
        return read_landed(duck, [land(path, tmp_path / "landing")], feed, category, tmp_path / "run")

    return go


def located(duck: Session, part: RowsPart) -> list[tuple[str, int, dict[str, str]]]:
    """(sheet, line, filled cells by column) of a part, as the next step sees them."""
    cells = ", ".join(identifier(column) for column in part.columns)
    query = (
        f"SELECT {part.sheet_expression}, {part.line_expression}, {cells} FROM {part.source} ORDER BY file_row_number"
    )
    return [
        (sheet, line, {name: value for name, value in zip(part.columns, values, strict=True) if value is not None})
        for sheet, line, *values in duck.rows(query)
    ]
