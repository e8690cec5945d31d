"""docs/runbook.md, done as it says: commands run, lines replaced, the shown lines found in what was printed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
import yaml
from typer.testing import CliRunner

from pipelines import cli
from pipelines.catalogue import catalogue
from pipelines.errors import GuijiError
from pipelines.ledger.models import Outbox
from pipelines.operations.context import open_context
from pipelines.settings import PROJECT_ROOT
from tests.operations.delivering import ENDPOINT, Delivering
from tests.operations.feed_editing import flat, replace_lines
from tests.operations.small_feed import COLUMNS, MONDAY, THURSDAY, TUESDAY, WEDNESDAY, rows

DOCUMENT = PROJECT_ROOT / "docs" / "runbook.md"
PART = re.compile(r"^## (\d+)\.[^\n]*\n|^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT_CODE = re.compile(r"# exit code (\d+)$")
DAYS = (MONDAY, TUESDAY, WEDNESDAY, THURSDAY)
FRIDAY_MORNING = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)
TOKEN = "letmein-letmein"


class Water(ThreadingHTTPServer):
    """The interface of a department: two decisions a day, or none at all while it is down."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.is_down = True


class Answer(BaseHTTPRequestHandler):
    """All rows of the day that is asked for, or an error."""

    server: Water

    def do_GET(self) -> None:
        if self.server.is_down:
            self.send_error(503)
            return
        day = date.fromisoformat(parse_qs(urlsplit(self.path).query)["day"][0])
        sent = rows([day.day * 2 - 20, day.day * 2 - 19])
        body = json.dumps({"data": {"total": len(sent), "list": sent}}, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Test output is not a server's log."""


@pytest.fixture
def water() -> Iterator[Water]:
    server = Water()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def shop(tmp_path: Path, water: Water, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivering]:
    """Two feeds; the command line finds the installation, its receiver is not running yet."""
    made = Delivering(tmp_path)
    made.context = made.installation.describe(endpoints=[ENDPOINT], columns={}, schedule="0 1 * * *")
    departments = tmp_path / "root" / "schemas" / "departments"
    shutil.copytree(departments / "dept", departments / "water")
    about = yaml.safe_load((departments / "water" / "department.yaml").read_text("utf-8")) | {"department": "water"}
    (departments / "water" / "department.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    feed = yaml.safe_load((departments / "water" / "penalty.yaml").read_text("utf-8")) | {"feed": "water_penalty"}
    feed["source"] = {
        "kind": "http",
        "url": f"http://127.0.0.1:{water.server_port}/penalties",
        "rows_path": "data.list",
        "total_path": "data.total",
        "since_parameter": "day",
        "retries": {"attempts": 2, "first_seconds": 0.01, "longest_seconds": 0.02},
    }
    (departments / "water" / "penalty.yaml").write_text(yaml.safe_dump(feed, allow_unicode=True), encoding="utf-8")
    catalogue._load.cache_clear()
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("GUIJI_PROVINCE_URL", made.receiver.url)
    monkeypatch.setenv("GUIJI_PROVINCE_TOKEN", TOKEN)
    yield made
    made.receiver.stop()


def run_line(line: str) -> str:
    """Do one command and compare its exit code; returns what it printed."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "guiji", line
    catalogue._load.cache_clear()  # each command is a process of its own
    result = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "200"})
    code = result.exit_code
    printed = result.output
    if isinstance(result.exception, GuijiError):
        code, printed = result.exception.exit_code, f"{printed}\nguiji: {result.exception}"
    expected = EXIT_CODE.search(line)
    assert code == (int(expected[1]) if expected else 0), f"{line}\n{printed}\n{result.exception!r}"
    return printed


def test_the_runbook_is_right(shop: Delivering, water: Water, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tampered: dict[str, Path] = {}

    def nights_before() -> None:
        for day in DAYS[:3]:
            shop.installation.send(day, rows([day.day - 15, day.day - 10]))
            with time_machine.travel(datetime(day.year, day.month, day.day + 1, 17, 10, tzinfo=UTC)):
                run_line(f"guiji run --date {day}  # exit code 10")
        renamed = ["处罚事项" if name == "处罚内容" else name for name in COLUMNS]
        sent = [one | {"处罚事项": one["处罚内容"]} for one in rows([4, 9])]
        shop.installation.send(THURSDAY, sent, renamed)

    def water_answers() -> None:
        water.is_down = False

    def receiver_starts() -> None:
        shop.receiver.start()

    def home_is_lost() -> None:
        shutil.rmtree(tmp_path / "home")
        monkeypatch.setenv("GUIJI_HOME", str(tmp_path / "srv/guiji/home-2"))

    def a_byte_changes() -> None:
        home = Path(os.environ["GUIJI_HOME"])
        path = next((home / "records").rglob("dept_penalty-20261116-*.parquet"))
        tampered[str(path.relative_to(home))] = path
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def the_file_is_put_back() -> None:
        for name, path in tampered.items():
            shutil.copyfile(tmp_path / "srv/backup/2026-11-20" / name, path)

    before_section: dict[str, Callable[[], None]] = {"1": nights_before, "4": water_answers, "7": a_byte_changes}
    before_line: dict[str, Callable[[], None]] = {
        "guiji deliver --force": receiver_starts,
        "guiji backup restore": home_is_lost,
    }
    printed = ""
    damaged = False
    with time_machine.travel(FRIDAY_MORNING):
        for section, kind, name, content in PART.findall(DOCUMENT.read_text(encoding="utf-8")):
            if section:
                before_section.get(section, lambda: None)()
                damaged = section == "7"
            elif kind == "diff":
                replace_lines(shop.installation.folder / "root" / name, content)
            elif kind == "text":
                for expected in content.splitlines():
                    assert flat(expected) in flat(printed), f"{expected!r} is not in\n{printed}"
            else:
                printed = ""
                for line in content.splitlines():
                    for beginning, happens in before_line.items():
                        if line.startswith(beginning):
                            happens()
                    if damaged and line == "guiji audit verify":
                        the_file_is_put_back()
                    printed += run_line(line.replace("/srv/", f"{tmp_path}/srv/"))
    with open_context().ledger.read() as ledger:
        rows_left = ledger.query(Outbox).filter(Outbox.accepted_at.is_(None)).count()
    assert rows_left == 0
