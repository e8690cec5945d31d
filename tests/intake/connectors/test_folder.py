"""The inbox: which files belong to a batch, that they are whole, and what becomes of them afterwards."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import FolderSource
from pipelines.errors import ExtractError, SourceError, StorageError
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.connectors.folder import InboxFiles, pull, settle
from pipelines.intake.landing import LandedExtract
from pipelines.settings import Settings

DAY = date(2026, 11, 20)
HEAD = "行政相对人名称,行政处罚决定书文号,处罚决定日期\n"


class Puller:
    """Pulls the same feed again and again; what is settled makes up the next pull's earlier extracts."""

    def __init__(self, folder: Path, feed: Callable[..., Feed], category: Category) -> None:
        self.settings = Settings(inbox=folder / "inbox", home=folder / "home")
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.said: list[str] = []
        self._feed = feed
        self._category = category

    def feed(self, **source: Any) -> Feed:
        return self._feed(source=FolderSource.model_validate({"path": "dept", **source}))

    def __call__(
        self,
        day: date = DAY,
        *,
        earlier: tuple[LandedExtract, ...] = (),
        lost: tuple[str, ...] = (),
        owed: tuple[dict[str, Any], ...] = (),
        **source: Any,
    ) -> Pull:
        request = PullRequest(
            self.settings,
            self.feed(**source),
            day,
            self.workspace,
            earlier=earlier,
            lost=lost,
            owed=owed,
            category=self._category,
            progress=self.said.append,
        )
        return pull(request)

    def settle(self, pulled: Pull, **source: Any) -> list[str]:
        assert pulled.receipt is not None
        return list(settle(self.settings, self.feed(**source), json.loads(json.dumps(pulled.receipt))))


@pytest.fixture
def puller(tmp_path: Path, feed: Callable[..., Feed], category: Category) -> Puller:
    made = Puller(tmp_path, feed, category)
    (made.settings.inbox / "dept").mkdir(parents=True)
    return made


@pytest.fixture
def dept(puller: Puller) -> Path:
    return puller.settings.inbox / "dept"


def names(pulled: Pull) -> list[str]:
    return [extract.name for extract in pulled.extracts]


def set_time(path: Path, text: str) -> None:
    moment = datetime.fromisoformat(text).timestamp()
    os.utime(path, (moment, moment))


@contextmanager
def later(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Do something in the background, and see that it was done."""
    timer = threading.Timer(seconds, act)
    timer.start()
    try:
        yield
    finally:
        timer.join()


# Which files -------------------------------------------------------------------------------------------------------


def test_files_of_the_day_are_taken_in_order_without_leftovers(puller: Puller, dept: Path) -> None:
    folder = dept / "2026-11-20"
    (folder / "d_20261120.csv").mkdir(parents=True)
    for name in ("b_20261120.csv", "a_20261120.csv", "a_20261119.csv", "~$a_20261120.csv", "c_20261120.csv.part"):
        (folder / name).write_text(name)
    pulled = puller(path="dept/{date}", pattern="*_{day}*")
    assert names(pulled) == ["a_20261120.csv", "b_20261120.csv"]
    assert [extract.path.read_text() for extract in pulled.extracts] == names(pulled)
    assert pulled.receipt is None
    assert [fact["name"] for fact in pulled.facts["files"]] == names(pulled)
    assert pulled.facts["files"][0]["sha256"] == pulled.extracts[0].sha256
    assert json.loads(json.dumps(pulled.facts))["place"] == str(folder)


def test_nothing_found_names_folder_pattern_and_what_lies_there(puller: Puller, dept: Path) -> None:
    (dept / "a.txt").touch()
    with pytest.raises(ExtractError, match=r"dept: feed dept_penalty: no file matches \*\.csv.*1 other files.*ask the"):
        puller(pattern="*.csv")
    with pytest.raises(ExtractError, match=r"2026-11-21: feed dept_penalty: there is no such folder for 2026-11-21"):
        puller(date(2026, 11, 21), path="dept/{date}")


def test_folder_names_are_no_patterns(puller: Puller) -> None:
    folder = puller.settings.inbox / "材料[2026]*"
    folder.mkdir()
    (folder / "处罚[1].csv").touch()
    assert names(puller(path="材料[2026]*")) == ["处罚[1].csv"]
    (puller.settings.inbox / "材料2").mkdir()
    with pytest.raises(ExtractError, match="no such folder"):
        puller(path="材料[2]")


def test_names_in_gbk_are_read_moved_and_named_in_messages(puller: Puller) -> None:
    root = os.fsencode(puller.settings.inbox)
    folder = Path(os.fsdecode(root + b"/" + "市监局".encode("gbk")))
    folder.mkdir()
    (folder / os.fsdecode("处罚.csv".encode("gbk"))).write_bytes(b"gbk")
    (folder / "处罚.csv").write_bytes(b"utf-8")
    move = {"path": "市监局", "pattern": "处*.csv", "afterwards": {"do": "move", "folder": "完成"}}
    pulled = puller(**move)
    assert sorted((extract.name, extract.path.read_bytes()) for extract in pulled.extracts) == [
        ("处罚.csv", b"gbk"),
        ("处罚.csv", b"utf-8"),
    ]
    with pytest.raises(ExtractError) as caught:
        puller(max_bytes=2, **move)
    assert "市监局/处罚.csv: the file has" in str(caught.value).encode().decode()
    assert puller.settle(pulled, **move) == []
    assert list(folder.iterdir()) == []
    found = {os.fsencode(path.name): path.read_bytes() for path in puller.settings.inbox.rglob("*.csv")}
    assert found == {"处罚.csv".encode("gbk"): b"gbk", "处罚.csv".encode(): b"utf-8"}


def test_links_are_followed_as_long_as_they_stay_in_the_inbox(puller: Puller, dept: Path, tmp_path: Path) -> None:
    (dept / "real.txt").write_text("x")
    (dept / "a.csv").symlink_to("real.txt")
    assert puller(pattern="*.csv").extracts[0].path.read_text() == "x"
    (dept / "b.csv").symlink_to("nowhere.txt")
    with pytest.raises(ExtractError, match=r"b\.csv: the file is a symbolic link that leads nowhere"):
        puller(pattern="*.csv")
    (tmp_path / "secret").write_text("secret")
    (dept / "b.csv").unlink()
    (dept / "b.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(ExtractError, match=r"b\.csv: the file leads out of the inbox through a symbolic link"):
        puller(pattern="*.csv")
    (tmp_path / "outside").mkdir()
    (puller.settings.inbox / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(ExtractError, match="the folder leads out of the inbox"):
        puller(path="linked")


def test_a_too_large_file_is_refused_and_a_pipe_is_no_file(puller: Puller, dept: Path) -> None:
    os.mkfifo(dept / "pipe.csv")
    (dept / "a.csv").write_bytes(b"x" * 11)
    with pytest.raises(ExtractError, match=r"a\.csv: the file has 11 bytes, the feed allows 10"):
        puller(max_bytes=10)
    assert names(puller(max_bytes=11)) == ["a.csv"]


@contextmanager
def somebody_else() -> Iterator[None]:
    """Without the rights of the administrator."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_what_may_not_be_read_is_named_with_what_to_do(feed: Callable[..., Feed], category: Category) -> None:
    with tempfile.TemporaryDirectory() as given:
        top = Path(given)
        puller = Puller(top, feed, category)
        secret = puller.settings.inbox / "dept" / "a.csv"
        secret.parent.mkdir(parents=True)
        secret.touch()
        puller.settings.home.mkdir()
        for folder in (top, puller.settings.home, puller.workspace, puller.settings.inbox, secret.parent):
            folder.chmod(0o777)
        secret.chmod(0)
        with (
            somebody_else(),
            pytest.raises(ExtractError, match=r"a\.csv: the file cannot be opened: Permission denied"),
        ):
            puller()
        secret.parent.chmod(0)
        with somebody_else(), pytest.raises(SourceError, match=r"dept: cannot be read: Permission denied.*let the acc"):
            puller()
        secret.parent.chmod(0o755)


def test_a_file_that_vanishes_or_grows_after_it_was_listed_is_not_taken(puller: Puller, dept: Path) -> None:
    tree = InboxFiles(puller.settings)
    (dept / "a.csv").write_bytes(b"half")
    (dept / "b.csv").write_bytes(b"half")
    listed = {file.name.text: file for file in tree.files("dept") or []}
    (dept / "a.csv").unlink()
    with (dept / "b.csv").open("ab") as growing:
        growing.write(b" and half")
    with pytest.raises(ExtractError, match=r"a\.csv: the file cannot be opened: No such file"):
        tree.land("dept", listed["a.csv"])
    with pytest.raises(ExtractError, match=r"b\.csv: the file changed while it was being taken"):
        tree.land("dept", listed["b.csv"])


# Whole files -------------------------------------------------------------------------------------------------------


def test_a_file_that_is_being_written_is_taken_when_it_has_held_still(puller: Puller, dept: Path) -> None:
    path = dept / "a.csv"
    path.write_bytes(b"0\n")

    def write() -> None:
        for number in range(1, 20):
            with path.open("ab") as growing:
                growing.write(b"%d\n" % number)
            time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    pulled = puller(complete={"stable_seconds": 0.4, "wait_seconds": 20})
    writer.join()
    assert pulled.extracts[0].path.read_bytes() == b"".join(b"%d\n" % number for number in range(20))
    assert "waiting for 1 file(s)" in puller.said[0]


def test_one_unfinished_file_keeps_the_whole_batch_waiting(puller: Puller, dept: Path) -> None:
    for name in ("a.csv", "a.csv.ok", "b.csv"):
        (dept / name).touch()
    started = time.monotonic()
    with pytest.raises(ExtractError, match=r"b\.csv: the file is not finished: its marker b\.csv\.ok is missing"):
        puller(complete={"marker": "{name}.ok", "wait_seconds": 0.4})
    assert 0.4 <= time.monotonic() - started < 3
    assert not puller.settings.landing.exists()
    with later(0.3, (dept / "b.csv.ok").touch):
        assert names(puller(complete={"marker": "{name}.ok", "wait_seconds": 20})) == ["a.csv", "b.csv"]


def test_the_marker_of_an_earlier_delivery_does_not_count(puller: Puller, dept: Path) -> None:
    (dept / "a.csv").touch()
    (dept / "a.ok").touch()
    set_time(dept / "a.ok", "2026-11-19T08:00:00+08:00")
    set_time(dept / "a.csv", "2026-11-20T08:00:00+08:00")
    with pytest.raises(ExtractError, match=r"its marker a\.ok is older than the file"):
        puller(complete={"marker": "{stem}.ok"})
    set_time(dept / "a.ok", "2026-11-20T08:00:00+08:00")
    assert names(puller(complete={"marker": "{stem}.ok"})) == ["a.csv"]


def test_one_marker_may_speak_for_the_folder(puller: Puller, dept: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (dept / name).touch()
    with pytest.raises(ExtractError, match=r"marker 完成_20261120\.flag is missing \(and 1 more\)"):
        puller(complete={"marker": "完成_{day}.flag"})
    (dept / "完成_20261120.flag").touch()
    assert names(puller(complete={"marker": "完成_{day}.flag"})) == ["a.csv", "b.csv"]


def test_a_young_file_is_unfinished_and_an_old_one_is_taken_at_once(puller: Puller, dept: Path) -> None:
    (dept / "a.csv").touch()
    with pytest.raises(ExtractError, match=r"a\.csv: the file is not finished: it changed less than 60 seconds ago"):
        puller(complete={"stable_seconds": 60})
    # A time that was only set does not make the file older: a copy keeps the time of its original while it is written.
    set_time(dept / "a.csv", "2026-11-19T08:00:00+08:00")
    with pytest.raises(ExtractError, match="changed less than 60 seconds ago"):
        puller(complete={"stable_seconds": 60})
    deadline = time.monotonic() + 5
    while time.time() - (dept / "a.csv").stat().st_ctime < 0.05 and time.monotonic() < deadline:
        os.sched_yield()
    assert names(puller(complete={"stable_seconds": 0.05})) == ["a.csv"]


# Whose day ---------------------------------------------------------------------------------------------------------


def test_the_day_of_modification_is_a_day_in_china(puller: Puller, dept: Path) -> None:
    for name, moment in (
        ("a.csv", "2026-11-19T23:59:59+08:00"),
        ("b.csv", "2026-11-19T16:30:00+00:00"),
        ("c.csv", "2026-11-20T23:59:59+08:00"),
        ("d.csv", "2026-11-21T00:00:00+08:00"),
    ):
        (dept / name).touch()
        set_time(dept / name, moment)
    # As late as a day can be: floating point would call it the next one.
    last = (dept / "c.csv").stat().st_mtime_ns + 999_999_999
    os.utime(dept / "c.csv", ns=(last, last))
    pulled = puller(dated_by="modified")
    assert names(pulled) == ["b.csv", "c.csv"]
    assert pulled.facts["files"][0]["modified"] == "2026-11-20T00:30:00+08:00"
    assert pulled.facts["files_of_other_days"] == {"2026-11-19": 1, "2026-11-21": 1}
    with pytest.raises(ExtractError, match=r"of 4 files that match \* none is of 2026-11-22.*source\.dated_by"):
        puller(date(2026, 11, 22), dated_by="modified")


def test_the_latest_day_in_a_column_decides_and_each_file_is_read_once(puller: Puller, dept: Path) -> None:
    by_column = {"dated_by": "column", "date_column": "处罚决定日期", "pattern": "*.csv"}
    (dept / "a.csv").write_text(HEAD + "甲,1号,2026/11/18\n乙,2号,2026年11月20日\n", encoding="gb18030")
    (dept / "b.csv").write_text(HEAD + "甲,3号,20261119\n乙,4号,不详\n", encoding="utf-8")
    (dept / "c.csv").write_text(HEAD + "甲,5号,2026-11-20 08:30:00\n乙,6号,2999-01-01\n", encoding="utf-8")
    pulled = puller(**by_column)
    assert names(pulled) == ["a.csv", "c.csv"]
    assert pulled.facts["files_of_other_days"] == {"2026-11-19": 1}
    assert len([text for text in puller.said if "reading" in text]) == 3
    assert names(puller(date(2026, 11, 19), **by_column)) == ["b.csv"]
    (dept / "b.csv").rename(dept / "d.csv")
    assert names(puller(date(2026, 11, 19), **by_column)) == ["d.csv"]
    assert len([text for text in puller.said if "reading" in text]) == 3
    assert [path.name for path in puller.workspace.iterdir()] == ["days.json"]


def test_a_file_without_any_day_is_refused(puller: Puller, dept: Path) -> None:
    (dept / "a.csv").write_text(HEAD + "甲,1号,不详\n乙,2号,\n", encoding="utf-8")
    for column in ("处罚决定日期", "没有这一列"):
        with pytest.raises(ExtractError, match=rf"a\.csv: the column {column}, .* holds no day up to today"):
            puller(dated_by="column", date_column=column)


# Afterwards --------------------------------------------------------------------------------------------------------

MOVE = {"afterwards": {"do": "move", "folder": "taken/{date}"}}


def test_files_are_moved_only_when_the_batch_is_settled_and_once(puller: Puller, dept: Path) -> None:
    move = {**MOVE, "complete": {"marker": "{stem}.ok"}, "totals": {"file": "{stem}.txt", "rows": "(.+)"}}
    for name, text in (("a.csv", "x"), ("a.ok", ""), ("a.txt", "1"), ("other.txt", "")):
        (dept / name).write_text(text)
    pulled = puller(pattern="a*", **move)
    assert names(pulled) == ["a.csv"]
    assert len(list(dept.iterdir())) == 4
    for _ in range(2):
        assert puller.settle(pulled, pattern="a*", **move) == []
        assert [path.name for path in dept.iterdir()] == ["other.txt"]
        taken = puller.settings.inbox / "taken" / "2026-11-20"
        assert sorted(path.name for path in taken.iterdir()) == ["a.csv", "a.ok", "a.txt"]
    with pytest.raises(ExtractError, match="no file matches"):
        puller(pattern="a*", **move)


def test_a_file_that_changed_since_it_was_landed_is_not_moved_and_that_is_said(puller: Puller, dept: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        (dept / name).write_text(name)
    pulled = puller(**MOVE)
    before = (dept / "a.csv").stat()
    (dept / "a.csv").write_text("A.csv")
    os.utime(dept / "a.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
    (dept / "b.csv").touch()
    (dept / "c.csv").unlink()
    remarks = puller.settle(pulled, **MOVE)
    assert len(remarks) == 2
    assert "a.csv: the file has changed since it was landed and stays" in remarks[0]
    assert "2026-11-20" in remarks[0]
    assert "c.csv: the file is gone" in remarks[1]
    # The same size and time, but other bytes stay; the same bytes with a new time go.
    assert [path.name for path in dept.iterdir()] == ["a.csv"]


def test_a_name_that_is_taken_gets_a_number_unless_the_bytes_are_the_same(puller: Puller, dept: Path) -> None:
    for text in ("first", "second", "first", "third"):
        (dept / "a.csv").write_text(text)
        assert puller.settle(puller(**MOVE), **MOVE) == []
        assert list(dept.iterdir()) == []
    taken = puller.settings.inbox / "taken" / "2026-11-20"
    kept = {path.name: path.read_text() for path in taken.iterdir()}
    assert kept == {"a.csv": "first", "a-2.csv": "second", "a-3.csv": "third"}


def test_renamed_files_are_not_found_again(puller: Puller, dept: Path) -> None:
    rename = {"afterwards": {"do": "rename", "suffix": ".已取"}}
    for text in ("first", "second"):
        (dept / "a.csv").write_text(text)
        pulled = puller(**rename)
        assert names(pulled) == ["a.csv"]
        assert puller.settle(pulled, **rename) == []
    assert sorted(path.name for path in dept.iterdir()) == ["a-2.csv.已取", "a.csv.已取"]
    with pytest.raises(ExtractError, match="no file matches"):
        puller(**rename)


def test_a_move_to_another_file_system_copies_the_file_whole(
    puller: Puller, dept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dept / "a.csv").write_text("x")
    set_time(dept / "a.csv", "2026-11-20T08:00:00+08:00")
    pulled = puller(**MOVE)
    rename = Path.rename

    def elsewhere(path: Path, target: Path) -> Path:
        if path.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", elsewhere)
    assert puller.settle(pulled, **MOVE) == []
    taken = puller.settings.inbox / "taken" / "2026-11-20"
    assert [(path.name, path.read_text()) for path in taken.iterdir()] == [("a.csv", "x")]
    assert datetime.fromtimestamp((taken / "a.csv").stat().st_mtime, UTC).isoformat() == "2026-11-20T00:00:00+00:00"
    assert list(dept.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_source_error_and_the_file_stays(puller: Puller, dept: Path) -> None:
    (dept / "a.csv").write_text("x")
    pulled = puller(**MOVE)
    (puller.settings.inbox / "taken").write_text("a file where the folder should be")
    with pytest.raises(SourceError, match=r"a\.csv: the file cannot be moved: .*afterwards\.do: leave"):
        puller.settle(pulled, **MOVE)
    assert [path.name for path in dept.iterdir()] == ["a.csv"]


def test_a_batch_pulled_again_is_what_was_moved_away_and_what_is_new(puller: Puller, dept: Path) -> None:
    (dept / "b.csv").write_text("b")
    first = puller(**MOVE)
    # Not settled yet: the file is there still, and is not taken twice.
    assert names(puller(earlier=first.extracts, **MOVE)) == ["b.csv"]
    puller.settle(first, **MOVE)
    again = puller(earlier=first.extracts, **MOVE)
    assert (names(again), again.receipt, again.facts["extracts_of_earlier_runs"]) == (["b.csv"], None, 1)
    (dept / "a.csv").write_text("a")
    more = puller(earlier=first.extracts, **MOVE)
    assert names(more) == ["b.csv", "a.csv"]
    assert more.receipt is not None
    assert [owed["name"] for owed in more.receipt["files"]] == ["a.csv"]
    # A folder that is left as it is answers for itself.
    assert names(puller(earlier=first.extracts)) == ["a.csv"]


def test_an_earlier_extract_that_the_landing_lost_is_missed(puller: Puller, dept: Path) -> None:
    (dept / "a.csv").write_text("a")
    with pytest.raises(StorageError, match=r"dept: the landing no longer has .* made of before: b\.csv"):
        puller(lost=("b.csv",), **MOVE)
    assert names(puller(lost=("b.csv",))) == ["a.csv"]
    (dept / "b.csv").write_text("put back")
    assert names(puller(lost=("b.csv",), **MOVE)) == ["a.csv", "b.csv"]


def test_a_file_that_another_batch_took_and_could_not_move_yet_is_not_taken_again(puller: Puller, dept: Path) -> None:
    (dept / "a.csv").write_text("monday")
    monday = puller(**MOVE)
    assert monday.receipt is not None
    owed = (json.loads(json.dumps(monday.receipt)),)
    with pytest.raises(ExtractError, match=r"of 1 files .* \(1 of another batch could not be moved yet"):
        puller(date(2026, 11, 21), owed=owed, **MOVE)
    (dept / "b.csv").write_text("tuesday")
    assert names(puller(date(2026, 11, 21), owed=owed, **MOVE)) == ["b.csv"]
    (dept / "a.csv").write_text("corrected")
    assert names(puller(date(2026, 11, 21), owed=owed, **MOVE)) == ["a.csv", "b.csv"]


def test_a_feed_that_changed_its_mind_leaves_files_where_they_are(puller: Puller, dept: Path) -> None:
    (dept / "a.csv").write_text("x")
    pulled = puller(**MOVE)
    assert puller.settle(pulled) == []
    assert pulled.receipt is not None
    other = settle(puller.settings, puller.feed(**MOVE), {**pulled.receipt, "source": "sftp"})
    assert "stay where they are: the feed has another kind of source now" in other[0]
    assert [path.name for path in dept.iterdir()] == ["a.csv"]
