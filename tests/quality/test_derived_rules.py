"""Derived rules that depend on more than their own field."""

from __future__ import annotations

from datetime import date

import pytest

from pipelines.catalogue.code_lists import CodeList
from pipelines.engine.duck import session
from pipelines.quality.compile import judge
from pipelines.quality.derived import derived_rules
from pipelines.quality.rules import Suite

from .rows import BUSINESS_DATE, Row, bases, catalogue, standard_table, suite

PENALTY = "administrative_penalty"


def reasons(rows: list[Row], rules: Suite | None = None) -> list[list[str]]:
    schema = catalogue().categories[PENALTY]
    with session() as duck:
        standard_table(duck, schema, rows)
        judge(duck, rules or suite(PENALTY), schema, BUSINESS_DATE)
        return [found for (found,) in duck.rows("SELECT reasons FROM verdicts ORDER BY row_no")]


@pytest.mark.parametrize(
    ("code", "kind", "is_asked_for"),
    [
        ("91990000MA0GUEJ121", None, False),
        ("110101199003070011", None, False),
        ("9.13302E+17", None, False),
        (None, None, True),
        ("00000000000000000X", None, True),
        ("91990000MA0GUEJ121", "法人及非法人组织", False),
    ],
)
def test_a_kind_that_only_the_wrong_code_withholds_is_not_asked_for(
    code: str | None, kind: str | None, is_asked_for: bool
) -> None:
    row = bases(PENALTY)["organisation"] | {"CF_XDR_SHXYM": code, "CF_XDR_LB": kind}
    (found,) = reasons([row])
    assert ("REQ-CF_XDR_LB" in found) == is_asked_for
    assert found, "the row goes back all the same"


def test_a_whole_code_in_the_column_of_the_organisation_code_has_a_reason_of_its_own() -> None:
    rows = [
        bases(PENALTY)["organisation"] | {"CF_XDR_ZZJG": code}
        for code in ("91990000MA0GUEJ125", "110101199003070011", "MA0GUEJ13", "MA0GUEJ12")
    ]
    assert reasons(rows) == [["FULL-CF_XDR_ZZJG"], ["PERSON-CF_XDR_ZZJG"], ["CODE-CF_XDR_ZZJG"], []]


def test_a_class_that_did_not_exist_on_the_day_of_the_decision_is_pointed_out() -> None:
    schema = catalogue().categories[PENALTY]
    lists = dict(catalogue().code_lists)
    known = lists["penalty_class"]
    days = {"警告": {"until": date(2026, 3, 3)}, "罚款": {"since": date(2026, 3, 2)}}
    entries = [entry.model_copy(update=days.get(entry.name, {})) for entry in known.entries]
    lists["penalty_class"] = CodeList(**{**known.model_dump(), "entries": [entry.model_dump() for entry in entries]})
    rules = Suite("dated", derived_rules(schema, lists))
    assert "ERA-CF_CFLB" not in suite(PENALTY)
    assert rules.rule("ERA-CF_CFLB").severity == "warn"
    base = bases(PENALTY)["organisation"]
    rows = [
        base | {"CF_CFLB": classes, "CF_JDRQ": day}
        for classes, day in (
            ("警告", "2026/03/02"),
            ("行政拘留;警告", "2026/03/03"),
            ("罚款", "2026/03/01"),
            ("罚款;行政拘留", "2026/03/02"),
            ("其他-罚款", "2026/03/01"),
        )
    ]
    era = ["ERA-CF_CFLB"]
    assert reasons(rows, rules) == [[], era, era, [], []]
