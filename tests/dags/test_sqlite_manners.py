"""Two processes of Airflow share one SQLite file: who begins with a savepoint does not lose to who wrote meanwhile."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from pipelines.settings import PROJECT_ROOT

SETTINGS = PROJECT_ROOT / "dags" / "local_airflow" / "config" / "airflow_local_settings.py"


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The listener alone: the module, imported as it is, would listen to every engine of this process."""
    monkeypatch.setattr(event, "listens_for", lambda *_: lambda function: function)
    spec = importlib.util.spec_from_file_location("settings_of_the_local_airflow", SETTINGS)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., None] = module.ask_before_a_savepoint
    return found


def engine_over(file: Path) -> Engine:
    engine = create_engine(f"sqlite:///{file}?timeout=0.2&isolation_level=IMMEDIATE")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY)")
    return engine


def look_then_write(engine: Engine, meanwhile: Callable[[], None]) -> None:
    """As Airflow creates the run of a backfill."""
    with engine.begin() as connection, connection.begin_nested():
        connection.execute(text("SELECT count(*) FROM run")).all()
        meanwhile()
        connection.execute(text("INSERT INTO run DEFAULT VALUES"))


def test_a_savepoint_begins_with_the_right_to_write(tmp_path: Path, asks: Callable[..., None]) -> None:
    engine, other = engine_over(tmp_path / "airflow.db"), engine_over(tmp_path / "airflow.db")

    def write() -> None:
        with other.begin() as connection:
            connection.execute(text("INSERT INTO run DEFAULT VALUES"))

    with pytest.raises(OperationalError, match="locked"):
        look_then_write(engine, write)
    event.listen(engine, "savepoint", asks)

    def must_wait() -> None:
        with pytest.raises(OperationalError, match="locked"):
            write()

    look_then_write(engine, must_wait)
    with other.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM run")).scalar_one() == 2
