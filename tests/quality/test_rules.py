"""Every rule: the clean rows keep it, and the row made to break it gets exactly the expected reasons."""

from __future__ import annotations

import pytest

from pipelines.engine.duck import session
from pipelines.quality.compile import judge

from .rows import BUSINESS_DATE, CATEGORIES, bases, cases, catalogue, standard_table, suite


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_rule_has_a_case(category: str) -> None:
    assert {case.rule for case in cases(category)} == {
        rule.code for rule in suite(category).rules if rule.scope == "row"
    }


@pytest.mark.parametrize("category", CATEGORIES)
def test_clean_rows_break_nothing(category: str) -> None:
    with session() as duck:
        standard_table(duck, catalogue().categories[category], list(bases(category).values()))
        counts = judge(duck, suite(category), catalogue().categories[category], BUSINESS_DATE)
        assert duck.rows("SELECT reasons, blocking FROM verdicts") == [([], False)] * 3
        assert sum(count.failed for count in counts) == 0


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_case_gets_its_complete_list_of_reasons(category: str) -> None:
    rules = suite(category)
    order = [rule.code for rule in rules.rules]
    with session() as duck:
        standard_table(duck, catalogue().categories[category], [case.row for case in cases(category)])
        judge(duck, rules, catalogue().categories[category], BUSINESS_DATE)
        verdicts = duck.rows("SELECT reasons, blocking FROM verdicts ORDER BY row_no")
    for case, (reasons, blocking) in zip(cases(category), verdicts, strict=True):
        assert reasons == sorted(case.reasons, key=order.index), case.rule
        assert blocking == any(rules.rule(code).blocking for code in case.reasons), case.rule


def test_counts_tell_rows_that_a_rule_does_not_apply_to() -> None:
    category = "administrative_penalty"
    with session() as duck:
        standard_table(duck, catalogue().categories[category], list(bases(category).values()))
        counts = {c.code: c for c in judge(duck, suite(category), catalogue().categories[category], BUSINESS_DATE)}
    assert counts["REQ-CF_WSH"].applied == 3
    assert counts["CF-C01a"].applied == 2
    assert counts["CF-C02b"].applied == 1
    assert counts["LEN-BZ"].applied == 0


def test_rows_declared_not_reportable_are_not_judged() -> None:
    category = catalogue().categories["administrative_penalty"]
    broken = {"excluded_reason": "简易程序不报送"}
    with session() as duck:
        standard_table(duck, category, [broken, bases(category.category)["organisation"]])
        counts = judge(duck, suite(category.category), category, BUSINESS_DATE)
        assert duck.rows("SELECT reasons, blocking FROM verdicts ORDER BY row_no") == [
            (["EXCL-001"], False),
            ([], False),
        ]
        assert {count.code: count.applied for count in counts}["REQ-CF_WSH"] == 1


@pytest.mark.parametrize("rows", [0, 200])
def test_a_batch_without_rows_and_one_of_broken_rows_are_judged(rows: int) -> None:
    category = catalogue().categories["administrative_penalty"]
    with session() as duck:
        standard_table(duck, category, [{}] * rows)
        counts = judge(duck, suite(category.category), category, BUSINESS_DATE)
        assert duck.count("verdicts") == rows
    always = [rule.code for rule in suite(category.category).rules if rule.code.startswith("REQ-")]
    assert {count.code for count in counts if count.failed == rows} >= set(always)


def test_a_decision_on_the_business_date_is_not_in_the_future() -> None:
    category = catalogue().categories["administrative_penalty"]
    row = bases(category.category)["organisation"] | {"CF_JDRQ": "2026/11/20"}
    with session() as duck:
        standard_table(duck, category, [row])
        judge(duck, suite(category.category), category, BUSINESS_DATE)
        assert duck.one("SELECT reasons FROM verdicts") == ([],)


@pytest.mark.parametrize(
    ("day", "is_broken"),
    [("2026/01/31", False), ("2026/02/01", True), ("2024/12/31", False), ("2024/11/30", True), ("2025/06/01", False)],
)
def test_the_year_of_a_document_number_may_lag_by_a_january_or_lead_by_a_december(day: str, is_broken: bool) -> None:
    category = catalogue().categories["administrative_penalty"]
    row = bases(category.category)["organisation"] | {"CF_WSH": "示市监罚[2025]15号", "CF_JDRQ": day}
    with session() as duck:
        standard_table(duck, category, [row])
        judge(duck, suite(category.category), category, BUSINESS_DATE)
        assert ("CF-C10f" in duck.one("SELECT reasons FROM verdicts")[0]) == is_broken
