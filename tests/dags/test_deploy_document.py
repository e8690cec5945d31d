"""docs/deploy.md names every setting there is, and what the DAGs do."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow_service import AirflowService

from pipelines.settings import PROJECT_ROOT, Settings

DOCUMENT = (PROJECT_ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_every_setting_of_guiji_is_named() -> None:
    names = {f"`GUIJI_{name.upper()}`" for name in Settings.model_fields}
    assert {name for name in names if name not in DOCUMENT} == set()


def test_every_setting_that_airflow_is_started_with_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__UNIT_TEST_MODE")
    service = AirflowService(tmp_path, 8080, scheduled=True, database="postgresql+psycopg://postgres@127.0.0.1/airflow")
    names = {f"`{name}`" for name in service.environment() if name.startswith("AIRFLOW__")}
    assert len(names) > 20
    assert {name for name in names if name not in DOCUMENT} == set()


def test_every_dag_is_in_the_table_of_the_day() -> None:
    shared = {f"| `{path.stem}` |" for path in (PROJECT_ROOT / "dags").glob("*.py") if path.stem != "feeds"}
    assert {row for row in shared if row not in DOCUMENT} == set()
