"""A row's verdict hangs on that row alone: not on its neighbours, its place, its file, or how often it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.duck import Session, session
from pipelines.quality.compile import judge
from pipelines.quality.rules import Suite

from .mutations import mutated_rows
from .rows import BUSINESS_DATE, CATEGORIES, Row, catalogue, standard_table, suite

Verdict = tuple[tuple[str, ...], bool]
POOL = 120
# Judging one row takes as long as judging a thousand: so many are judged in a batch of their own.
SINGLY = 8


@cache
def pool(category: str) -> tuple[Row, ...]:
    """Clean rows, rows that break one rule each, and random crossings of them."""
    return tuple(mutated_rows(category, 400, seed=7)[-POOL:])


def verdicts(duck: Session, category: str, rows: Sequence[Row], rules: Suite | None = None) -> list[Verdict]:
    """For each row, in order: the rules on rows that it breaks, and whether one of them blocks."""
    if not rows:
        return []
    standard_table(duck, catalogue().categories[category], rows)
    judged = rules or suite(category)
    judge(duck, judged, catalogue().categories[category], BUSINESS_DATE)
    alone = {rule.code for rule in judged.rules if rule.scope == "row"} | {"EXCL-001"}
    found = duck.rows("SELECT reasons, blocking FROM verdicts ORDER BY row_no")
    return [(tuple(code for code in reasons if code in alone), bool(blocking)) for reasons, blocking in found]


@cache
def alone(category: str) -> tuple[Verdict, ...]:
    """What each row of the pool gets when nothing else is in its batch."""
    with session(threads=2) as duck:
        return tuple(verdicts(duck, category, [row])[0] for row in pool(category)[:SINGLY]) + tuple(
            verdicts(duck, category, pool(category))[SINGLY:]
        )


places = st.lists(st.integers(0, POOL - 1), min_size=1, max_size=60)
_settings = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@pytest.mark.parametrize("category", CATEGORIES)
@_settings
@given(chosen=places)
def test_a_row_is_judged_as_if_it_were_alone(category: str, chosen: list[int]) -> None:
    """Whatever stands beside it, in whatever order, however often: bad rows change nobody else's verdict."""
    with session(threads=2) as duck:
        found = verdicts(duck, category, [pool(category)[place] for place in chosen])
    assert found == [alone(category)[place] for place in chosen]


@pytest.mark.parametrize("category", CATEGORIES)
@_settings
@given(chosen=places, cut=st.integers(0, 60))
def test_splitting_a_batch_in_two_changes_nothing(category: str, chosen: list[int], cut: int) -> None:
    rows = [pool(category)[place] for place in chosen]
    with session(threads=2) as duck:
        whole = verdicts(duck, category, rows)
        assert verdicts(duck, category, rows[:cut]) + verdicts(duck, category, rows[cut:]) == whole


@pytest.mark.parametrize("category", CATEGORIES)
def test_judging_twice_changes_nothing(category: str) -> None:
    with session(threads=2) as duck:
        first = verdicts(duck, category, pool(category))
        counted = duck.rows("FROM rule_counts")
        judge(duck, suite(category), catalogue().categories[category], BUSINESS_DATE)
        assert verdicts(duck, category, pool(category)) == first
        assert duck.rows("FROM rule_counts") == counted


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_rule_on_a_set_of_rows_never_blocks(category: str) -> None:
    assert [rule.code for rule in suite(category).rules if rule.scope != "row" and rule.blocking] == []
