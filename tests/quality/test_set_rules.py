"""Rules on sets of rows: what stands out, what does not, and that no row's fate hangs on them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.dedupe.keys import add_keys
from pipelines.engine.duck import Session, session
from pipelines.errors import CatalogueError
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.intake.changes import rekeyed_source
from pipelines.quality.compile import judge
from pipelines.quality.great_expectations_bridge import validate_with_great_expectations
from pipelines.quality.rules import RuleCount, Suite
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings

from .rows import BUSINESS_DATE, CATEGORIES, Row, bases, catalogue, standard_table, suite

PENALTY = "administrative_penalty"


def row(number: int = 1, **cells: str | None) -> Row:
    """A clean penalty with a document number of its own."""
    return bases(PENALTY)["organisation"] | {"CF_WSH": f"示市监罚〔2026〕{number}号"} | cells


def another_subject(number: int) -> dict[str, str]:
    code = synthetic_uscc("91", "119900", f"MA98{number:04d}")
    return {"CF_XDR_MC": f"示例第{number}号商贸有限公司", "CF_XDR_SHXYM": code}


def set_suite() -> Suite:
    """The rules on sets of rows alone."""
    whole = suite(PENALTY)
    return Suite(whole.name, tuple(rule for rule in whole.rules if rule.scope == "set"))


def judged(duck: Session, rows: Sequence[Row]) -> list[RuleCount]:
    schema = catalogue().categories[PENALTY]
    standard_table(duck, schema, rows)
    add_keys(duck, schema)
    return judge(duck, set_suite(), schema, BUSINESS_DATE)


def accused(rows: Sequence[Row], past: Sequence[Row] = ()) -> list[list[str]]:
    """For each row, in order, the rules on sets of rows that it breaks."""
    with session() as duck:
        _remember(duck, past)
        judged(duck, rows)
        return [list(reasons) for (reasons,) in duck.rows("SELECT reasons FROM verdicts ORDER BY row_no")]


def _remember(duck: Session, past: Sequence[Row]) -> None:
    """The table ``past``, as if the rows had been published before."""
    if not past:
        return
    schema = catalogue().categories[PENALTY]
    standard_table(duck, schema, past)
    add_keys(duck, schema)
    duck.execute(
        "CREATE TABLE past AS SELECT record_key, document_key, subject_key, CF_XDR_MC AS subject_name, "
        "rule_date(CF_JDRQ) AS decision_date FROM keyed JOIN standard USING (row_no)"
    )


def test_one_code_with_several_names() -> None:
    wrong = row(2, CF_XDR_MC="示例乙食品有限公司", CF_SY="另一事实")
    assert accused([row(1), wrong, row(3, **another_subject(1))]) == [["SET-001"], ["SET-001"], []]


def test_names_that_differ_in_brackets_and_blanks_are_one_name() -> None:
    spaced = row(2, CF_XDR_MC="示例甲食品 有限公司", CF_SY="另一事实")
    assert accused([row(1), spaced]) == [[], []]


def test_wrong_codes_and_the_placeholder_stand_for_nobody() -> None:
    for code in ("00000000000000000X", "91990000MA0GUEJ121"):
        one, other = (row(n, CF_XDR_SHXYM=code, CF_XDR_MC=f"示例{n}店", CF_SY=f"事实{n}") for n in (1, 2))
        assert accused([one, other]) == [[], []]


def test_one_name_with_several_codes() -> None:
    code = another_subject(1)["CF_XDR_SHXYM"]
    assert accused([row(1), row(2, CF_XDR_SHXYM=code)]) == [["SET-003"], ["SET-003"]]
    shops = [row(n, CF_XDR_LB="个体工商户", CF_XDR_SHXYM=another_subject(n)["CF_XDR_SHXYM"]) for n in (1, 2)]
    assert accused(shops) == [[], []], "individual businesses may share a name"


def test_one_document_number_with_several_dates_for_one_subject() -> None:
    assert accused([row(1), row(1, CF_JDRQ="2026/03/03")]) == [["SET-004"], ["SET-004"]]


def test_one_document_number_for_decisions_of_different_days_about_different_subjects() -> None:
    other = row(1, **another_subject(1), CF_JDRQ="2026/03/09")
    assert accused([row(1), other]) == [["SET-005"], ["SET-005"]]


def test_one_decision_against_several_parties_is_only_pointed_out() -> None:
    assert accused([row(1), row(1, **another_subject(1))]) == [["SET-006"], ["SET-006"]]
    assert suite(PENALTY).rule("SET-006").severity == "info"
    assert accused([row(1), row(1, **another_subject(1), CF_NR_FK="0.6")]) == [[], []], "each party its own sum"


@pytest.mark.parametrize(("rows", "is_pointed_out"), [(19, False), (20, True)])
def test_a_batch_of_one_day(rows: int, is_pointed_out: bool) -> None:
    batch = [row(n, **another_subject(n)) for n in range(rows)]
    assert accused(batch) == [["SET-007"] if is_pointed_out else []] * rows
    other_day = [*batch, row(99, **another_subject(99), CF_JDRQ="2026/03/01")]
    assert accused(other_day) == [[]] * (rows + 1)


def test_the_same_decision_under_two_document_numbers() -> None:
    assert accused([row(1), row(2)]) == [["SET-008"], ["SET-008"]]
    assert accused([row(1), row(2, CF_SY="另一事实")]) == [[], []]
    assert accused([row(1), row(2, CF_JDRQ="2026/03/03")]) == [[], []]


def test_rows_that_are_not_reportable_accuse_nobody() -> None:
    excluded = row(2, CF_XDR_MC="示例乙食品有限公司", excluded_reason="简易程序不报送")
    assert accused([row(1), excluded]) == [[], ["EXCL-001"]]


def test_a_code_that_was_reported_before_with_another_name() -> None:
    renamed = row(2, CF_XDR_MC="示例丁食品有限公司")
    assert accused([renamed], past=[row(1)]) == [["SET-002"]]
    assert accused([renamed], past=[row(1), renamed]) == [[]], "the new name has been reported already"
    assert accused([renamed], past=[row(1, **another_subject(1))]) == [[]]


def test_a_source_that_renumbers_its_records_is_counted() -> None:
    past = [row(n, **another_subject(n)) for n in range(40)]
    renumbered = [one | {"CF_WSH": f"新编{n}号"} for n, one in enumerate(past)]
    moved = [one | {"CF_CFJGDM": "11119900MA990001XH"} for one in past]
    recoded = [one | {"CF_XDR_SHXYM": None} for one in past]
    for batch, expected in (
        (past, (40, 0)),
        (renumbered, (40, 40)),
        (moved, (40, 40)),
        (recoded, (40, 40)),
        ([*past, *renumbered], (40, 0)),
        ([*past[:30], *renumbered[30:]], (40, 10)),
        ([row(n, **another_subject(n)) for n in range(50, 60)], (0, 0)),
    ):
        with session() as duck:
            _remember(duck, past)
            judged(duck, batch)
            assert duck.one("FROM rekeying") == expected


def test_a_renumbered_source_is_a_finding_about_the_batch() -> None:
    assert rekeyed_source(100, 19) == rekeyed_source(1000, 199) == []
    (change,) = rekeyed_source(100, 20)
    assert change.rule == "SRC-012"
    assert suite(PENALTY).rule("SRC-012").scope == "batch"


def test_rows_without_keys_are_not_compared() -> None:
    schema = catalogue().categories[PENALTY]
    with session() as duck:
        standard_table(duck, schema, [row(1), row(1, CF_JDRQ="2026/03/03")])
        counts = judge(duck, set_suite(), schema, BUSINESS_DATE)
    assert [(count.applied, count.failed) for count in counts] == [(0, 0)] * 8


def test_both_judges_count_a_batch_of_one_day_alike() -> None:
    schema = catalogue().categories[PENALTY]
    with session() as duck:
        scanned = judged(duck, [row(1)] * 25)
        assert validate_with_great_expectations(duck, set_suite(), schema, BUSINESS_DATE) == scanned
    assert RuleCount("SET-007", 25, 25) in scanned


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_the_same_rules_on_sets(category: str) -> None:
    rules = [rule for rule in suite(category).rules if rule.scope == "set"]
    assert [rule.code for rule in rules] == [f"SET-00{n}" for n in range(1, 9)]
    assert all(rule.field in catalogue().categories[category].field_codes for rule in rules)
    assert not any(rule.blocking for rule in rules)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda e: e["kwargs"].update(column="$nobody"), "there is no role nobody"),
        (lambda e: e.update(severity="critical"), "does not block"),
        (lambda e: e["meta"].update(scope="row"), "has the scope set"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, edit: Callable[[dict[str, Any]], None], problem: str) -> None:
    shutil.copytree(Settings().expectations, tmp_path / "expectations")
    path = tmp_path / "expectations" / "set_rules.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    edit(data["expectations"][0])
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(CatalogueError, match=re.escape(problem)):
        load_suite(Settings(root=tmp_path), catalogue().categories[PENALTY], catalogue().code_lists)
