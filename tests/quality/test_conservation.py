"""No row may get lost or counted twice."""

from __future__ import annotations

import pytest

from pipelines.errors import ConservationError
from pipelines.quality import conservation

OUTCOMES = {"accepted": 5, "duplicate": 1, "quarantined": 2, "blocked": 1, "excluded": 1}


def test_the_sum_is_told() -> None:
    told = conservation.check("r1", 9, 1, OUTCOMES)
    assert told == ("9 rows + 1 undecoded lines = 5 accepted + 1 duplicate + 2 quarantined + 1 blocked + 1 excluded")
    assert conservation.check("r1", 0, 0, {}).startswith("0 rows")


@pytest.mark.parametrize(("rows", "lines", "word"), [(10, 1, "1 missing"), (9, 0, "1 too many"), (0, 0, "10 too many")])
def test_a_difference_names_the_run_and_the_figures(rows: int, lines: int, word: str) -> None:
    with pytest.raises(ConservationError) as caught:
        conservation.check("feed/2026-11-20/1", rows, lines, OUTCOMES)
    assert "feed/2026-11-20/1" in str(caught.value)
    assert word in str(caught.value)
    assert "2 quarantined" in str(caught.value)
    assert "nothing was published" in str(caught.value)


def test_outcomes_that_cancel_out_are_not_accepted() -> None:
    with pytest.raises(ConservationError, match="negative"):
        conservation.check("r1", 4, 0, {"accepted": 5, "duplicate": -1})
    with pytest.raises(ConservationError, match="unknown outcomes lost"):
        conservation.check("r1", 5, 0, {"accepted": 5, "lost": 0})
