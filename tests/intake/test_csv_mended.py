"""The quick way: what it hands to DuckDB, how it proves what comes back, and what happens when the proof fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.catalogue.formats import Format
from pipelines.engine.duck import InputRefusedError, Session
from pipelines.engine.rows import RowsPart, lines_beside
from pipelines.errors import StorageError
from pipelines.intake import csv_mended
from pipelines.intake.csv_reader import read_csv
from pipelines.intake.header_search import KnownHeaders
from pipelines.intake.rejects import Reject
from tests.intake.conftest import ReadCsv, part_rows

Read = Callable[..., ReadCsv]
MIXED = 'a,b,c\n1,2,3\n"4\n4",5,6\n短,行\n7,"8",9\n'.encode()
EXPECTED = [(2, ("1", "2", "3")), (3, ("4\n4", "5", "6")), (6, ("7", "8", "9"))]


@pytest.mark.parametrize(
    "data",
    [
        "a,b,c\n甲,2,3\n4,5,6\n",
        "a,b,c\r\n甲,2,3\r\n4,5,6\r\n",
        "a,b,c\n甲,2,3\n4,5,6",
        "a,b,c\n甲,2,3\n4,5,6\n\n\n",
        "标题\r\na,b,c\r\n甲,2,3\r\n4,5,6\r\n\r\n",
        '"a","b","c"\n甲,"2",3\n"4","5","6"\n',
        "\ufeffa,b,c\n甲,2,3\n4,5,6\n",
    ],
)
def test_a_file_on_which_all_readers_agree_is_not_copied(
    read: Read, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_mended._Copy, "_begun", None)
    result = read(data.encode())
    assert result.found.manifest["way"] == "fast"
    assert [cells for _, cells in result.rows] == [("甲", "2", "3"), ("4", "5", "6")]
    assert result.found.first_line == result.rows[0][0]


@pytest.mark.parametrize(
    "data",
    [
        "a,b,c\n甲,2,3\r\n4,5,6\n",
        "a,b,c\r\n甲,2,3\n4,5,6\n",
        "a,b,c\n甲,2,3\n4,5,6\r",
        "a,b,c\n甲,2,3\n\n4,5,6\n",
        "a,b,c\n甲,2,3\n4,5,6\n  \n",
        "a,b,c\n甲,2,3\n4,5,6\n\r\n",
        "a,b,c\r\n甲,2,3\r\n4,5,6\r\n\n",
        "a,b,c\r\n甲,2,3\r\n4,5,6\r\n\r",
        "a,b,c\n甲,2,3\n4,5,6\nx\n",
        '"a\n",b,c\n甲,2,3\n4,5,6\n',
        "a,b,c\n甲,2,3,\n4,5,6\n",
        "\ufeffa,b,c\n\n甲,2,3\n4,5,6\n",
    ],
)
def test_where_readers_differ_a_mended_copy_is_read(read: Read, data: str) -> None:
    for encoding in ("utf-8", "gb18030"):
        result = read(data.encode(encoding))
        assert result.found.manifest["way"] == "mended"
        assert [cells for _, cells in result.rows] == [("甲", "2", "3"), ("4", "5", "6")]


def test_a_mark_that_starts_the_first_row_is_text(read: Read) -> None:
    for first in ("\ufeff1,2,3\n", '"\ufeff1",2,3\n', '\n"\ufeff1","2\n",3\n'):
        assert read(f"a,b,c\n{first}".encode()).rows[0][1][0] == "\ufeff1"


def test_gb18030_without_gaps_needs_no_file_of_lines(read: Read, tmp_path: Path) -> None:
    result = read("a,b,c\n甲,2,3\n4,5,6\n".encode("gb18030"))
    assert result.found.first_line == 2
    assert not lines_beside(tmp_path / "rows.parquet").exists()


def _refused(*_: Any, **__: Any) -> int:
    raise InputRefusedError


def _one_row_short(session: Session, query: str, target: Path, **options: Any) -> int:
    return Session.write_parquet(session, f"SELECT * FROM ({query}) LIMIT 2", target, **options)


def _an_empty_row(session: Session, query: str, target: Path, **options: Any) -> int:
    shifted = "SELECT CASE WHEN b <> '5' THEN COLUMNS(*) END FROM"
    return Session.write_parquet(session, f"{shifted} ({query})", target, **options)


@pytest.mark.parametrize("writes", [_refused, _one_row_short, _an_empty_row])
def test_what_cannot_be_proved_is_read_line_by_line_and_told_once(
    duck: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: Callable[..., int]
) -> None:
    path, target = tmp_path / "extract", tmp_path / "rows.parquet"
    path.write_bytes(MIXED)
    real = Session.write_parquet

    def write(session: Session, query: str, into: Path, **options: Any) -> int:
        monkeypatch.setattr(Session, "write_parquet", real)
        return writes(session, query, into, **options)

    monkeypatch.setattr(Session, "write_parquet", write)
    rejects: list[Reject] = []
    known = KnownHeaders(frozenset("abc"), 0, ())
    found = read_csv(duck, path, "x.csv", known, Format(), target, rejects.append)
    assert found.manifest["way"] == "careful"
    part = RowsPart("x", "x.csv", "", target, ("a", "b", "c"), 0, found.row_count, found.first_line)
    assert part_rows(part) == EXPECTED
    assert [reject.data for reject in rejects] == ["短,行".encode()]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["extract", "rows.parquet"]


def test_rejects_do_not_fill_the_memory(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is mostly no table is read line by line, which tells each reject at once."""
    monkeypatch.setattr(csv_mended, "_MOST_REJECT_BYTES", 5_000)
    result = read(MIXED + b"x\n" * 100)
    assert result.found.manifest["way"] == "careful"
    assert result.rows == EXPECTED
    assert len(result.rejects) == 101


def test_lines_of_rows_stand_beside_them(read: Read, tmp_path: Path) -> None:
    result = read(MIXED)
    assert result.found.first_line is None
    assert pq.read_table(lines_beside(tmp_path / "rows.parquet"))["_line"].to_pylist() == [2, 3, 6]
    assert pq.ParquetFile(tmp_path / "rows.parquet").schema_arrow.names == ["a", "b", "c"]


def test_a_folder_whose_name_looks_like_a_pattern(duck: Session, tmp_path: Path) -> None:
    folder = tmp_path / "*[a-z]?'{x}"
    folder.mkdir()
    (tmp_path / "xa0'{x}").mkdir()
    for name in ("a*.csv", "[b].csv", "c?.csv", "it's.csv"):
        path = folder / name
        known = KnownHeaders(frozenset("abc"), 0, ())
        for data in (MIXED, b"a,b,c\n1,2,3\n"):
            path.write_bytes(data)
            found = read_csv(duck, path, name, known, Format(), folder / f"{name}.parquet", lambda _: None)
            assert found.manifest["way"] in {"fast", "mended"}
            columns = ("a", "b", "c")
            part = RowsPart("x", name, "", folder / f"{name}.parquet", columns, 0, found.row_count, found.first_line)
            lines = duck.rows(f"SELECT {part.line_expression}, a FROM {part.source} ORDER BY 1")
            assert lines == [(line, cells[0]) for line, cells in part_rows(part)]


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "careful"])
def test_a_pipe_inside_a_gb18030_character_is_no_delimiter(read: Read, fast: bool) -> None:
    inside = [chr(point) for point in range(0x4E00, 0x9FA6) if chr(point).encode("gb18030")[1:] == b"|"]
    assert len(inside) > 80
    text = "".join(inside)
    for line_end in ("\n", "\r\n", "\r"):
        rows = ["名称|a|b", f"{text}|乙|丙", f"短|{text}", f'"{text}|"|2|{text}', "一|二|三"]
        data = (line_end.join(rows) + line_end).encode("gb18030") + b"\xff|2|3" + line_end.encode()
        result = read(data, columns=("名称", "a", "b"), fast=fast)
        assert result.rows == [
            (2, (text, "乙", "丙")),
            (4, (f"{text}|", "2", text)),
            (5, ("一", "二", "三")),
        ]
        assert result.causes == [(3, "LINE-002"), (6, "LINE-001")]
        assert [reject.data.rstrip(b"\r\n") for reject in result.rejects] == [rows[2].encode("gb18030"), b"\xff|2|3"]
        assert result.found.manifest["rows_by_encoding"] == {"gb18030": 3}
        assert result.found.manifest["delimiter"] == "pipe"


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "careful"])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_traces_of_a_wrong_conversion_are_counted_in_the_manifest(read: Read, encoding: str, fast: bool) -> None:
    sound = "a,b,c\n某市监管局,处罚,告诫\n"
    assert set(read(sound.encode(encoding), fast=fast).found.manifest["mojibake"].values()) == {0}
    garbled = sound + '锟斤拷锟斤拷,\ufffd,"张\ue000\n????"\n锟斤拷,拷贝,三????\n锟斤拷,ragged\n'
    found = read(garbled.encode(encoding), fast=fast).found.manifest["mojibake"]
    assert found == {"replacement": 1, "kun_jin_kao": 3, "private_use": 1, "question_marks": 2}


def test_a_disk_that_fills_up_while_a_copy_is_made(read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(csv_mended._Copy, "_begun", lambda copy: Full())
    with pytest.raises(StorageError, match=r"x\.csv.*No space left.*free disk space"):
        read(MIXED)
    assert [path.name for path in tmp_path.iterdir()] == ["extract"]
