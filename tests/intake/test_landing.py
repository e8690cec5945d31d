"""The bytes of an extract are kept as they came."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from pipelines.errors import ExtractError, StorageError
from pipelines.intake.landing import land


def test_bytes_land_under_their_hash_once(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    source = tmp_path / "报送.csv"
    source.write_bytes(data)
    first = land(source, tmp_path / "landing")
    digest = hashlib.sha256(data).hexdigest()
    assert (first.sha256, first.size, first.name) == (digest, len(data), "报送.csv")
    assert first.path == tmp_path / "landing" / digest[:2] / digest
    assert first.path.read_bytes() == data
    assert first.path.stat().st_mode & 0o777 == 0o600
    before = first.path.stat()
    assert land(source, tmp_path / "landing") == first
    assert first.path.stat().st_ino == before.st_ino
    assert sum(1 for path in (tmp_path / "landing").rglob("*") if path.is_file()) == 1


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.csv"
    source.write_bytes(b"x" * 100_000)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pipelines.intake.landing.os.write", full)
    with pytest.raises(StorageError, match=r"a\.csv cannot be kept: No space left.*free disk space"):
        land(source, tmp_path / "landing")
    assert list((tmp_path / "landing").rglob("*")) == []


def test_a_landing_cut_short_by_a_crash_is_replaced(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_bytes(b"whole")
    landed = land(source, tmp_path / "landing").path
    landed.write_bytes(b"wh")
    assert land(source, tmp_path / "landing").path.read_bytes() == b"whole"


def test_a_file_that_went_away_is_an_extract_error(tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="cannot be opened"):
        land(tmp_path / "gone.csv", tmp_path / "landing")
    assert [path for path in (tmp_path / "landing").rglob("*") if path.is_file()] == []


def test_an_extract_may_be_called_otherwise_than_its_file(tmp_path: Path) -> None:
    source = tmp_path / "transfer-1"
    source.write_bytes(b"x")
    assert land(source, tmp_path / "landing", name="处罚.csv").name == "处罚.csv"
    (tmp_path / "full").touch()
    with pytest.raises(StorageError, match=r"the extract 处罚\.csv cannot be kept"):
        land(source, tmp_path / "full" / "landing", name="处罚.csv")
