"""How often a feed brings rows: what its schedule says, what it has done, and from when on its silence is an incident.

Gaps are counted in working days, so that a weekend or a holiday week makes nobody silent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from pipelines.deadlines.calendar import WorkingCalendar

FEWEST_BATCHES = 6
MOST_BATCHES = 30
# One gap in ten may have been longer without having been an incident.
USUAL_SHARE = 0.9
WEEK, MONTH, YEAR = 5, 23, 250
_PRESETS = {"@daily": 1, "@midnight": 1, "@hourly": 1, "@weekly": WEEK, "@monthly": MONTH, "@yearly": YEAR}


@dataclass(frozen=True)
class Rhythm:
    """``usual`` working days from one batch with rows to the next, as a ``habit`` or by the schedule alone.

    After more than ``allowed`` working days without rows the feed is silent.
    """

    usual: int
    allowed: int
    is_habit: bool

    @property
    def words(self) -> str:
        often = "every working day" if self.usual == 1 else f"every {self.usual} working days"
        return f"{'usually' if self.is_habit else 'by its schedule'} {often}"


def rhythm_of(calendar: WorkingCalendar, schedule: str, days: Sequence[date], margin: int) -> Rhythm:
    """The rhythm of a feed. ``days``: business dates of batches with rows, ascending; ``margin`` in working days."""
    recent = days[-MOST_BATCHES:]
    if len(recent) < FEWEST_BATCHES:
        usual = scheduled_gap(schedule)
        return Rhythm(usual, usual + margin, is_habit=False)
    gaps = sorted(max(1, calendar.working_days_between(before, day)) for before, day in pairwise(recent))
    usual = gaps[math.ceil(len(gaps) * USUAL_SHARE) - 1]
    return Rhythm(usual, usual + margin, is_habit=True)


def scheduled_gap(schedule: str) -> int:
    """The longest gap, in working days, that a cron expression makes: a day, a week, a month or a year.

    More is not read from it: what a feed does is better told by its habit.
    """
    if schedule in _PRESETS:
        return _PRESETS[schedule]
    fields = schedule.split()
    if len(fields) < 5:
        return 1
    day, month, weekday = fields[2], fields[3], fields[4]
    if month != "*":
        return YEAR
    if day not in {"*", "?"}:
        return MONTH
    if weekday in {"*", "?"} or "-" in weekday:
        return 1
    return WEEK
