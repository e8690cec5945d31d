"""Where extracts are found, and that their bytes are kept as they came."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import FolderSource
from pipelines.errors import ExtractError, StorageError
from pipelines.intake.connectors.folder import find_extracts
from pipelines.intake.landing import land
from pipelines.settings import Settings

DAY = date(2026, 11, 20)
ANY = FolderSource(path="dept/{date}")
MakeFeed = Callable[..., Feed]


@pytest.fixture
def inbox(tmp_path: Path) -> Settings:
    (tmp_path / "inbox" / "dept" / "2026-11-20").mkdir(parents=True)
    return Settings(inbox=tmp_path / "inbox", home=tmp_path / "home")


def test_files_of_the_day_are_found_in_order_without_leftovers(inbox: Settings, feed: MakeFeed) -> None:
    folder = inbox.inbox / "dept" / "2026-11-20"
    for name in ("b_20261120.csv", "a_20261120.csv", "a_20261119.csv", "~$a_20261120.csv", "c_20261120.csv.part"):
        (folder / name).write_text("x")
    found = find_extracts(inbox, feed(), FolderSource(path="dept/{date}", pattern="*_{day}*"), DAY)
    assert [path.name for path in found] == ["a_20261120.csv", "b_20261120.csv"]


def test_nothing_found_names_folder_and_pattern(inbox: Settings, feed: MakeFeed) -> None:
    with pytest.raises(ExtractError, match=r"2026-11-20.*dept_penalty.*no file matches \*\.csv.*ask the department"):
        find_extracts(inbox, feed(), FolderSource(path="dept/{date}", pattern="*.csv"), DAY)
    with pytest.raises(ExtractError, match="no such folder for 2026-11-21"):
        find_extracts(inbox, feed(), ANY, date(2026, 11, 21))


def test_links_out_of_the_inbox_and_too_large_files_are_refused(
    inbox: Settings, feed: MakeFeed, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("x")
    link = inbox.inbox / "dept" / "2026-11-20" / "a.csv"
    link.symlink_to(secret)
    with pytest.raises(ExtractError, match="leads out of the inbox"):
        find_extracts(inbox, feed(), ANY, DAY)
    link.unlink()
    link.write_bytes(b"x" * 11)
    with pytest.raises(ExtractError, match="11 bytes, the feed allows 10"):
        find_extracts(inbox, feed(), FolderSource(path="dept/{date}", max_bytes=10), DAY)


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
