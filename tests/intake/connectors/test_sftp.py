"""SFTP against a real server: what is landed is what lies there, whatever the server does; and nobody is trusted."""

from __future__ import annotations

import json
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import SftpSource
from pipelines.errors import ExtractError, SourceError
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.connectors.sftp import pull, settle
from pipelines.intake.connectors.sftp_connection import connect, server_of
from pipelines.settings import Settings
from tests.intake.sftp_server import PASSWORD, USER, OtherServer, SftpServer

DAY = date(2026, 11, 20)
QUICK = {"attempts": 4, "first_seconds": 0.01, "longest_seconds": 0.02}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SftpServer]:
    root = tmp_path / "account"
    (root / "out").mkdir(parents=True)
    with SftpServer(root) as running:
        known = tmp_path / "known_hosts"
        known.write_text(running.known_hosts_line)
        monkeypatch.setenv("DEPT_KNOWN_HOSTS", str(known))
        monkeypatch.setenv("DEPT_PASSWORD", PASSWORD)
        yield running


class Puller:
    """Pulls the same feed again and again."""

    def __init__(self, server: SftpServer, folder: Path, feed: Callable[..., Feed]) -> None:
        self.server = server
        self.settings = Settings(home=folder / "home", inbox=folder / "inbox")
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.said: list[str] = []
        self._feed = feed

    def feed(self, **source: Any) -> Feed:
        given: dict[str, Any] = {
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": self.server.port,
            "user": USER,
            "password_variable": "DEPT_PASSWORD",
            "known_hosts_variable": "DEPT_KNOWN_HOSTS",
            "path": "out",
            "retries": QUICK,
            "timeout_seconds": 20,
            **source,
        }
        return self._feed(source=SftpSource.model_validate(given))

    def __call__(self, day: date = DAY, **source: Any) -> Pull:
        request = PullRequest(self.settings, self.feed(**source), day, self.workspace, progress=self.said.append)
        return pull(request)

    @property
    def landed(self) -> list[Path]:
        return [path for path in self.settings.landing.rglob("*") if path.is_file()]


@pytest.fixture
def puller(server: SftpServer, tmp_path: Path, feed: Callable[..., Feed]) -> Puller:
    return Puller(server, tmp_path, feed)


def bytes_of(pulled: Pull) -> dict[str, bytes]:
    return {extract.name: extract.path.read_bytes() for extract in pulled.extracts}


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


# A server that dies ------------------------------------------------------------------------------------------------


def test_a_transfer_cut_three_times_is_continued_and_byte_identical(server: SftpServer, puller: Puller) -> None:
    data = some_bytes(12_345_678)
    (server.root / "out" / "a.csv").write_bytes(data)
    server.cut_after, server.cuts = 2_500_000, 3
    pulled = puller()
    assert bytes_of(pulled) == {"a.csv": data}
    assert server.cuts == 0
    assert pulled.facts["attempts"] == 4
    assert pulled.facts["resumed_bytes"] > 4_000_000
    # Only what was on its way when the line was cut, and a small overlap, came twice.
    assert server.sent < len(data) + 3 * 2_500_000
    assert list((puller.workspace / "transfers").iterdir()) == []


def test_a_server_that_dies_in_every_attempt_is_named_and_nothing_is_landed(server: SftpServer, puller: Puller) -> None:
    data = some_bytes(12_000_000)
    (server.root / "out" / "a.csv").write_bytes(b"whole")
    (server.root / "out" / "b.csv").write_bytes(data)
    server.cut_after, server.cuts = 2_200_000, 4
    with pytest.raises(SourceError) as caught:
        puller()
    assert caught.value.file == f"sftp://127.0.0.1:{server.port}/out/b.csv"
    assert "connection was cut (tried 4 times)" in str(caught.value)
    assert "ask the operators of the server, then run again" in str(caught.value)
    assert [path.read_bytes() for path in puller.landed] == [b"whole"]
    # The next run goes on where this one was cut off.
    sent = server.sent
    assert bytes_of(puller())["b.csv"] == data
    assert server.sent - sent < 8_000_000


def test_a_server_that_is_down_or_silent_is_a_source_error(server: SftpServer, puller: Puller) -> None:
    with OtherServer() as port, pytest.raises(SourceError, match="no complete answer within"):
        puller(port=port, timeout_seconds=0.4, retries={**QUICK, "attempts": 1})
    server.refuse()
    with pytest.raises(SourceError, match=rf"sftp://127.0.0.1:{server.port}/out: nobody listens there \(tried 4"):
        puller()
    with pytest.raises(SourceError, match="host is unknown"):
        puller(host="no-such-host.invalid", retries={**QUICK, "attempts": 1})


def test_a_server_of_another_kind_is_a_source_error(server: SftpServer, puller: Puller) -> None:
    greeting = "220 欢迎使用文件服务器\r\n".encode("gbk")
    with OtherServer(greeting) as port, pytest.raises(SourceError, match=rf"sftp://127.0.0.1:{port}/out"):
        puller(port=port, timeout_seconds=1, retries={**QUICK, "attempts": 1})


@pytest.mark.parametrize("place", ["login", "open", "list", "read"])
def test_a_server_that_hangs_anywhere_is_given_up(server: SftpServer, puller: Puller, place: str) -> None:
    (server.root / "out" / "a.csv").write_bytes(b"x")
    server.refuse()
    server.hang_at = place
    server.listen()
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"127.0.0.1"):
        puller(timeout_seconds=0.7, retries={**QUICK, "attempts": 2})
    assert time.monotonic() - started < 6
    assert puller.landed == []


def test_a_partial_transfer_of_another_file_is_not_continued(server: SftpServer, puller: Puller) -> None:
    path = server.root / "out" / "a.csv"
    path.write_bytes(some_bytes(6_000_000))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    server.cut_after, server.cuts = 2_200_000, 4
    with pytest.raises(SourceError):
        puller(retries={**QUICK, "attempts": 1})
    # The same size, and even the same time: only the bytes tell.
    other = some_bytes(6_000_001)[1:]
    path.write_bytes(other)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    server.cuts = 0
    pulled = puller()
    assert bytes_of(pulled) == {"a.csv": other}
    assert pulled.facts["resumed_bytes"] == 0


def test_a_file_that_changes_while_it_is_transferred_is_taken_again_or_refused(
    server: SftpServer, puller: Puller
) -> None:
    path = server.root / "out" / "a.csv"
    path.write_bytes(some_bytes(5_000_000))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    puller.said = _Watcher(lambda text: "4,194,304 of" in text and path.write_bytes(b"new"))  # type: ignore[assignment]
    with pytest.raises(ExtractError, match=r"a\.csv: the file changed while it was being taken.*source\.complete"):
        puller()
    assert puller.landed == []

    path.write_bytes(some_bytes(5_000_000))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    puller.said = _Watcher(lambda text: "4,194,304 of" in text and path.write_bytes(b"new"))  # type: ignore[assignment]
    pulled = puller(complete={"stable_seconds": 0.3, "wait_seconds": 10})
    assert bytes_of(pulled) == {"a.csv": b"new"}


class _Watcher:
    """Does something when a text comes by, once."""

    def __init__(self, act: Callable[[str], object]) -> None:
        self._act = act
        self._done = False

    def append(self, text: str) -> None:
        if not self._done and self._act(text):
            self._done = True


def test_a_file_that_nobody_closed_is_collected_while_a_request_is_made(server: SftpServer, puller: Puller) -> None:
    """The collector may come in the middle of a request, in the same thread, while the lock of the client is held."""
    (server.root / "out" / "a.csv").write_bytes(b"a")
    source = puller.feed().source
    assert isinstance(source, SftpSource)
    transport, client = connect(source, puller.settings, server_of(source))
    reader = client.reader(b"out/a.csv")
    collected = threading.Event()
    weakref.finalize(reader, collected.set)

    def request() -> None:
        nonlocal reader
        with client._lock:  # type: ignore[attr-defined]
            del reader

    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    thread.join(10)
    assert collected.is_set()
    assert not thread.is_alive(), "the farewell of the file waits for the lock that its own thread holds"
    assert client.stat(b"out/a.csv").st_size == 1
    transport.close()


# Who is trusted ----------------------------------------------------------------------------------------------------


def test_an_unknown_server_is_refused_with_its_fingerprint_before_any_login(
    server: SftpServer, puller: Puller, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    line = known.read_text().strip()
    known.write_text("")
    with pytest.raises(SourceError) as caught:
        puller()
    assert server.fingerprint in str(caught.value)
    assert f"add the line: {line}" in str(caught.value)
    assert (server.logins, server.connections) == (0, 1)
    known.write_text(line + "\n")
    (server.root / "out" / "a.csv").write_bytes(b"x")
    assert puller().extracts


def test_a_changed_server_key_stops_everything(server: SftpServer, puller: Puller) -> None:
    before = server.fingerprint
    server.change_host_key()
    with pytest.raises(SourceError, match="shows another key") as caught:
        puller()
    assert before in str(caught.value)
    assert server.fingerprint in str(caught.value)
    assert "send nothing until the department says" in str(caught.value)
    assert (server.logins, server.connections) == (0, 1)


def test_a_refused_password_is_tried_once_and_never_shown(
    server: SftpServer, puller: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPT_PASSWORD", "wrong-battery-staple")
    with pytest.raises(SourceError, match=r"refuses the account.*DEPT_PASSWORD") as caught:
        puller()
    assert server.logins == 1
    assert "staple" not in str(caught.value)
    monkeypatch.delenv("DEPT_PASSWORD")
    with pytest.raises(SourceError, match=r"the password is missing.*DEPT_PASSWORD"):
        puller()


def test_a_key_opens_the_account_with_its_passphrase_only(
    server: SftpServer, puller: Puller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.root / "out" / "a.csv").write_bytes(b"x")
    server.client_key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    server.client_key.write_private_key(tmp_path / "key", "pkcs1-pem", passphrase="open sesame")
    monkeypatch.setenv("DEPT_KEY", str(tmp_path / "key"))
    by_key = {"password_variable": None, "key_variable": "DEPT_KEY"}
    with pytest.raises(SourceError, match=r"private key cannot be opened.*key_passphrase_variable"):
        puller(**by_key)
    monkeypatch.setenv("DEPT_PASSPHRASE", "open sesame")
    assert puller(**by_key, key_passphrase_variable="DEPT_PASSPHRASE").extracts
    monkeypatch.setenv("DEPT_PASSPHRASE", "shut sesame")
    with pytest.raises(SourceError, match="private key cannot be opened") as caught:
        puller(**by_key, key_passphrase_variable="DEPT_PASSPHRASE")
    assert "sesame" not in str(caught.value)
    monkeypatch.setenv("DEPT_KEY", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match=r"private key cannot be read: No such file.*DEPT_KEY"):
        puller(**by_key)
    with pytest.raises(SourceError, match="wants publickey"):
        puller()


def test_the_variable_for_the_host_wins_over_the_feed(
    server: SftpServer, puller: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.root / "out" / "a.csv").write_bytes(b"x")
    monkeypatch.setenv("DEPT_HOST", f"127.0.0.1:{server.port}")
    assert puller(host="sftp.example.gov.cn", port=22, host_variable="DEPT_HOST").extracts
    for wrong in ("user@host:22", "host:port", "sftp://host"):
        monkeypatch.setenv("DEPT_HOST", wrong)
        with pytest.raises(SourceError, match=r"neither a host nor host:port.*DEPT_HOST"):
            puller(host_variable="DEPT_HOST")


def test_neither_facts_nor_receipt_hold_a_secret(server: SftpServer, puller: Puller) -> None:
    (server.root / "out" / "a.csv").write_bytes(b"x")
    pulled = puller(afterwards={"do": "rename"})
    stored = json.dumps([pulled.facts, pulled.receipt])
    assert PASSWORD not in stored
    assert pulled.facts["place"] == f"sftp://127.0.0.1:{server.port}/out"
    assert pulled.facts["files"][0]["bytes"] == 1
    assert pulled.facts["files"][0]["sha256"] == pulled.extracts[0].sha256
    assert PASSWORD not in " ".join(puller.said)


# What lies there ---------------------------------------------------------------------------------------------------


def test_chinese_names_are_read_in_utf_8_and_in_gbk(server: SftpServer, puller: Puller) -> None:
    folder = os.path.join(bytes(server.root), "报送".encode("gbk"))  # noqa: PTH118 - names that are no text
    Path(os.fsdecode(folder)).mkdir()
    for name, encoding in (("处罚一.csv", "utf-8"), ("处罚二.csv", "gbk"), ("许可.csv", "gbk")):
        Path(os.fsdecode(os.path.join(folder, name.encode(encoding)))).write_bytes(name.encode())  # noqa: PTH118
    pulled = puller(path="报送", pattern="处罚*", afterwards={"do": "move", "folder": "已取走/{date}"})
    assert bytes_of(pulled) == {name: name.encode() for name in ("处罚一.csv", "处罚二.csv")}
    feed = puller.feed(path="报送", pattern="处罚*", afterwards={"do": "move", "folder": "已取走/{date}"})
    assert pulled.receipt is not None
    assert settle(puller.settings, feed, json.loads(json.dumps(pulled.receipt))) == []
    assert sorted(os.listdir(folder)) == ["许可.csv".encode("gbk")]  # noqa: PTH208
    moved = [os.fsencode(path.name) for path in server.root.rglob("*.csv") if "许可".encode("gbk") not in bytes(path)]
    assert sorted(moved) == sorted(["处罚一.csv".encode(), "处罚二.csv".encode("gbk")])


def test_links_are_refused_and_folders_passed_over(server: SftpServer, puller: Puller, tmp_path: Path) -> None:
    (server.root / "out" / "folder.csv").mkdir()
    (server.root / "out" / "a.csv").write_bytes(b"x")
    assert list(bytes_of(puller(pattern="*.csv"))) == ["a.csv"]
    (tmp_path / "secret").write_bytes(b"secret")
    (server.root / "out" / "b.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(ExtractError, match=r"b\.csv: the file is a symbolic link.*put the file itself there"):
        puller(pattern="*.csv")


def test_ten_thousand_files_are_listed_in_bounded_time(server: SftpServer, puller: Puller) -> None:
    for number in range(10_000):
        (server.root / "out" / f"{number:05}.txt").touch()
    (server.root / "out" / "x_20261120.csv").write_bytes(b"x")
    started = time.monotonic()
    assert list(bytes_of(puller(pattern="*_{day}.csv"))) == ["x_20261120.csv"]
    assert time.monotonic() - started < 30


def test_a_missing_folder_and_a_missing_file_are_the_departments(server: SftpServer, puller: Puller) -> None:
    with pytest.raises(ExtractError, match=r"sftp://.*/gone: feed dept_penalty: there is no such folder"):
        puller(path="gone")
    with pytest.raises(ExtractError, match=r"/out: feed dept_penalty: no file matches \*\.csv for 2026-11-20"):
        puller(pattern="*.csv")


def test_a_file_larger_than_allowed_is_not_even_begun(server: SftpServer, puller: Puller) -> None:
    (server.root / "out" / "a.csv").write_bytes(b"x" * 11)
    with pytest.raises(ExtractError, match=r"a\.csv: the file has 11 bytes, the feed allows 10"):
        puller(max_bytes=10)
    assert server.sent == 0


def test_what_the_account_may_not_do_is_a_source_error_at_once(server: SftpServer, puller: Puller) -> None:
    (server.root / "out" / "a.csv").write_bytes(b"x")
    server.denied = {"read"}
    with pytest.raises(SourceError, match=r"out/a\.csv: the account may not do this.*let the account list and read"):
        puller()
    server.denied = {"list"}
    with pytest.raises(SourceError, match=r"/out: the account may not do this"):
        puller()
    assert server.connections == 2


def test_an_empty_file_is_landed_as_it_is(server: SftpServer, puller: Puller) -> None:
    (server.root / "out" / "a.csv").touch()
    assert bytes_of(puller()) == {"a.csv": b""}


# Finished, and settled ---------------------------------------------------------------------------------------------


def test_a_file_without_marker_is_waited_for_and_then_named(server: SftpServer, puller: Puller) -> None:
    (server.root / "out" / "a.csv").write_bytes(b"x")
    with pytest.raises(ExtractError, match=r"a\.csv: the file is not finished: its marker a\.ok is missing"):
        puller(complete={"marker": "{stem}.ok", "wait_seconds": 0.3})
    assert server.sent == 0
    (server.root / "out" / "a.ok").touch()
    assert list(bytes_of(puller(complete={"marker": "{stem}.ok"}))) == ["a.csv"]


def test_the_clock_of_the_server_is_not_trusted(server: SftpServer, puller: Puller) -> None:
    path = server.root / "out" / "a.csv"
    path.write_bytes(b"x")
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    # By its time the file has held still for an hour; but it is seen for the first time.
    started = time.monotonic()
    assert puller(complete={"stable_seconds": 0.5, "wait_seconds": 5}).extracts
    assert time.monotonic() - started >= 0.5


def test_a_file_that_grows_while_it_is_watched_is_taken_whole(server: SftpServer, puller: Puller) -> None:
    path = server.root / "out" / "a.csv"
    path.write_bytes(b"0\n")

    def write() -> None:
        for number in range(1, 12):
            time.sleep(0.15)
            with path.open("ab") as growing:
                growing.write(b"%d\n" % number)

    writer = threading.Thread(target=write)
    writer.start()
    pulled = puller(complete={"stable_seconds": 0.4, "wait_seconds": 20})
    writer.join()
    assert bytes_of(pulled) == {"a.csv": b"".join(b"%d\n" % number for number in range(12))}


def test_files_are_moved_after_publication_once_and_only_unchanged(server: SftpServer, puller: Puller) -> None:
    move = {
        "afterwards": {"do": "move", "folder": "done/{date}"},
        "complete": {"marker": "{name}.ok"},
        "pattern": "*.csv",
    }
    out, done = server.root / "out", server.root / "done" / "2026-11-20"
    for name in ("a.csv", "b.csv"):
        (out / name).write_bytes(name.encode())
        (out / f"{name}.ok").touch()
    pulled = puller(**move)
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "a.csv.ok", "b.csv", "b.csv.ok"]
    (out / "b.csv").write_bytes(b"corrected")
    receipt = json.loads(json.dumps(pulled.receipt))
    remarks = settle(puller.settings, puller.feed(**move), receipt)
    assert len(remarks) == 1
    assert "b.csv: the file has changed since it was landed and stays" in remarks[0]
    assert sorted(path.name for path in done.iterdir()) == ["a.csv", "a.csv.ok", "b.csv.ok"]
    assert [path.name for path in out.iterdir()] == ["b.csv"]
    assert len(settle(puller.settings, puller.feed(**move), receipt)) == 1
    assert [path.name for path in out.iterdir()] == ["b.csv"]


def test_a_name_that_is_taken_gets_a_number_and_nothing_is_overwritten(server: SftpServer, puller: Puller) -> None:
    move = {"afterwards": {"do": "move", "folder": "done"}}
    for text in (b"first", b"second", b"third"):
        (server.root / "out" / "a.csv").write_bytes(text)
        receipt = puller(**move).receipt
        assert receipt is not None
        assert settle(puller.settings, puller.feed(**move), receipt) == []
    kept = {path.name: path.read_bytes() for path in (server.root / "done").iterdir()}
    assert kept == {"a.csv": b"first", "a-2.csv": b"second", "a-3.csv": b"third"}


def test_a_rename_whose_answer_is_lost_is_not_done_twice(server: SftpServer, puller: Puller) -> None:
    rename = {"afterwards": {"do": "rename", "suffix": ".taken"}}
    (server.root / "out" / "a.csv").write_bytes(b"x")
    receipt = puller(**rename).receipt
    assert receipt is not None
    server.rename_then_cut = True
    assert settle(puller.settings, puller.feed(**rename), receipt) == []
    assert len(server.renamed) == 1
    assert [path.name for path in (server.root / "out").iterdir()] == ["a.csv.taken"]
    with pytest.raises(ExtractError, match="no file matches"):
        puller(**rename)


def test_an_account_that_may_not_rename_is_told_what_to_do(server: SftpServer, puller: Puller) -> None:
    rename = {"afterwards": {"do": "rename"}}
    (server.root / "out" / "a.csv").write_bytes(b"x")
    receipt = puller(**rename).receipt
    assert receipt is not None
    server.denied = {"rename"}
    with pytest.raises(SourceError, match=r"may not do this.*afterwards\.do: leave"):
        settle(puller.settings, puller.feed(**rename), receipt)
    assert [path.name for path in (server.root / "out").iterdir()] == ["a.csv"]
