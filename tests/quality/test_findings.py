"""Findings: one line per broken rule and row, without personal data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.duck import session
from pipelines.errors import CatalogueError
from pipelines.quality.compile import judge
from pipelines.quality.findings import create_findings

from .rows import BUSINESS_DATE, CATEGORIES, Row, bases, cases, catalogue, standard_table, suite

PENALTY = "administrative_penalty"
REJECT_SCHEMA = pa.schema(
    {
        "extract": pa.string(),
        "extract_name": pa.string(),
        "sheet": pa.string(),
        "line": pa.int64(),
        "reason": pa.string(),
        "rule": pa.string(),
        "expected_cells": pa.int32(),
        "actual_cells": pa.int32(),
        "bytes": pa.binary(),
    }
)


def found(category: str, rows: list[Row], rejects: Path | None = None) -> list[dict[str, Any]]:
    schema = catalogue().categories[category]
    with session() as duck:
        standard_table(duck, schema, rows)
        judge(duck, suite(category), schema, BUSINESS_DATE)
        count = create_findings(duck, suite(category), schema, rejects, reasons="verdicts")
        table: list[dict[str, Any]] = duck.arrow("FROM findings").to_pylist()
    assert len(table) == count
    return table


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_reason_of_every_row_is_a_finding(category: str) -> None:
    table = found(category, [case.row for case in cases(category)])
    for number, case in enumerate(cases(category)):
        mine = [finding for finding in table if finding["row_no"] == number]
        assert {finding["rule"] for finding in mine} == set(case.reasons)
        for finding in mine:
            rule = suite(category).rule(finding["rule"])
            assert (finding["severity"], finding["field"]) == (rule.severity, rule.field)
            assert (finding["line"], finding["sheet"], finding["extract"]) == (number + 2, "", "e" * 64)


@pytest.mark.parametrize("category", CATEGORIES)
def test_nothing_observed_is_personal_or_long(category: str) -> None:
    schema = catalogue().categories[category]
    rows = [case.row for case in cases(category)]
    numbers = {
        value
        for row in rows
        for field in (schema.roles.person_id, schema.roles.representative_id)
        if (value := row.get(field)) and len(value) == 18
    }
    persons = {row[schema.roles.subject_name] for row in rows if row[schema.roles.subject_kind] == "自然人"}
    for finding in found(category, rows):
        observed = finding["observed"] or ""
        assert len(observed) <= 80
        assert not any(number in observed for number in numbers), finding["rule"]
        assert observed not in persons, finding["rule"]
        assert "13812345678" not in observed, finding["rule"]


def test_what_stood_there_is_shown_as_far_as_it_may_be() -> None:
    row = bases(PENALTY)["organisation"]
    table = found(
        PENALTY,
        [
            row | {"CF_JDRQ": "2026年13月"},
            row | {"CF_XDR_SHXYM": "11010119900307" + "0011"},
            row | {"CF_SY": "电话13812345678" + "长" * 2000},
            row | {"CF_FRDB": "示例?人"},
        ],
    )
    observed = {(finding["row_no"], finding["rule"]): finding["observed"] for finding in table}
    assert observed[0, "DATE-CF_JDRQ"] == "2026年13月"
    assert observed[1, "PERSON-CF_XDR_SHXYM"] == "110101************"
    assert observed[2, "PII-CF_SY"] == "电话138********" + "长" * 67
    assert observed[3, "LOST-CF_FRDB"] == "示***"


def test_a_short_name_of_a_subject_of_unknown_kind_is_taken_for_a_persons() -> None:
    row = bases(PENALTY)["organisation"] | {"CF_XDR_MC": "示例*", "CF_XDR_LB": None}
    observed = {finding["rule"]: finding["observed"] for finding in found(PENALTY, [row])}
    assert observed["MASK-CF_XDR_MC"] == "示**"


def test_rejected_lines_and_exclusions_are_findings(tmp_path: Path) -> None:
    line = {"extract": "f" * 64, "extract_name": "a.csv", "sheet": "", "bytes": b"\xff"}
    lines = [
        line | {"line": 7, "reason": "undecodable", "rule": "LINE-001", "expected_cells": None, "actual_cells": None},
        line | {"line": 9, "reason": "cell_count", "rule": "LINE-002", "expected_cells": 30, "actual_cells": 28},
    ]
    rejects = tmp_path / "rejects.parquet"
    pq.write_table(pa.Table.from_pylist(lines, REJECT_SCHEMA), rejects)
    table = found(PENALTY, [{"excluded_reason": "简易程序不报送"}], rejects)
    assert [(f["row_no"], f["line"], f["rule"], f["severity"], f["field"], f["observed"]) for f in table] == [
        (0, 2, "EXCL-001", "info", None, "简易程序不报送"),
        (None, 7, "LINE-001", "block", None, None),
        (None, 9, "LINE-002", "block", None, "应有30格，实有28格"),
    ]


def test_a_rejected_line_with_an_unknown_rule_is_an_error(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.parquet"
    pq.write_table(pa.Table.from_pylist([{"line": 1, "rule": "LINE-999"}], REJECT_SCHEMA), rejects)
    with pytest.raises(CatalogueError, match="LINE-999"):
        found(PENALTY, [], rejects)
