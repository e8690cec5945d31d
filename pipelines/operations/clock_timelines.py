"""What befell a record on its way, as handovers from party to party, read from the ledger.

Nothing is stored for it: runs, decisions of stewards, the outbox and the calls to endpoints say it all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.deadlines.attribution import Handover, Party
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import Attempt, Outbox, Package, Run
from pipelines.ledger.quality_models import GateDecision

_NO_ANSWER = frozenset({"unreachable", "busy", "broken", "ambiguous"})
_ANSWERS = frozenset({"answered", "unknown", "refused", "denied", "strange"})
_AT_ONCE = 500


@dataclass(frozen=True)
class Outage:
    """An endpoint did not answer from ``start`` on; ``end`` is when it did again, None while it does not."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class Quarantine:
    """A row was here before and could not become a record: seen first in a run, mended by ``owner``."""

    run: str
    owner: str
    rule: str


class Arrivals:
    """When and how the rows of a run came: its own arrival, and those of unpublished attempts right before it."""

    def __init__(self, session: LedgerSession, runs: Collection[str]) -> None:
        named = sorted(runs)
        batches: set[int] = set()
        for part in _parts(named):
            batches.update(session.scalars(select(Run.batch_id).where(Run.id.in_(part)).distinct()))
        attempts: list[Run] = []
        for part in _parts(sorted(batches)):
            attempts += session.scalars(select(Run).where(Run.batch_id.in_(part)).order_by(Run.batch_id, Run.attempt))
        self._runs = {run.id: run for run in attempts}
        self._attempts: dict[int, list[Run]] = {}
        for run in attempts:
            self._attempts.setdefault(run.batch_id, []).append(run)
        self._decisions: dict[str, GateDecision] = {}
        for ids in _parts(sorted(self._runs)):
            found = session.scalars(select(GateDecision).where(GateDecision.run.in_(ids)))
            self._decisions.update((decision.run, decision) for decision in found)

    def of(self, run_id: str) -> list[Handover]:
        """The handovers up to the moment at which a run is published; refused batches were the department's again."""
        return [handover for run in self._chain(self._runs[run_id]) for handover in self._of_attempt(run)]

    def judged_at(self, run_id: str) -> datetime:
        """When a run had judged its rows, UTC with zone."""
        run = self._runs[run_id]
        return utc(run.finished_at or run.started_at)

    def started_at(self, run_id: str) -> datetime:
        return utc(self._runs[run_id].started_at)

    def _chain(self, run: Run) -> list[Run]:
        """The run, and the attempts before it back to one that was published: those are the same rows on their way."""
        chain = [run]
        for earlier in reversed(self._attempts[run.batch_id]):
            if earlier.attempt >= run.attempt:
                continue
            if earlier.state in {"published", "unchanged"}:
                break
            chain.append(earlier)
        return chain[::-1]

    def _of_attempt(self, run: Run) -> Iterator[Handover]:
        decision = self._decisions.get(run.id)
        if decision is None and run.state != "held":
            yield Handover(
                utc(run.started_at), "us", "arrived" if run.state == "published" else f"arrived, {run.state}"
            )
            return
        yield Handover(utc(run.started_at), "steward", "arrived, held by a gate")
        if decision is not None:
            is_released = decision.decision == "release"
            what = "released" if is_released else "refused by the steward"
            yield Handover(utc(decision.at), "us" if is_released else "department", what)


def outages(session: LedgerSession, endpoints: Iterable[str]) -> dict[str, list[Outage]]:
    """When endpoints did not answer: from the first call without answer to the next one with an answer."""
    found: dict[str, list[Outage]] = {name: [] for name in endpoints}
    calls = (
        select(Package.endpoint, Attempt.at, Attempt.outcome)
        .join(Package, Package.id == Attempt.package)
        .where(Package.endpoint.in_(list(found)), Attempt.outcome.in_(_NO_ANSWER | _ANSWERS))
        .order_by(Attempt.at, Attempt.id)
    )
    for endpoint, at, outcome in session.execute(calls):
        _note_call(found[endpoint], utc(at), outcome in _NO_ANSWER)
    opened = select(EndpointState.endpoint, EndpointState.opened_at).where(EndpointState.opened_at.is_not(None))
    for endpoint, opened_at in session.execute(opened):
        if endpoint in found and opened_at is not None:
            _note_call(found[endpoint], utc(opened_at), failed=True)
    return found


def _note_call(known: list[Outage], at: datetime, failed: bool) -> None:
    is_down = bool(known) and known[-1].end is None
    if failed and not is_down:
        known.append(Outage(at, None))
    elif not failed and is_down:
        known[-1] = Outage(known[-1].start, at)


def of_rows(
    rows: Sequence[Outbox], arrivals: Arrivals, down: Sequence[Outage], quarantine: Quarantine | None
) -> list[Handover]:
    """The handovers of the rows of one record at one endpoint, in the order in which the rows were queued."""
    found: list[Handover] = []
    before: Outbox | None = None
    if quarantine is not None and arrivals.started_at(quarantine.run) < arrivals.started_at(rows[0].run):
        party: Party = "department" if quarantine.owner == "department" else "steward"
        found += arrivals.of(quarantine.run)
        found.append(Handover(arrivals.judged_at(quarantine.run), party, f"quarantined by {quarantine.rule}"))
    for row in rows:
        waits = before is not None and _is_out(before, row.queued_at)
        if not waits:
            # An act comes from a person, not with a run.
            found += arrivals.of(row.run) if row.act == 0 else []
            found.append(Handover(utc(row.queued_at), "us", f"version {row.version} queued"))
        elif before is not None and before.rejected_at is not None:
            found.append(Handover(utc(before.rejected_at), "us", "rejected, a newer version is here"))
        found += _under_way(row, down)
        before = row
    return found


def _is_out(row: Outbox, at: datetime) -> bool:
    """Whether the receiver had a row at an instant and had not answered."""
    return row.sent_at is not None and row.sent_at <= at and (row.rejected_at is None or row.rejected_at > at)


def _under_way(row: Outbox, down: Sequence[Outage]) -> Iterator[Handover]:
    queued = utc(row.queued_at)
    sent = None if row.sent_at is None else utc(row.sent_at)
    for outage in down:
        begins = max(outage.start, queued)
        if (sent is None or begins < sent) and (outage.end is None or outage.end > queued):
            yield Handover(begins, "receiver", "does not answer")
            if outage.end is not None and (sent is None or outage.end < sent):
                yield Handover(outage.end, "us", "answers again")
    if sent is not None:
        yield Handover(sent, "receiver", "sent")
    if row.rejected_at is not None:
        yield Handover(utc(row.rejected_at), "department", f"rejected ({row.reply_code or 'no code'})")
    elif row.withheld_at is not None and row.accepted_at is None:
        by_profile = row.withheld_rule is not None
        what = f"withheld by {row.withheld_rule}" if by_profile else "has to be done by hand"
        yield Handover(utc(row.withheld_at), "receiver" if by_profile else "steward", what)


def utc(instant: datetime) -> datetime:
    """An instant of the ledger with its zone."""
    return instant.replace(tzinfo=UTC)


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """SQLite takes a limited number of parameters in a statement."""
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
