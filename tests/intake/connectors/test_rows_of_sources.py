"""From a source to rows: what the http and database connectors land is what intake reads."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import session
from pipelines.intake.connectors import database, http
from pipelines.intake.connectors.contract import PullRequest
from pipelines.intake.reading import read_landed
from pipelines.intake.totals import check_totals
from pipelines.settings import Settings
from tests.databases import new_postgresql_database
from tests.intake.http_server import http_interface

ROWS = [{"CF_WSH": f"〔2026〕{number}号", "CF_NR_FK": f"{number}.50"} for number in range(1, 6)]
NUMBERED = {"style": "number", "parameter": "page", "size_parameter": "size", "size": 3}


def rows_of(connector: ModuleType, source: dict[str, Any], home: Path) -> list[tuple[Any, ...]]:
    """Document number, fine, sheet and line of every row that comes from a source."""
    category = load_catalogue(Settings()).categories["administrative_penalty"]
    described = {"feed": "dept_penalty", "name_zh": "x", "category": category.category, "edition": 2018}
    feed = Feed.model_validate({**described, "source": source})
    pulled = connector.pull(PullRequest(Settings(home=home), feed, date(2026, 11, 20), home))
    with session() as duck:
        result = read_landed(duck, list(pulled.extracts), feed, category, home / "run")
        check_totals(duck, result, pulled.declared)
        return [
            row
            for part in result.parts
            for row in duck.rows(
                f'SELECT "CF_WSH", "CF_NR_FK", {part.sheet_expression}, {part.line_expression} FROM {part.source}'
            )
        ]


@pytest.mark.parametrize("form", ["json", "xml"])
def test_rows_of_pages_know_their_page_and_line(tmp_path: Path, form: str) -> None:
    with http_interface() as interface:
        interface.rows = list(ROWS)
        paths = {"rows_path": "data.list", "total_path": "data.total"}
        if form == "xml":
            interface.answer = interface.xml
            paths = {"rows_path": "ROWDATA/ROW", "total_path": "ROWDATA/@total"}
        source = {"kind": "http", "url": interface.address, "format": form, "paging": NUMBERED, **paths}
        found = rows_of(http, source, tmp_path)
    assert [row[:3] for row in found] == [
        (row["CF_WSH"], row["CF_NR_FK"], f"page-0000{1 + index // 3}.{form}") for index, row in enumerate(ROWS)
    ]
    assert [line for *_, line in found] == [1, 2, 3, 1, 2]


def test_rows_of_a_table_know_their_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_postgresql_database() as url:
        monkeypatch.setenv("GUIJI_TEST_DATABASE", url.render_as_string(hide_password=False))
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text('CREATE TABLE cf ("CF_WSH" text PRIMARY KEY, "CF_NR_FK" numeric(9,2))'))
            connection.execute(text("INSERT INTO cf VALUES (:CF_WSH, CAST(:CF_NR_FK AS numeric))"), ROWS)
        engine.dispose()
        source = {"kind": "database", "url_variable": "GUIJI_TEST_DATABASE", "table": "cf", "key": ["CF_WSH"]}
        found = rows_of(database, source, tmp_path)
    assert found == [(row["CF_WSH"], row["CF_NR_FK"], "", number) for number, row in enumerate(ROWS, start=1)]
