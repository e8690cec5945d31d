"""A status that nobody declared holds the batch, whatever the edition, and no message holds a name."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import BatchHeldError, CatalogueError
from tests.normalize.conftest import Standardise, make_feed

LICENCE, PENALTY = "administrative_licence", "administrative_penalty"


def hold(run: Standardise, states: list[str | None], *, column: str = "当前状态", **said: Any) -> BatchHeldError:
    feed = make_feed(**{"category": LICENCE, **said})
    with pytest.raises(BatchHeldError) as held:
        run({"行政相对人名称": [f"甲{n}" for n in range(len(states))], column: states}, feed=feed)
    return held.value


@pytest.mark.parametrize(
    ("category", "edition", "value"),
    [
        (LICENCE, 2018, "4"),
        (LICENCE, 2018, "在用"),
        (LICENCE, 2018, "撤销"),
        (LICENCE, 2018, "3"),
        (LICENCE, 2016, "4"),
        (LICENCE, 2016, "有效"),
        (LICENCE, 2016, "无效"),
        (LICENCE, 2016, "1正常"),
        (PENALTY, 2016, "9"),
        (PENALTY, 2016, "在用"),
    ],
)
def test_an_undeclared_state_holds_the_batch(run: Standardise, category: str, edition: int, value: str) -> None:
    good = "1" if edition == 2018 else "0"
    held = hold(run, [good, value, None, value], category=category, edition=edition)
    assert f'"{value}" in 2 rows' in held.problem
    assert "当前状态" in held.problem
    assert "values:" in held.remedy
    assert held.place == "rows.csv, line 3"


def test_a_declared_state_does_not(run: Standardise) -> None:
    columns = {"行政相对人名称": ["甲", "乙"], "证照状态": ["在用", "注销"]}
    feed = make_feed(LICENCE, columns={"XK_ZT": "证照状态"}, values={"XK_ZT": {"在用": "1", "注销": "2"}})
    assert run(columns, feed=feed).column("XK_ZT") == ["1", "2"]
    feed = make_feed(
        LICENCE, edition=2016, columns={"XK_ZT": "证照状态"}, values={"XK_ZT": {"在用": "正常", "注销": "撤销"}}
    )
    outcome = run(columns, feed=feed)
    assert (outcome.column("XK_ZT"), outcome.revoked) == (["1", "撤销"], [1])
    feed = make_feed(PENALTY, edition=2016, values={"CF_ZT": {"注销": "撤销", "在用": "正常"}})
    columns = {"行政相对人名称": ["甲", "乙"], "当前状态": ["在用", "注销"]}
    assert run(columns, feed=feed).revoked == [1]


def test_rows_that_the_feed_excludes_may_have_any_state(run: Standardise) -> None:
    feed = make_feed(LICENCE, exclude=[{"column": "XK_ZT", "values": ["办理中"], "reason_zh": "未办结"}])
    outcome = run({"行政相对人名称": ["甲", "乙"], "当前状态": ["1", "办理中"]}, feed=feed)
    assert outcome.column("excluded_reason") == [None, "未办结"]


def test_a_feed_may_leave_undeclared_states_to_the_rules(run: Standardise) -> None:
    feed = make_feed(LICENCE, undeclared_status="quarantine")
    outcome = run({"行政相对人名称": ["甲", "乙"], "当前状态": ["1", "办理中"]}, feed=feed)
    assert outcome.column("XK_ZT") == ["1", "办理中"]


def test_zero_is_the_other_edition_and_holds_always(run: Standardise) -> None:
    """In edition 2016, 0 stands for a decision that holds: then 1 in the same column is a revoked one."""
    held = hold(run, ["1", "0", "0.0"], undeclared_status="quarantine")
    assert '"0" in 2 rows' in held.problem
    assert "edition 2016" in held.problem
    assert "edition: 2016" in held.remedy
    declared = make_feed(LICENCE, values={"XK_ZT": {"0": "1"}})
    outcome = run({"行政相对人名称": ["甲", "乙"], "当前状态": ["1", "0"]}, feed=declared)
    assert outcome.column("XK_ZT") == ["1", "1"]


def test_an_extract_that_is_nearly_all_revoked_is_one_of_2018(run: Standardise) -> None:
    held = hold(run, ["1"] * 10 + ["0"] * 9, edition=2016)
    assert "10 of 19 rows" in held.problem
    few = {"行政相对人名称": ["甲"] * 9, "当前状态": ["1"] * 9}
    assert len(run(few, feed=make_feed(LICENCE, edition=2016)).revoked) == 9
    half = {"行政相对人名称": ["甲"] * 20, "当前状态": ["1", "0"] * 10}
    assert len(run(half, feed=make_feed(PENALTY, edition=2016)).revoked) == 10
    many = {"行政相对人名称": ["甲"] * 20, "当前状态": ["1"] * 20}
    said = make_feed(LICENCE, edition=2016, values={"XK_ZT": {"1": "撤销"}})
    assert len(run(many, feed=said).revoked) == 20
    in_words = {"行政相对人名称": ["甲"] * 20, "当前状态": ["撤销"] * 20}
    assert len(run(in_words, feed=make_feed(LICENCE, edition=2016)).revoked) == 20


def test_what_stands_in_a_status_column_by_mistake_is_masked(run: Standardise) -> None:
    held = hold(run, ["欧阳小明", "11010519491231002X", "张三", "在用"])
    for personal in ("欧阳小明", "欧阳", "11010519491231002X", "1949", "张三"):
        assert personal not in str(held)
    assert '"在用"' in held.problem


def test_many_different_values_are_counted_not_listed(run: Standardise) -> None:
    held = hold(run, [f"x{number}" for number in range(9)])
    assert "and 4 more" in held.problem


def test_a_word_that_is_no_state_is_refused_even_when_it_slipped_by_the_catalogue(run: Standardise) -> None:
    """A value declared for edition 2018 must not decide what a numeral of edition 2016 means."""
    feed = make_feed(LICENCE, values={"XK_ZT": {"在用": "1"}}, extracts=[{"match": "*", "edition": 2016}])
    with pytest.raises(CatalogueError, match="no status"):
        run({"行政相对人名称": ["甲"], "当前状态": ["在用"]}, feed=feed)
