"""What a figure would be if reasons were fixed, and what it is once they really are."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.errors import CatalogueError
from pipelines.ledger.models import Tombstone
from pipelines.operations.context import Context
from pipelines.operations.figure_questions import what_if_of
from pipelines.reporting.figures import figures_by
from pipelines.reporting.what_if import WhatIf
from tests.operations.small_feed import FEED, MONDAY, Installation, Rows, row, rows

CLASS, CODE = "ENUM-CF_CFLB", "CODE-CF_XDR_SHXYM"
UNKNOWN = {"处罚类别": "无此类别"}
WRONG = {"统一社会信用代码": "91119900MA9000061X"}


def spoilt() -> Rows:
    """Ten rows in order; 11-15 are not: 12 for two reasons, 1 and 14 twice, 15 withdrawn."""
    return [
        *rows(range(1, 11)),
        row(11, **UNKNOWN),
        row(12, **UNKNOWN, **WRONG),
        row(13, **WRONG),
        row(1, **UNKNOWN),
        row(14, **UNKNOWN),
        row(14, 处罚类别="也无此类别"),
        row(15, **UNKNOWN),
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    small = Installation(tmp_path_factory.mktemp("what_if"))
    run = small.publish(MONDAY, spoilt())
    outcomes = pq.read_table(small.context.settings.runs / run.id / "outcomes.parquet").to_pylist()
    (withdrawn,) = (one["record_key"] for one in outcomes if "〕15号" in (one["document_key"] or ""))
    with small.context.ledger.write() as ledger:
        ledger.add(Tombstone(category="administrative_penalty", record_key=withdrawn, reason="示例", since=MONDAY))
    return small


def ask(context: Context, *reasons: str) -> WhatIf:
    profile = context.catalogue.profile("national")
    return what_if_of(context, profile, [FEED], MONDAY, MONDAY, reasons=reasons)


def test_the_best_reasons_come_first_and_duplicates_count_once(small: Installation) -> None:
    found = ask(small.context)
    assert (found.definition.figure, found.numerator, found.denominator) == ("compliance", 10, 17)
    first, second = found.steps
    # Five rows break the class alone. Numbers 11 and 14 get in; the second rows of 1 and 14 are duplicates then,
    # and 15 is withdrawn and stays out.
    assert (first.reasons, first.rows, first.accepted) == ((CLASS,), 5, 2)
    assert (first.numerator, first.denominator) == (12, 15)
    assert (second.reasons, second.fixed, second.rows) == ((CODE,), (CLASS, CODE), 2)
    assert (second.numerator, second.denominator, second.text) == (14, 15, "93.33 %")


def test_the_best_pair_and_named_reasons(small: Installation) -> None:
    pair = ask(small.context).best_pair
    assert pair is not None and (pair.reasons, pair.numerator, pair.denominator) == ((CODE, CLASS), 14, 15)
    asked = ask(small.context, CODE).asked
    assert asked is not None and (asked.rows, asked.numerator, asked.denominator) == (1, 11, 17)
    nothing = ask(small.context, "REQ-CF_NR").asked
    assert nothing is not None and (nothing.rows, nothing.numerator, nothing.denominator) == (0, 10, 17)


def test_only_what_follows_from_outcomes_can_be_asked_for(small: Installation) -> None:
    profile = small.context.catalogue.profile("national")
    with pytest.raises(CatalogueError, match="completeness of the profile national"):
        what_if_of(small.context, profile, [FEED], MONDAY, MONDAY, figure="completeness")


def test_it_is_what_the_figure_becomes_when_they_are_fixed(tmp_path: Path, small: Installation) -> None:
    said = ask(small.context).steps[-1]
    small.publish(MONDAY, [row(int(one["决定书文号"].split("〕")[1][:-1])) for one in spoilt()])
    (line,) = figures_by(small.context.ledger, small.context.catalogue.profile("national"), MONDAY, MONDAY, ())
    became = line.figures["compliance"]
    assert (became.numerator, became.denominator) == (said.numerator, said.denominator)
