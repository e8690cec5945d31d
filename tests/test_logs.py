"""What is logged, in which form, and that nobody can be found in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from pipelines.errors import CatalogueError
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.logs import NAME, Log, configure

PERSON, MISTYPED, PHONE = "11010119900307109X", "110101199003071091", "13812345678"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    logger = logging.getLogger(NAME)
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.mark.parametrize("shape", ["text", "json"])
def test_no_personal_number_passes(
    shape: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GUIJI_LOG_FORMAT", shape)
    monkeypatch.setenv("GUIJI_LOG_LEVEL", "info")
    configure()
    code = synthetic_uscc("91", "119900", "MA900001")
    Log("run").warning("run.failed", run="f-20261120-001", problem=f"{PERSON}, {MISTYPED}, {PHONE}, {code}")
    try:
        raise ValueError(PERSON)
    except ValueError:
        logging.getLogger(f"{NAME}.elsewhere").exception("lost: %s", PHONE)
    written = capsys.readouterr().err
    assert PERSON not in written
    assert MISTYPED not in written
    assert PHONE not in written
    assert code in written, "organisations are named"
    assert "ValueError" in written
    assert "f-20261120-001" in written


def test_json_has_one_object_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GUIJI_LOG_FORMAT", "json")
    monkeypatch.setenv("GUIJI_LOG_LEVEL", "info")
    configure()
    Log("run").info("run.published", run="f-20261120-001", rows=7, kind=None)
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert found.pop("at").endswith("+00:00")
    expected = {"level": "info", "logger": "guiji.run", "event": "run.published", "run": "f-20261120-001", "rows": 7}
    assert found == expected


def test_a_command_logs_nothing_unless_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GUIJI_LOG_LEVEL", raising=False)
    configure()
    Log("run").warning("run.failed", run="f-20261120-001")
    assert capsys.readouterr().err == ""


def test_an_unknown_level_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIJI_LOG_LEVEL", "loud")
    with pytest.raises(CatalogueError, match="GUIJI_LOG_LEVEL is loud"):
        configure()
