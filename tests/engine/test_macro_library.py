"""The macros are there for every session, whatever became of the file that keeps them ready."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.engine import macro_library
from pipelines.engine.duck import session

ASKED = "SELECT uscc_verdict('91110000600037341L')"


def answer(scratch: Path | None) -> object:
    with session(scratch) as duck:
        return duck.one(ASKED)[0]


@pytest.fixture
def told() -> object:
    return answer(None)


def test_the_file_is_written_once_and_read_afterwards(tmp_path: Path, told: object) -> None:
    assert answer(tmp_path) == told
    (file,) = tmp_path.glob("*.duckdb")
    written = file.stat().st_mtime_ns
    assert answer(tmp_path) == told
    assert file.stat().st_mtime_ns == written


def test_a_damaged_file_is_replaced(tmp_path: Path, told: object) -> None:
    answer(tmp_path)
    (file,) = tmp_path.glob("*.duckdb")
    file.write_bytes(b"no database" * 1000)
    assert answer(tmp_path) == told
    assert answer(tmp_path) == told
    (file,) = tmp_path.glob("*.duckdb")
    assert file.read_bytes()[:2] != b"no"


def test_the_file_of_another_version_goes(tmp_path: Path, told: object) -> None:
    (tmp_path / "macros-0123456789abcdef.duckdb").write_bytes(b"older")
    assert answer(tmp_path) == told
    assert len(list(tmp_path.glob("*.duckdb"))) == 1


def test_a_session_does_without_the_file_where_it_cannot_be_written(
    tmp_path: Path, told: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(macro_library, "_write", full)
    assert answer(tmp_path) == told
    assert list(tmp_path.iterdir()) == []


def test_processes_that_begin_together_all_have_them(tmp_path: Path, told: object) -> None:
    program = (
        "import sys, pathlib, tests.engine.test_macro_library as here; print(here.answer(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=120)[0].strip() for process in started] == [str(told)] * 4
    assert len(list(tmp_path.iterdir())) == 1
