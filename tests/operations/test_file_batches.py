"""Batches of a feed whose files are moved away once they are published: over SFTP, from pull to settlement."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from pipelines.errors import ExtractError, StorageError
from pipelines.operations.pulling import pull_batch
from tests.intake.sftp_server import PASSWORD, USER, SftpServer
from tests.operations.small_feed import COLUMNS, FEED, MONDAY, TUESDAY, Installation, Rows, rows


class Account(Installation):
    """The small feed, pulled from an account whose files all lie in one folder."""

    server: SftpServer

    def open(self, server: SftpServer) -> None:
        self.server = server
        (server.root / "out").mkdir(parents=True)
        self.describe(
            source={
                "kind": "sftp",
                "host": "127.0.0.1",
                "port": server.port,
                "user": USER,
                "password_variable": "DEPT_PASSWORD",
                "known_hosts_variable": "DEPT_KNOWN_HOSTS",
                "path": "out",
                "pattern": "*.csv",
                "totals": {"file": "{stem}.ok", "rows": "共([0-9]+)条"},
                "afterwards": {"do": "move", "folder": "taken/{date}"},
                "retries": {"attempts": 2, "first_seconds": 0.01},
            }
        )

    def put(self, name: str, sent: Rows, declared: int | None = None) -> None:
        """The department lays down an extract and its control totals."""
        with (self.server.root / "out" / f"{name}.csv").open("w", encoding="gb18030", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(sent)
        totals = f"共{len(sent) if declared is None else declared}条"
        (self.server.root / "out" / f"{name}.ok").write_text(totals, encoding="gb18030")

    def at_the_source(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.server.root / folder).glob("*"))

    def night_without_problem(self, day: date) -> None:
        problem = self.night(day)
        assert problem is None, problem


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with SftpServer(tmp_path / "account") as server:
        (tmp_path / "known_hosts").write_text(server.known_hosts_line)
        monkeypatch.setenv("DEPT_KNOWN_HOSTS", str(tmp_path / "known_hosts"))
        monkeypatch.setenv("DEPT_PASSWORD", PASSWORD)
        installation = Account(tmp_path)
        installation.open(server)
        yield installation


def test_a_batch_that_is_moved_away_can_still_be_repeated_and_added_to(account: Account) -> None:
    account.put("a", rows(range(3)))
    account.night_without_problem(MONDAY)
    first = account.published(MONDAY)
    assert (first.rows_decoded, first.new) == (3, 3)
    assert (account.at_the_source("out"), account.at_the_source("taken/2026-11-16")) == ([], ["a.csv", "a.ok"])
    source = (first.manifest or {})["source"]
    assert [(total["rows_declared"], total["rows_read"]) for total in source["totals"]] == [(3, 3)]
    assert source["place"] == f"sftp://127.0.0.1:{account.server.port}/out"

    account.night_without_problem(MONDAY)
    assert account.last_run(MONDAY).state == "unchanged"

    account.put("b", rows(range(3, 5)))
    pull_batch(account.context, FEED, MONDAY)
    more = account.last_run(MONDAY)
    assert (more.state, more.rows_decoded) == ("running", 5)
    assert [owed["name"] for owed in (more.manifest or {})["source"]["receipt"]["files"]] == ["b.csv", "b.ok"]

    (landed,) = account.context.settings.landing.rglob(source["files"][0]["sha256"])
    landed.unlink()
    assert isinstance(account.night(MONDAY), StorageError)


def test_what_could_not_be_moved_yet_is_not_taken_for_the_next_days_file(account: Account) -> None:
    account.put("monday", rows(range(3)))
    account.server.denied = {"rename"}
    account.night_without_problem(MONDAY)
    account.put("tuesday", rows(range(3, 5)))
    account.night_without_problem(TUESDAY)
    assert account.published(TUESDAY).rows_decoded == 2
    assert len(account.at_the_source("out")) == 4
    account.server.denied = set()
    account.night_without_problem(TUESDAY)
    assert account.at_the_source("out") == []
    assert account.at_the_source("taken/2026-11-16") == ["monday.csv", "monday.ok"]
    assert account.at_the_source("taken/2026-11-17") == ["tuesday.csv", "tuesday.ok"]


def test_an_extract_that_contradicts_its_control_totals_is_refused_whole_and_stays(account: Account) -> None:
    account.put("a", rows(range(3)), declared=4)
    problem = account.night(MONDAY)
    assert isinstance(problem, ExtractError)
    assert "a.ok: the department declares 4 rows, 3 were read" in str(problem)
    assert account.last_run(MONDAY).state == "failed"
    assert account.at_the_source("out") == ["a.csv", "a.ok"]
    account.put("a", rows(range(4)))
    pull_batch(account.context, FEED, MONDAY)
    assert account.last_run(MONDAY).rows_decoded == 4
