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


def test_what_is_kept_is_what_was_hashed_while_the_department_still_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.csv"
    source.write_bytes(b"first " * 1_000_000)
    write = os.write

    def and_changed(descriptor: int, data: memoryview) -> int:
        with source.open("r+b") as other:
            other.write(os.urandom(6_000_000))
        return write(descriptor, data)

    monkeypatch.setattr("pipelines.intake.landing.os.write", and_changed)
    landed = land(source, tmp_path / "landing")
    assert hashlib.sha256(landed.path.read_bytes()).hexdigest() == landed.sha256
    assert landed.size == landed.path.stat().st_size == 6_000_000


@pytest.mark.parametrize("size", [0, 1, 999, 1_000, 1_001, 12_345])
def test_every_byte_arrives_in_order_whatever_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Chunks are hashed, written (a part at a time) and synchronised by three threads."""
    monkeypatch.setattr("pipelines.intake.landing._CHUNK", 1_000)
    monkeypatch.setattr("pipelines.intake.landing._SYNCHRONISED_AT_ONCE", 2_000)
    write = os.write
    synchronised: list[int] = []
    monkeypatch.setattr("pipelines.intake.landing.os.write", lambda target, data: write(target, data[:300]))
    monkeypatch.setattr("pipelines.intake.landing.os.fsync", synchronised.append)
    data = os.urandom(size)
    source = tmp_path / "a.csv"
    source.write_bytes(data)
    landed = land(source, tmp_path / "landing")
    assert landed.path.read_bytes() == data
    assert landed.sha256 == hashlib.sha256(data).hexdigest()
    # The whole file and its folder in the end, and parts before where the file is long.
    assert (len(synchronised) > 2) == (size >= 2_000)


def test_a_disk_that_cannot_keep_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.csv"
    source.write_bytes(b"x" * 100_000)

    def lost(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pipelines.intake.landing._SYNCHRONISED_AT_ONCE", 1_000)
    monkeypatch.setattr("pipelines.intake.landing.os.fsync", lost)
    with pytest.raises(StorageError, match=r"a\.csv cannot be kept: Input/output error"):
        land(source, tmp_path / "landing")
    assert list((tmp_path / "landing").rglob("*")) == []
