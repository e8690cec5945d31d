"""What a figure would be if reasons were fixed: exact, from all reasons of every row that was kept out.

A row gets in when every blocking reason it has is fixed. Once fixed it is what it would have been without them: blocked
when its record was withdrawn, a duplicate when its batch has another row on the same decision that is in or gets in
(rows on one decision are taken to say the same once they are fixed), and accepted otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from sqlalchemy import func, select

from pipelines.catalogue.figure_profiles import FigureDefinition, FigureProfile
from pipelines.engine.duck import Session, literal
from pipelines.errors import CatalogueError
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Batch, Run, Tombstone
from pipelines.ledger.quality_models import Measure
from pipelines.reporting.counts import Ratio
from pipelines.reporting.figure_counts import BatchCounts
from pipelines.reporting.run_files import run_files
from pipelines.settings import Settings

_FOLLOWS = frozenset({"received", "judged", "accepted", "duplicate", "quarantined", "blocked", "excluded"})
MOST_STEPS = 5


@dataclass(frozen=True)
class Step:
    """After ``reasons`` are fixed, and those of the steps before: rows that get in by it, and the figure then.

    ``fixed`` are all reasons fixed so far. ``numerator`` and ``denominator`` are those of the figure.
    """

    reasons: tuple[str, ...]
    fixed: tuple[str, ...]
    rows: int
    accepted: int
    numerator: int
    denominator: int

    @property
    def text(self) -> str:
        return Ratio(self.numerator, self.denominator).text


@dataclass(frozen=True)
class WhatIf:
    """How a figure would rise.

    ``steps`` add, one after the other, what lets most rows in. ``best_pair``: of all pairs the one that does.
    ``asked`` is the answer for reasons that were named. ``batches`` were looked at; the rows of ``cleared`` batches
    count as they are, because the files that hold their reasons are gone.
    """

    definition: FigureDefinition
    numerator: int
    denominator: int
    steps: tuple[Step, ...]
    best_pair: Step | None
    asked: Step | None
    batches: int
    cleared: int

    @property
    def text(self) -> str:
        """The figure as it is."""
        return Ratio(self.numerator, self.denominator).text


def what_if(
    session: Session,
    settings: Settings,
    ledger: Ledger,
    profile: FigureProfile,
    feeds: Sequence[str],
    since: date,
    until: date,
    *,
    reasons: Sequence[str] = (),
    most: int = MOST_STEPS,
    figure: str | None = None,
) -> WhatIf:
    """Answer for the published batches of ``feeds`` with business dates ``since``..``until``, as they are now.

    ``figure`` is the profile's share of accepted rows unless it is named. Raises :class:`CatalogueError` for a figure
    that does not follow from the outcomes of rows.
    """
    definition = _figure(profile, figure)
    runs = _runs(ledger, feeds, since, until)
    cleared = _collect(session, settings, ledger, runs)
    counts = _counts(ledger, runs)
    answer = _Answer(session, definition, counts)
    now, below = BatchCounts(counts).values(definition)
    steps = answer.steps(most)
    pair = answer.best(2, ())
    found = WhatIf(
        definition,
        now,
        below or 0,
        steps,
        answer.step(pair, ()) if len(pair) == 2 else None,
        answer.step(tuple(sorted(set(reasons))), ()) if reasons else None,
        len(runs),
        cleared,
    )
    session.execute("DROP TABLE kept_out; DROP TABLE kept_out_patterns")
    return found


def _figure(profile: FigureProfile, code: str | None) -> FigureDefinition:
    for definition in profile.figures:
        terms = (*definition.terms("numerator"), *definition.terms("denominator"))
        follows = definition.denominator and all(term.name == "rows" and term.item in _FOLLOWS for term in terms)
        is_meant = definition.figure == code if code is not None else "rows/accepted" in definition.numerator
        if follows and is_meant:
            return definition
    raise CatalogueError(
        f"{code or 'no figure'} of the profile {profile.profile} follows from the outcomes of rows",
        remedy="name a figure that is a quotient of counts of rows, such as compliance",
    )


def _runs(ledger: Ledger, feeds: Sequence[str], since: date, until: date) -> list[Run]:
    query = select(Run).join(Batch, Batch.run == Run.id)
    query = query.where(Run.feed.in_(feeds), Run.business_date.between(since, until))
    with ledger.read() as reading:
        return list(reading.scalars(query.order_by(Run.feed, Run.business_date)))


def _counts(ledger: Ledger, runs: Sequence[Run]) -> dict[tuple[str, str], int]:
    query = (
        select(Measure.item, func.sum(Measure.value))
        .where(Measure.name == "rows", Measure.run.in_([run.id for run in runs]))
        .group_by(Measure.item)
    )
    with ledger.read() as reading:
        return {("rows", item): int(value) for item, value in reading.execute(query)}


def _collect(session: Session, settings: Settings, ledger: Ledger, runs: Sequence[Run]) -> int:
    """Create ``kept_out`` and ``kept_out_patterns``; returns the runs whose files are gone.

    ``kept_out``: run, record_key, blocking VARCHAR[] (sorted), becomes. ``kept_out_patterns``: blocking, rows that
    would be accepted.
    """
    session.execute(
        "CREATE OR REPLACE TEMP TABLE kept_out (run VARCHAR, record_key VARCHAR, blocking VARCHAR[], becomes VARCHAR)"
    )
    with ledger.read() as reading:
        withdrawn = list(reading.execute(select(Tombstone.category, Tombstone.record_key)))
    keys = {"category": [row[0] for row in withdrawn], "record_key": [row[1] for row in withdrawn]}
    session.register("withdrawn_keys", pa.table({name: pa.array(key, pa.string()) for name, key in keys.items()}))
    cleared = 0
    for run in runs:
        files = run_files(settings, run)
        if not files.is_kept:
            cleared += 1
            continue
        session.execute(
            f"""
            INSERT INTO kept_out
            WITH outcomes AS (SELECT row_no, outcome, record_key FROM {files.outcomes}),
            broken AS (
                SELECT row_no, list_sort(list_distinct(list(rule))) AS blocking
                FROM {files.findings} WHERE severity = 'block' AND row_no IS NOT NULL GROUP BY row_no
            )
            SELECT {literal(run.id)}, record_key, blocking,
                   CASE WHEN record_key IN (SELECT record_key FROM withdrawn_keys WHERE category = $category)
                        THEN 'blocked'
                        WHEN record_key IN (SELECT record_key FROM outcomes WHERE outcome = 'accepted')
                        THEN 'duplicate' ELSE 'accepted' END
            FROM outcomes JOIN broken USING (row_no) WHERE outcome = 'quarantined'
            UNION ALL
            SELECT {literal(run.id)}, NULL, [rule], 'accepted' FROM {files.rejects}
            """,
            {"category": run.category},
        )
    session.execute(
        "CREATE OR REPLACE TEMP TABLE kept_out_patterns AS "
        "SELECT blocking, count(*) FILTER (becomes = 'accepted') AS row_total FROM kept_out GROUP BY blocking"
    )
    return cleared


class _Answer:
    """Questions to the rows that were kept out."""

    def __init__(self, session: Session, definition: FigureDefinition, counts: dict[tuple[str, str], int]) -> None:
        self._session = session
        self._definition = definition
        self._counts = counts

    def steps(self, most: int) -> tuple[Step, ...]:
        """The reason that lets most rows in, then the next one; two at once where no single one lets any in."""
        steps: list[Step] = []
        fixed: tuple[str, ...] = ()
        while len(steps) < most:
            reasons = self.best(1, fixed) or self.best(2, fixed)
            if not reasons:
                break
            steps.append(self.step(reasons, fixed))
            fixed = steps[-1].fixed
        return tuple(steps)

    def best(self, size: int, fixed: Sequence[str]) -> tuple[str, ...]:
        """The one or two reasons that let most rows in once ``fixed`` are; empty when none do."""
        left = "list_filter(blocking, lambda reason: NOT list_contains($fixed::VARCHAR[], reason))"
        single = "SELECT [reason] AS chosen FROM reasons"
        pair = "SELECT [a.reason, b.reason] AS chosen FROM reasons a JOIN reasons b ON a.reason < b.reason"
        found = self._session.rows(
            f"""
            WITH remaining AS (
                SELECT {left} AS blocking, sum(row_total) AS row_total FROM kept_out_patterns
                GROUP BY 1 HAVING len(blocking) BETWEEN 1 AND {size} AND sum(row_total) > 0
            ), reasons AS (SELECT DISTINCT unnest(blocking) AS reason FROM remaining),
            candidates AS ({single if size == 1 else pair})
            SELECT chosen FROM candidates JOIN remaining ON list_has_all(chosen, blocking)
            GROUP BY chosen ORDER BY sum(row_total) DESC, chosen LIMIT 1
            """,
            {"fixed": list(fixed)},
        )
        return tuple(found[0][0]) if found else ()

    def step(self, reasons: Sequence[str], before: Sequence[str]) -> Step:
        """The figure once ``reasons`` and those fixed before are."""
        fixed = tuple(dict.fromkeys((*before, *reasons)))
        rows, accepted, blocked = self._released(fixed)
        rows_before, accepted_before, _ = self._released(before)
        after = dict(self._counts)
        for item, more in (
            ("accepted", accepted),
            ("duplicate", rows - accepted - blocked),
            ("blocked", blocked),
            ("quarantined", -rows),
        ):
            after["rows", item] = after.get(("rows", item), 0) + more
        numerator, denominator = BatchCounts(after).values(self._definition)
        return Step(tuple(reasons), fixed, rows - rows_before, accepted - accepted_before, numerator, denominator or 0)

    def _released(self, fixed: Sequence[str]) -> tuple[int, int, int]:
        """Rows that get out of quarantine, those of them that are accepted, those that are blocked."""
        rows, alone, shared, blocked = self._session.one(
            """
            SELECT count(*), count(*) FILTER (becomes = 'accepted' AND record_key IS NULL),
                   count(DISTINCT (run, record_key)) FILTER (becomes = 'accepted' AND record_key IS NOT NULL),
                   count(*) FILTER (becomes = 'blocked')
            FROM kept_out WHERE list_has_all($fixed::VARCHAR[], blocking)
            """,
            {"fixed": list(fixed)},
        )
        return int(rows), int(alone) + int(shared), int(blocked)
