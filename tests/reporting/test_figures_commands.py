"""``guiji figures`` at work: what it prints and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import time_machine
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import CatalogueError
from tests.reporting.figure_month import Month, beijing


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    month = Month(tmp_path_factory.mktemp("commands"))
    month.live_through()
    return month


@pytest.fixture
def guiji(month: Month, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, folder in (("ROOT", "root"), ("HOME", "home"), ("INBOX", "inbox")):
        monkeypatch.setenv(f"GUIJI_{name}", str(month.folder / folder))

    def call(*arguments: str) -> str:
        with time_machine.travel(beijing(25)):
            result = CliRunner().invoke(app, ["figures", *arguments, "--month", "2026-11"], catch_exceptions=True)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return call


def test_show_gives_numerators_and_denominators_and_the_silent_feeds(guiji: Any) -> None:
    text = guiji("show")
    assert "other_penalty: silent for" in text and "11 ÷ 12" in text and "91.67 %" in text
    shown = json.loads(guiji("show", "--by", "feed", "--json"))
    (line,) = (line for line in shown["lines"] if line["feed"] == "other_penalty")
    assert (line["figures"]["compliance"]["numerator"], line["figures"]["compliance"]["denominator"]) == (3, 4)
    assert shown["silent"][0]["feed"] == "other_penalty"


def test_what_if_for_a_department(guiji: Any) -> None:
    found = json.loads(guiji("what-if", "--department", "other", "--json"))
    assert (found["numerator"], found["denominator"]) == (3, 4)
    assert [(step["reasons"], step["numerator"]) for step in found["steps"]] == [(["ENUM-CF_CFLB"], 4)]


def test_the_estimate_says_that_it_is_one(guiji: Any) -> None:
    assert "估计" in guiji("unreported") and json.loads(guiji("unreported", "--json"))["kind"] == "estimate"


def test_recompute_and_bulletin(guiji: Any, tmp_path: Path) -> None:
    assert "facts of 3 batches" in guiji("recompute")
    guiji("bulletin", "--output", str(tmp_path), "--profile", "suzhou")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bulletin-2026-11-suzhou.docx",
        "bulletin-2026-11-suzhou.xlsx",
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("show", "--profile", "nope"), "unknown profile nope — use one of es_sxy, national, qinghai, suzhou"),
        (("show", "--department", "nope"), "unknown department nope"),
        (("what-if", "--feed", "nope"), "unknown feed nope"),
        (("what-if", "--fix", "NOPE"), "no rule NOPE"),
    ],
)
def test_what_is_not_known_is_named(guiji: Any, arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CatalogueError, match=problem):
        guiji(*arguments)
