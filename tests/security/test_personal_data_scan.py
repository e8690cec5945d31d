"""The scan for personal data sees every way in which some could get out, and fails the session for it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pipelines.settings import PROJECT_ROOT
from tests.personal_data import personal_data_in

PLANTED = """
import logging
from datetime import date
import typer
from typer.testing import CliRunner
from pipelines.errors import GuijiError
from pipelines.identity.synthetic import synthetic_resident_id
from tests.personal_data import personal_data_scan

NUMBER = synthetic_resident_id("110101", date(1990, 1, 1), 1)

def test_a_log():
    try:
        raise ValueError(NUMBER)
    except ValueError:
        logging.getLogger("pipelines.x").exception("failed")

def test_a_command():
    app = typer.Typer()
    app.command()(lambda: print("call 13900001234"))
    CliRunner().invoke(app)

def test_an_error():
    GuijiError("no such person", remedy="ask 示例王二")

def test_a_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home") / "reports" / "months"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f"<td>{NUMBER}</td>")
    (folder.parent.parent / "inbox").mkdir()
    (folder.parent.parent / "inbox" / "reports.txt").write_text(NUMBER)

def test_nothing():
    GuijiError("fine", remedy="nothing")
"""


def test_what_is_planted_is_found(tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(PLANTED, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command += ["-c", "/dev/null", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "5 passed, 1 error" in done.stdout
    found = re.findall(r"^E +(log record|output|error|file) of \S+?(\w+)(?:\.html| \(call\)): (.*)$", done.stdout, re.M)
    assert [kind for kind, _, _ in found] == ["log record", "output", "error", "file"], done.stdout


def test_numbers_that_are_nobodys_are_let_be() -> None:
    hash_of_something = "13800138000a" * 5
    assert (
        personal_data_in(f"911100001000000007 {hash_of_something} 1.13912345678 20261120010203 110101199001010010")
        == []
    )
