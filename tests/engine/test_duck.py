"""A session names what went wrong with files and takes any name and text as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.engine.duck import InputRefusedError, identifier, literal, session
from pipelines.errors import StorageError


def test_a_missing_file_is_called_missing(tmp_path: Path) -> None:
    with session() as duck, pytest.raises(StorageError, match="missing"):
        duck.rows(f"FROM read_parquet({literal(str(tmp_path / 'gone.parquet'))})")


def test_a_file_that_is_not_as_told_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("a,b\n1\n", encoding="utf-8")
    columns = "columns = {'a': 'VARCHAR', 'b': 'VARCHAR'}, auto_detect = false, header = false"
    query = f"SELECT * FROM read_csv({literal(str(ragged))}, {columns}, strict_mode = true, null_padding = false)"
    target = tmp_path / "rows.parquet"
    with session() as duck, pytest.raises(InputRefusedError):
        duck.write_parquet(query, target)
    assert [path.name for path in tmp_path.iterdir()] == ["ragged.csv"]


@pytest.mark.parametrize("text", ["it's", '"quoted"', "a; DROP TABLE b", "列名（一）", "\\"])
def test_names_and_texts_are_quoted(text: str) -> None:
    with session() as duck:
        duck.execute(f"CREATE TABLE t AS SELECT {literal(text)} AS {identifier(text)}")
        assert duck.columns("t") == [text]
        assert duck.rows(f"SELECT {identifier(text)} FROM t") == [(text,)]


def test_nothing_stays_in_the_scratch_folder_but_the_macros(tmp_path: Path) -> None:
    with session(tmp_path) as duck:
        duck.rows("SELECT 1")
    assert [path.suffix for path in tmp_path.iterdir()] == [".duckdb"]
