"""Whether a feed reports fewer decisions than its season lets expect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from pipelines.engine.duck import Session, identifier

# Fewer decisions say nothing about a season.
LEAST_DECISIONS = 30
WEEKS = 26


@dataclass(frozen=True)
class VolumeEstimate:
    """Decisions ``observed`` from ``since`` to ``until``, and those to be ``expected``.

    ``basis``: ``same_weeks`` of the year before (52 weeks earlier, so that weekdays agree), or ``weekday_median``: the
    median of each weekday over the 26 weeks before, summed over the days of the period.
    """

    feed: str
    since: date
    until: date
    observed: int
    expected: int
    basis: Literal["same_weeks", "weekday_median"]

    @property
    def shortfall(self) -> int:
        return max(0, self.expected - self.observed)


def volume_estimate(session: Session, numbers: str, feed: str, since: date, until: date) -> VolumeEstimate | None:
    """Compare a feed's decisions with its season; None where there is no season to compare with.

    ``numbers`` has feed, decision_date and record_key.
    """
    decided = (
        f"SELECT decision_date AS day, count(DISTINCT record_key) AS decisions FROM {identifier(numbers)} "
        "WHERE feed = $feed AND decision_date BETWEEN $since AND $until GROUP BY 1"
    )

    def total(first: date, last: date) -> int:
        query = f"SELECT coalesce(sum(decisions), 0) FROM ({decided})"
        return int(session.one(query, {"feed": feed, "since": first, "until": last})[0])

    observed = total(since, until)
    year = timedelta(weeks=52)
    before = total(since - year, until - year)
    if before >= LEAST_DECISIONS:
        return VolumeEstimate(feed, since, until, observed, before, "same_weeks")
    first = since - timedelta(weeks=WEEKS)
    if total(first, since - timedelta(days=1)) < LEAST_DECISIONS:
        return None
    (expected,) = session.one(
        f"""
        WITH decided AS ({decided.replace("$until", "$before").replace("$since", "$first")}),
        days AS (SELECT unnest(generate_series($first, $before, INTERVAL 1 DAY))::DATE AS day),
        usual AS (
            SELECT isodow(days.day) AS weekday, median(coalesce(decisions, 0)) AS decisions
            FROM days LEFT JOIN decided USING (day) GROUP BY 1
        )
        SELECT coalesce(sum(decisions), 0) FROM usual
        JOIN (SELECT isodow(unnest(generate_series($since, $until, INTERVAL 1 DAY))::DATE) AS weekday) USING (weekday)
        """,
        {"feed": feed, "first": first, "before": since - timedelta(days=1), "since": since, "until": until},
    )
    return VolumeEstimate(feed, since, until, observed, round(expected), "weekday_median")
