"""Batches that were judged under older rules than today's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from pipelines.ledger.models import Batch, RuleCount, Run
from pipelines.operations.context import Context
from pipelines.operations.judging import suite_of
from pipelines.quality.rules import Suite


@dataclass(frozen=True)
class StaleBatch:
    """A published batch, and how the rules of today differ from those it was judged by.

    ``changed`` are rules whose version or severity is another one; ``silently`` says that no rule's version tells the
    difference: somebody changed what a rule asks without counting its version up, or the batch is older than the hash.
    """

    feed: str
    business_date: date
    run: str
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def silently(self) -> bool:
        return not (self.added or self.dropped or self.changed)


def stale_batches(
    context: Context, feeds: Sequence[str] = (), days: tuple[date, date] | None = None
) -> list[StaleBatch]:
    """Published batches whose rules are not those of today, by feed and date, the latest date first.

    ``feeds`` and ``days`` (first, last) leave out the others.
    """
    # Rules come and go on few days: batches between two of them share a suite, and its hash.
    whole: dict[str, Suite] = {}
    suites: dict[tuple[str, tuple[str, ...]], tuple[Suite, str]] = {}
    with context.ledger.read() as session:
        query = select(Run).join(Batch, Batch.run == Run.id).order_by(Batch.feed, Batch.business_date.desc())
        if feeds:
            query = query.where(Batch.feed.in_(feeds))
        if days is not None:
            query = query.where(Batch.business_date.between(*days))
        stale = []
        for run in session.scalars(query):
            category = context.catalogue.categories.get(run.category)
            if category is None:
                continue
            if run.category not in whole:
                whole[run.category] = suite_of(context, category)
            suite = whole[run.category].on(run.business_date)
            key = (run.category, tuple(rule.code for rule in suite.rules))
            if key not in suites:
                suites[key] = suite, suite.hash
            if run.rules_hash != suites[key][1]:
                stale.append((run, suites[key][0]))
        counts: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
        ids = [run.id for run, _ in stale]
        for start in range(0, len(ids), 500):
            rows = select(RuleCount).where(RuleCount.run.in_(ids[start : start + 500]))
            for count in session.scalars(rows):
                counts[count.run][count.rule] = (count.version, count.severity)
    return [_stale(run, suite, counts[run.id]) for run, suite in stale]


def _stale(run: Run, suite: Suite, judged: dict[str, tuple[int, str]]) -> StaleBatch:
    today = {rule.code: (rule.version, rule.severity) for rule in suite.rules}
    return StaleBatch(
        feed=run.feed,
        business_date=run.business_date,
        run=run.id,
        added=tuple(code for code in today if code not in judged),
        dropped=tuple(code for code in judged if code not in today),
        changed=tuple(code for code in today if code in judged and judged[code] != today[code]),
    )
