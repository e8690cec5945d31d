"""The estimate of what was never reported: gaps between document numbers, and volume below the season."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import pyarrow as pa
import pytest

from pipelines.engine.duck import Session, session
from pipelines.reporting.underreporting import (
    CAVEATS_ZH,
    UnreportedEstimate,
    add_numbers,
    create_numbers,
    estimate_unreported,
)

FEED, WORD = "dept_penalty", "示市监罚〔2026〕"
FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
LATER = date(2026, 12, 31)
Number = tuple[str, date]


@pytest.fixture
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


def numbers(serials: Iterable[int], day: date = date(2026, 10, 12), word: str = WORD) -> list[Number]:
    return [(f"{word}{serial}号", day) for serial in serials]


def estimate(
    duck: Session, accepted: list[Number], came: Iterable[str] = (), *, until: date = LAST, last_due: date = LATER
) -> UnreportedEstimate:
    keys, days = [key for key, _ in accepted], [day for _, day in accepted]
    duck.register(
        "accepted_versions",
        pa.table(
            {
                "document_key": pa.array(keys, pa.string()),
                "decision_date": pa.array(days, pa.date32()),
                "record_key": pa.array([str(place) for place in range(len(keys))], pa.string()),
                "authority": pa.array(["示例局"] * len(keys), pa.string()),
            }
        ),
    )
    duck.register("all_outcomes", pa.table({"document_key": pa.array([*keys, *came], pa.string())}))
    create_numbers(duck)
    add_numbers(duck, FEED, "accepted_versions", "authority", "all_outcomes")
    return estimate_unreported(duck, [FEED], FIRST, until, last_due)


def test_a_number_that_never_came_is_missing_and_a_bad_row_is_not(duck: Session) -> None:
    accepted = numbers([*range(1, 6), *range(8, 15), 20])
    # 6 was quarantined; 7 came as a part of a decision; between 14 and 20 only 17 came.
    found = estimate(duck, accepted, [f"{WORD}6号", f"{WORD}第007-1号", f"{WORD}17号"])
    (series,) = found.series
    assert (series.authority, series.series, series.seen, series.missing) == ("示例局", WORD, 13, 4)
    assert series.examples == ("15–19（4个）",)
    assert found.caveats == CAVEATS_ZH and "估计" in found.caveats[0]


def test_words_years_and_blocks_of_numbers_are_series_of_their_own(duck: Session) -> None:
    accepted = [
        *numbers(range(1, 13)),
        *numbers(range(1, 24, 2), word="示市监罚〔2026〕稽字"),
        *numbers(range(5001, 5013)),
        *numbers([20260305001, 20260305009], word="示税罚〔2026〕"),
        *numbers([1, 4, 9], word="示城管罚〔2026〕"),
    ]
    found = estimate(duck, accepted)
    assert [(one.series, one.missing) for one in found.series] == [("示市监罚〔2026〕稽字", 11), (WORD, 0)]
    # The third has too few numbers; those of the fourth are dates and form no series.
    assert found.unsuitable == 1


def test_a_gap_belongs_to_the_month_of_the_next_decision_and_to_nobody_before_it_is_due(duck: Session) -> None:
    accepted = [
        *numbers(range(1, 11), date(2026, 9, 15)),
        *numbers([13], date(2026, 10, 9)),
        *numbers([15], date(2026, 10, 30)),
        *numbers([18], date(2026, 11, 3)),
    ]
    assert estimate(duck, accepted).missing == 3
    assert estimate(duck, accepted, last_due=date(2026, 10, 20)).missing == 2
    assert estimate(duck, accepted, last_due=date(2026, 9, 1)).series == ()


def test_volume_against_the_same_weeks_of_the_year_before(duck: Session) -> None:
    year = timedelta(weeks=52)
    days = [FIRST + timedelta(days=step) for step in range(31)]
    before = [(f"示罚〔2025〕{place}号", day - year) for place, day in enumerate(days)]
    now = [(f"示罚〔2026〕{place}号", day) for place, day in enumerate(days[:10])]
    (volume,) = estimate(duck, before + now).volumes
    assert (volume.basis, volume.observed, volume.expected, volume.shortfall) == ("same_weeks", 10, 31, 21)


def test_volume_against_the_usual_weekday_where_there_is_no_year_before(duck: Session) -> None:
    spring = date(2026, 4, 2)
    mondays = [spring + timedelta(days=step) for step in range(182) if (spring + timedelta(days=step)).weekday() == 0]
    accepted = [(f"示罚〔2026〕{place}-{copy}号", day) for place, day in enumerate(mondays, 1) for copy in (1, 2, 3)]
    (volume,) = estimate(duck, accepted).volumes
    # October 2026 has four Mondays.
    assert (volume.basis, volume.observed, volume.expected) == ("weekday_median", 0, 12)
