"""What a department, a steward and a newcomer see on the command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import CatalogueError, ExtractError, GuijiError
from pipelines.ledger.models import Outbox, Run
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from tests.operations.conftest import FRIDAY, golden

RUNNER = CliRunner()
COMMANDS = (
    "migrate",
    "run",
    "status",
    "deliver",
    "clock",
    "report",
    "check",
    "trace",
    "withdrawals",
    "watch",
    "sandbox",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = RUNNER.invoke(cli.app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output


def test_a_department_checks_its_file_and_nothing_is_stored(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    file = tmp_path / "报送.csv"
    file.write_bytes(golden("market_penalty"))
    shown = RUNNER.invoke(cli.app, ["check", str(file), "--feed", "market_penalty", "--date", FRIDAY.isoformat()])
    assert shown.exit_code == cli.FILE_HAS_PROBLEMS, shown.output
    assert "解析 11 行" in shown.output
    assert "REQ-CF_NR" in shown.output
    assert "处理办法" in shown.output
    with context.ledger.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 0
        assert session.scalar(select(func.count()).select_from(Outbox)) == 0
    assert not list(context.settings.home_path.glob("landing/**/*"))
    assert [path.suffix for path in context.settings.home_path.glob("scratch/*")] == [".duckdb"], "only the macros"


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["check", "no such file.csv", "--feed", "market_penalty"], ExtractError, "no such file"),
        (["run", "--feed", "nobody"], CatalogueError, "market_licence"),
        (["trace", "没有这个文号"], GuijiError, "document number"),
    ],
)
def test_a_mistake_is_one_message(
    tmp_path: Path,
    install: Callable[[Path], Context],
    arguments: list[str],
    kind: type[GuijiError],
    words: str,
) -> None:
    install(tmp_path / "home")
    shown = RUNNER.invoke(cli.app, arguments)
    assert isinstance(shown.exception, kind)
    assert words in str(shown.exception)


def test_a_day_without_data_says_so(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    install(tmp_path / "home")
    shown = RUNNER.invoke(cli.app, ["status", "--date", "2026-01-01"])
    assert shown.exit_code == cli.FEEDS_FAILED
    assert "no run for 2026-01-01" in " ".join(shown.output.split())


def test_a_day_that_has_not_come_is_no_business_date(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    tomorrow = today_in_shanghai() + timedelta(days=1)
    refused = RUNNER.invoke(cli.app, ["run", "--date", tomorrow.isoformat()])
    assert refused.exit_code == 2
    assert "has not come yet" in " ".join(refused.output.split())
    with context.ledger.read() as ledger:
        assert ledger.scalars(select(Run)).all() == [], "a slip of the hand leaves no trace in reports"


def test_only_the_owner_may_read_what_is_produced(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    install(tmp_path / "home")
    RUNNER.invoke(cli.app, ["run", "--date", FRIDAY.isoformat()])
    # Pages hold no personal data and are there to be shown.
    produced = [path for path in (tmp_path / "home").rglob("*") if path.suffix not in {".html", ".css", ".js"}]
    open_to_others = [path for path in produced if path.stat().st_mode & 0o077]
    assert not open_to_others
