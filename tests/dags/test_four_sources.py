"""One night through Airflow with a feed over each of the four connectors, one of them dead; then it is run again."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from benchmarks.penalty_rows import write_penalty_rows
from pipelines.ledger.database import open_ledger
from pipelines.ledger.models import Outbox, Run
from pipelines.settings import PROJECT_ROOT, Settings
from tests.databases import new_postgresql_database
from tests.intake.sftp_server import PASSWORD, SftpServer

DAY = "2026-11-20"
ROWS = 40
PAGE = 15
DEPARTMENT = """
department: {name}
name_zh: 示例市{name}局
uscc: 11119900MA990001XH
"""
FEED = """
feed: {name}_penalty
name_zh: 示例市{name}局行政处罚
category: administrative_penalty
edition: 2018
endpoints: [province_sandbox]
source:
{source}
"""
FOLDER = """
  kind: folder
  path: dropped/{date}
  pattern: "*.csv"
"""
SFTP = """
  kind: sftp
  host: 127.0.0.1
  host_variable: TEST_SFTP_HOST
  user: dept
  password_variable: TEST_SFTP_PASSWORD
  known_hosts_variable: TEST_SFTP_KNOWN_HOSTS
  path: out/{date}
  pattern: "*.csv"
"""
HTTP = """
  kind: http
  url: http://127.0.0.1:1/penalties
  url_variable: TEST_HTTP_URL
  rows_path: data.list
  total_path: data.total
  since_parameter: day
  paging: {style: number, parameter: page, size_parameter: size, size: 15}
  retries: {attempts: 2, first_seconds: 0.1, longest_seconds: 0.2}
"""
DATABASE = """
  kind: database
  url_variable: TEST_DATABASE_URL
  table: penalties
  key: [id]
  read_flag: {column: read_flag}
"""


class Interface(ThreadingHTTPServer):
    """Answers pages of rows; dies in the middle of the page ``dies_on`` while that is set."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.rows = rows
        self.dies_on: int | None = None


class Page(BaseHTTPRequestHandler):
    """One page of JSON."""

    server: Interface

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        page, size = int(asked["page"][0]), int(asked["size"][0])
        chosen = self.server.rows[(page - 1) * size : page * size]
        body = json.dumps({"data": {"total": len(self.server.rows), "list": chosen}}, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if page == self.server.dies_on else body)

    def log_message(self, format: str, *args: object) -> None:
        """Test output is not a server's log."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, str]]]:
    """Valid penalty rows, a quarter for each department."""
    path = tmp_path_factory.mktemp("rows") / "penalties.csv"
    write_penalty_rows(path, 4 * ROWS, dirty=0, hard=0)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4 * ROWS
    return [rows[start : start + ROWS] for start in range(0, 4 * ROWS, ROWS)]


def write_csv(path: Path, rows: list[dict[str, str]], encoding: str) -> None:
    path.parent.mkdir(parents=True)
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """The project's own schemas and rules, with other departments."""
    root = tmp_path / "root"
    (root / "schemas").mkdir(parents=True)
    for path in (PROJECT_ROOT / "schemas").iterdir():
        if path.name != "departments":
            (root / "schemas" / path.name).symlink_to(path)
    (root / "expectations").symlink_to(PROJECT_ROOT / "expectations")
    return root


def add_feed(root: Path, name: str, source: str) -> None:
    folder = root / "schemas" / "departments" / name
    folder.mkdir(parents=True)
    (folder / "department.yaml").write_text(DEPARTMENT.format(name=name), encoding="utf-8")
    (folder / "penalty.yaml").write_text(FEED.format(name=name, source=source.strip("\n")), encoding="utf-8")


@pytest.fixture
def interface(parts: list[list[dict[str, str]]]) -> Iterator[Interface]:
    server = Interface(parts[2])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def front_end(parts: list[list[dict[str, str]]]) -> Iterator[sa.Engine]:
    """A front-end database with a table of unread penalties."""
    with new_postgresql_database() as url:
        engine = sa.create_engine(url)
        table = sa.Table(
            "penalties",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            *(sa.Column(header, sa.Text) for header in parts[3][0]),
            sa.Column("read_flag", sa.CHAR(1), server_default="0"),
        )
        table.create(engine)
        with engine.begin() as connection:
            connection.execute(sa.insert(table), [{"id": number, **row} for number, row in enumerate(parts[3])])
        yield engine
        engine.dispose()


def test_three_sources_are_published_while_the_dead_one_is_named(
    tmp_path: Path,
    installation: Path,
    parts: list[list[dict[str, str]]],
    interface: Interface,
    front_end: sa.Engine,
) -> None:
    write_csv(tmp_path / "inbox" / "dropped" / DAY / "penalties.csv", parts[0], "utf-8")
    write_csv(tmp_path / "account" / "out" / DAY / "行政处罚.csv", parts[1], "gb18030")
    for name, source in (("dropper", FOLDER), ("sender", SFTP), ("asked", HTTP), ("shared", DATABASE)):
        add_feed(installation, name, source)
    interface.dies_on = 2
    with SftpServer(tmp_path / "account") as sftp:
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(sftp.known_hosts_line)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "GUIJI"))},
            "GUIJI_ROOT": str(installation),
            "GUIJI_HOME": str(tmp_path / "home"),
            "GUIJI_INBOX": str(tmp_path / "inbox"),
            "TEST_SFTP_HOST": f"127.0.0.1:{sftp.port}",
            "TEST_SFTP_PASSWORD": PASSWORD,
            "TEST_SFTP_KNOWN_HOSTS": str(known_hosts),
            "TEST_HTTP_URL": f"http://127.0.0.1:{interface.server_port}/penalties",
            "TEST_DATABASE_URL": front_end.url.render_as_string(hide_password=False),
        }
        first = run([sys.executable, str(PROJECT_ROOT / "dags" / "local_airflow")], environment)
        interface.dies_on = None
        second = run([str(Path(sys.executable).with_name("guiji"))], environment)

    assert first.returncode == 1
    assert "asked_penalty" in first.stdout
    assert "127.0.0.1" in first.stdout
    for name in ("dropper", "sender", "shared"):
        assert f"feed_{name}_penalty: success" in first.stdout
    assert second.returncode == 0, second.stdout

    ledger = open_ledger(Settings(home=tmp_path / "home").ledger)
    with ledger.read() as session:
        states: dict[str, list[str]] = {}
        for attempt in session.scalars(sa.select(Run).order_by(Run.feed, Run.attempt)):
            states.setdefault(attempt.feed, []).append(attempt.state)
        delivered = dict(
            session.execute(
                sa.select(Outbox.feed, sa.func.count()).where(Outbox.accepted_at.is_not(None)).group_by(Outbox.feed)
            ).all()
        )
    published = ("dropper_penalty", "sender_penalty", "shared_penalty")
    assert delivered == dict.fromkeys(published, ROWS), first.stdout + second.stdout
    assert states["asked_penalty"][-1] == "published"
    assert set(states["asked_penalty"][:-1]) == {"failed"}
    for feed in published:
        assert states[feed][0] == "published"
        assert set(states[feed][1:]) == {"unchanged"}
    with front_end.connect() as connection:
        unread = connection.execute(sa.text("SELECT count(*) FROM penalties WHERE read_flag = '0'")).scalar()
    assert unread == 0


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One business date: ``make run`` through Airflow, or ``guiji run`` by hand."""
    return subprocess.run(
        [*command, "run", "--date", DAY],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
