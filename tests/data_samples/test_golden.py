"""Golden cases: what goes in, what must come out, and which rule each breaks (see ``data_samples/golden/``)."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from data_samples.golden.cases import case_name, expectations_of, golden_cases
from data_samples.golden.every_rule import CASE, DEVIATIONS, write_every_rule
from data_samples.golden.judging import SAMPLES, Verdict
from data_samples.golden.table import golden_table, golden_tests, run_aside, table_text
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.operations.rule_book import rule_book
from pipelines.quality.golden_cases import GOLDEN_CASES
from pipelines.settings import PROJECT_ROOT, Settings

Run = Callable[[Path], dict[int, Verdict]]


@pytest.fixture(scope="module")
def run() -> Run:
    return cache(run_aside)


def test_there_are_golden_cases_for_every_feed() -> None:
    covered = {case.parent.name for case in golden_cases()}
    feeds = set(load_catalogue(Settings()).feeds)
    assert covered >= feeds
    assert all((SAMPLES / feed / "feed.yaml").exists() for feed in covered - feeds)


@pytest.mark.parametrize("case", golden_cases(), ids=case_name)
def test_golden_case(case: Path, run: Run) -> None:
    found, by_line = run(case), expectations_of(case)
    assert found.keys() == by_line.keys(), "every line needs an expectation"
    wrong = []
    for line, rows in by_line.items():
        verdict = found[line]
        outcome, reasons = rows[0]["outcome"], set(rows[0]["reasons"].split())
        if (verdict.outcome, verdict.reasons) != (outcome, reasons):
            wrong.append(f"{line}: {verdict.outcome} {sorted(verdict.reasons)}, expected {outcome} {sorted(reasons)}")
        wrong += [
            f"{line}: {row['field']} is {verdict.values[row['field']]!r}, expected {row['value']!r}"
            for row in rows
            if row["field"] and (verdict.values[row["field"]] or "") != row["value"]
        ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_table_of_golden_cases_is_what_running_them_gives(run: Run) -> None:
    path = Settings().expectations / GOLDEN_CASES
    assert path.read_text(encoding="utf-8") == table_text(golden_table(run)), "run python -m data_samples.golden"


def test_every_rule_is_broken_by_a_golden_case_and_the_table_knows_no_other_rule() -> None:
    rules = rule_book(Settings())
    assert [rule.code for rule in rules if not rule.golden_cases] == []
    assert set(golden_tests()) <= {rule.code for rule in rules}


def test_every_row_rule_is_broken_by_a_file() -> None:
    by_test_alone = [
        rule.code
        for rule in rule_book(Settings())
        if rule.holds and not any("/golden_" in case and "::" not in case for case in rule.golden_cases)
    ]
    assert by_test_alone == []


def test_the_cases_of_every_rule_are_written_from_the_list_of_deviations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_samples.golden.every_rule.SAMPLES", tmp_path)
    written = write_every_rule(load_catalogue(Settings()))
    assert len(written) == len(list(DEVIATIONS.glob("*.yaml")))
    for folder in written:
        for file in folder.iterdir():
            kept = SAMPLES / folder.parent.name / CASE / file.name
            assert kept.read_bytes() == file.read_bytes(), "run python -m data_samples.golden"


@pytest.mark.parametrize(("code", "test"), [(code, test) for code, tests in golden_tests().items() for test in tests])
def test_a_test_that_stands_for_a_golden_case_exists_and_names_the_rule(code: str, test: str) -> None:
    file, name = test.split("::")
    source = (PROJECT_ROOT / file).read_text(encoding="utf-8")
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert f'"{code}"' in (ast.get_source_segment(source, functions[name]) or "")
