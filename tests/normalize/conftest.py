"""A feed, its rows and a way to standardise them, for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import session
from pipelines.engine.rows import LINE_COLUMN, RowsPart, lines_beside
from pipelines.normalize.standardise import StandardResult, standardise
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Outcome:
    """What standardising left: rows as dictionaries in order of row_no, repairs as tuples, what the status decided."""

    rows: list[dict[str, Any]]
    repairs: list[tuple[Any, ...]]
    result: StandardResult
    revoked: list[int]
    withheld: dict[int, str]

    def column(self, code: str) -> list[str | None]:
        return [row[code] for row in self.rows]


Standardise = Callable[..., Outcome]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue(Settings(root=ROOT))


def make_feed(category: str = "administrative_penalty", **said: Any) -> Feed:
    fixed = {"feed": "a_b", "name_zh": "测试", "category": category, "edition": 2018}
    return Feed.model_validate({**fixed, "source": {"kind": "folder", "path": "a_b"}, **said})


@pytest.fixture
def run(catalogue: Catalogue, tmp_path: Path) -> Standardise:
    """Standardise columns (header → values) as one part; ``parts`` gives several."""

    def standardise_columns(
        columns: Mapping[str, Sequence[str | None]] | None = None,
        *,
        parts: Sequence[Mapping[str, Sequence[str | None]]] = (),
        feed: Feed | None = None,
        **about: Any,
    ) -> Outcome:
        made = []
        for number, part in enumerate(parts or [columns or {}]):
            made.append(make_part(tmp_path / f"{number}.parquet", part, sum(p.row_count for p in made), **about))
        used = feed or make_feed()
        with session(threads=2) as duck:
            result = standardise(duck, made, used, catalogue.category_of(used), catalogue.code_lists)
            names = duck.columns("standard")
            rows = duck.rows("SELECT * FROM standard ORDER BY row_no")
            repairs = duck.rows("SELECT row_no, field, rule, old_value, new_value FROM repairs")
            revoked = [row[0] for row in duck.rows("SELECT row_no FROM revocations ORDER BY row_no")]
            withheld = dict(duck.rows("SELECT row_no, rule FROM withheld"))
        return Outcome([dict(zip(names, row, strict=True)) for row in rows], repairs, result, revoked, withheld)

    return standardise_columns


def make_part(
    path: Path,
    columns: Mapping[str, Sequence[str | None]],
    row_offset: int = 0,
    lines: Sequence[int] | None = None,
    beside: bool = False,
    **about: Any,
) -> RowsPart:
    """A part with ``lines`` in its own file, or in the one ``beside`` it."""
    data = {name: pa.array(list(values), pa.string()) for name, values in columns.items()}
    if lines is not None and beside:
        pq.write_table(pa.table({LINE_COLUMN: pa.array(list(lines), pa.int64())}), lines_beside(path))
    elif lines is not None:
        data[LINE_COLUMN] = pa.array(list(lines), pa.int64())
    table = pa.table(data)
    pq.write_table(table, path)
    facts: dict[str, Any] = {"extract": "0" * 64, "extract_name": "rows.csv", "sheet": "", "first_line": 2}
    return RowsPart(
        path=path, columns=tuple(columns), row_offset=row_offset, row_count=table.num_rows, **{**facts, **about}
    )
