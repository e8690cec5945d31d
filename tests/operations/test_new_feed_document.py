"""docs/new_feed.md, done as it says: files written, commands run, lines replaced."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipelines import cli
from pipelines.catalogue import catalogue
from pipelines.ledger.models import Run
from pipelines.operations.context import Context
from pipelines.settings import PROJECT_ROOT, Settings
from tests.operations.feed_editing import flat, replace_lines

DOCUMENT = PROJECT_ROOT / "docs" / "new_feed.md"
BLOCK = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_line(line: str, folder: Path) -> str:
    """Do one line of a command block; returns what it printed."""
    program, *arguments = shlex.split(os.path.expandvars(line))
    if program == "guiji":
        catalogue._load.cache_clear()  # each command is a process of its own
        shown = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
        assert shown.exit_code == 0, shown.output
        return shown.output
    if program == "mkdir":
        Path(arguments[-1]).mkdir(parents=True)
    else:
        assert program == "cp", line
        shutil.copy(folder / arguments[0], arguments[1])
    return ""


def test_the_document_is_right(
    tmp_path: Path, install: Callable[[Path], Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = install(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []
    for kind, name, content in BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")):
        if kind == "csv":
            (tmp_path / name).write_bytes(content.encode("gb18030"))
        elif kind == "diff":
            replace_lines(context.settings.root / name, content)
        elif kind == "":
            printed += [run_line(line, tmp_path) for line in content.splitlines()]
    written = (context.settings.schemas / "departments/water/penalty.yaml").read_text(encoding="utf-8")
    assert "罚款（元）, unit: 元" in written
    trial, explained = printed[1], printed[2]
    assert "可入库4" in flat(trial)
    assert "示例张一一" not in trial
    assert "constant" in explained
    assert "water_penalty" in printed[-1]
    with context.ledger.read() as session:
        run = session.query(Run).filter_by(feed="water_penalty").one()
    assert (run.state, run.rows_decoded, run.accepted) == ("published", 4, 4)


def test_the_mappings_it_shows_can_be_loaded(root: Path) -> None:
    """Everything under "What a feed can say" is understood by the catalogue."""
    shown = next(content for kind, _, content in BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")) if kind == "yaml")
    path = root / "schemas/departments/market/penalty.yaml"
    feed = yaml.safe_load(path.read_text(encoding="utf-8")) | yaml.safe_load(shown)
    path.write_text(yaml.safe_dump(feed, allow_unicode=True), encoding="utf-8")
    assert catalogue.load_catalogue(Settings(root=root)).feed("market_penalty").extracts
