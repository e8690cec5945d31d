"""The key of the lake may be kept by Airflow: every step finds it where the record store looks."""

from __future__ import annotations

import os

import pytest
from step import step


@step
def seen() -> str | None:
    """What a step finds."""
    return os.environ.get("GUIJI_LAKE_KEY")


def test_a_step_finds_the_key_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIJI_LAKE_KEY", "")
    monkeypatch.delenv("GUIJI_LAKE_KEY")
    monkeypatch.setenv("AIRFLOW_CONN_GUIJI_LAKE", '{"conn_type": "generic", "password": "from airflow"}')
    assert seen() == "from airflow"


def test_a_variable_that_is_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIJI_LAKE_KEY", "from the environment")
    monkeypatch.setenv("AIRFLOW_CONN_GUIJI_LAKE", '{"conn_type": "generic", "password": "from airflow"}')
    assert seen() == "from the environment"


def test_without_either_there_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUIJI_LAKE_KEY", raising=False)
    assert seen() is None
