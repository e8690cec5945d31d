"""Open deadlines worked out anew when the calendar or a limit has changed, with one audit line for each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Date,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session as LedgerSession

from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.deadlines.clock import Deadline, deadline
from pipelines.deadlines.policies import Policies, load_policies
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import DeadlineChange, RecordAct
from pipelines.ledger.models import Outbox
from pipelines.operations.context import Context
from pipelines.operations.people import name_of, reason_of

BY_ITSELF = "guiji"
# What has one deadline: records of one decision date, or what one act asks for.
_KEY = ("endpoint", "category", "feed", "act", "decision_date")
# Lives as long as the transaction that moves deadlines by it.
_MOVES = Table(
    "deadline_move",
    MetaData(),
    *(Column(name, String(100), primary_key=True) for name in _KEY[:3]),
    Column("act", Integer, primary_key=True, autoincrement=False),
    Column("decision_date", Date, primary_key=True),
    Column("deadline", Date),
    Column("provisional", Boolean),
    Column("policy", String(60)),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class Move:
    """Open records whose deadline, limit or certainty changes.

    ``key``: endpoint, category, feed, act (0 for content), decision date. ``begins``: the first day of the clock.
    """

    key: tuple[str, str, str, int, date]
    begins: date
    before: date
    provisional_before: bool
    policy_before: str | None
    after: Deadline
    policy: str
    records: int


@dataclass(frozen=True)
class Recomputation:
    """What working out all open deadlines anew comes to."""

    fingerprint: str
    examined: int
    moves: tuple[Move, ...]

    @property
    def changed(self) -> int:
        return sum(move.records for move in self.moves)

    @property
    def moved(self) -> int:
        """Those whose deadline is another day, not only more certain or under another limit."""
        return sum(move.records for move in self.moves if move.before != move.after.date)

    @property
    def final(self) -> int:
        """Those whose deadline is no estimate any more."""
        return sum(move.records for move in self.moves if move.provisional_before and not move.after.provisional)

    def details(self) -> list[dict[str, Any]]:
        """The moves over all endpoints and feeds, as the audit line keeps them."""
        counts: dict[tuple[Any, ...], int] = defaultdict(int)
        for move in self.moves:
            days = (move.begins.isoformat(), move.before.isoformat(), move.after.date.isoformat())
            counts[(move.policy, move.policy_before, *days, move.after.provisional)] += move.records
        names = ("policy", "policy_before", "begins", "before", "after", "provisional")
        ordered = sorted(counts.items(), key=lambda item: (item[0][2], item[0][0], item[0][3]))
        return [{**dict(zip(names, key, strict=True)), "records": count} for key, count in ordered]


def fingerprint_of(calendar: WorkingCalendar, policies: Policies) -> str:
    """Changes whenever a deadline may change."""
    return f"{calendar.fingerprint}-{policies.fingerprint}"


def deadlines_are_current(context: Context) -> bool:
    """Whether open deadlines rest on the calendar and the limits of this moment."""
    calendar, policies = load_calendar(context.settings), load_policies(context.settings, context.catalogue)
    with context.ledger.read() as session:
        last = _last_change(session)
    return last is not None and last.after == fingerprint_of(calendar, policies)


def keep_deadlines_current(context: Context) -> DeadlineChange | None:
    """Work open deadlines out anew if the calendar or a limit has changed since that was done last."""
    if deadlines_are_current(context):
        return None
    return recompute_deadlines(context, BY_ITSELF, "the calendar or the limits have changed")


def recompute_deadlines(context: Context, by: str, why: str) -> DeadlineChange:
    """Give every record that is owed the deadline of this moment's calendar and limits; returns the audit line.

    One transaction. Where nothing changed since the last audit line, that one is returned and none is added.
    """
    with context.ledger.write() as session:
        _hold_outbox(session)
        calendar, policies = load_calendar(context.settings), load_policies(context.settings, context.catalogue)
        found = _recomputation(context, session, calendar, policies)
        last = _last_change(session)
        if last is not None and last.after == found.fingerprint and not found.moves:
            return last
        _apply(session, found.moves)
        change = DeadlineChange(
            at=now(),
            by=name_of(by),
            why=reason_of(why),
            before=last.after if last is not None else None,
            after=found.fingerprint,
            examined=found.examined,
            changed=found.changed,
            details=found.details(),
        )
        session.add(change)
    return change


def preview_deadlines(context: Context, calendar: WorkingCalendar) -> Recomputation:
    """What :func:`recompute_deadlines` would change if ``calendar`` were in force."""
    policies = load_policies(context.settings, context.catalogue)
    with context.ledger.read() as session:
        return _recomputation(context, session, calendar, policies)


def deadline_changes(context: Context) -> Sequence[DeadlineChange]:
    """All audit lines, the newest first."""
    with context.ledger.read() as session:
        return session.scalars(select(DeadlineChange).order_by(DeadlineChange.id.desc())).all()


def count_provisional(session: LedgerSession) -> int:
    """Records owed whose deadline is an estimate."""
    query = select(func.count()).where(_is_open(), Outbox.deadline_provisional)
    return session.scalar(query) or 0


def hold_deadlines(session: LedgerSession) -> None:
    """Call this before working out deadlines that this transaction queues.

    A recomputation then either waits for this transaction and sees its rows, or has ended, and the calendar that is
    loaded from now on is the one that it used. On SQLite there is one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE outbox IN ROW EXCLUSIVE MODE"))


def _hold_outbox(session: LedgerSession) -> None:
    """Wait for whoever writes to the outbox, and let nobody else write to it until this transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE"))
        # One pass over the outbox. Without fresh statistics PostgreSQL would make one for every decision date.
        session.execute(text("SET LOCAL enable_nestloop TO off"))


def _last_change(session: LedgerSession) -> DeadlineChange | None:
    return session.scalars(select(DeadlineChange).order_by(DeadlineChange.id.desc()).limit(1)).first()


def _is_open() -> ColumnElement[bool]:
    return Outbox.accepted_at.is_(None)


def _recomputation(
    context: Context, session: LedgerSession, calendar: WorkingCalendar, policies: Policies
) -> Recomputation:
    key = (Outbox.endpoint, Outbox.category, Outbox.feed, Outbox.act, Outbox.decision_date)
    told = (Outbox.deadline, Outbox.deadline_provisional, Outbox.policy)
    # All rows of an act ask for the same.
    query = select(*key, *told, func.max(Outbox.family), func.max(Outbox.operation), func.count()).where(_is_open())
    rows: Any = session.execute(query.group_by(*key, *told)).all()
    departments, effective = department_of_feeds(context), _effective_days(session)
    known: dict[tuple[str, date], Deadline] = {}
    examined, moves = 0, []
    for endpoint, category, feed, act, decided, before, provisional, code, family, operation, count in rows:
        begins = effective.get(act, decided)
        policy = policies.applying(
            category=category,
            begins=begins,
            endpoint=endpoint,
            department=departments.get(feed),
            operation="new" if family == "content" else operation,
        )
        if (policy.code, begins) not in known:
            known[policy.code, begins] = deadline(calendar, policy, begins)
        after = known[policy.code, begins]
        examined += count
        if (before, bool(provisional), code) != (after.date, after.provisional, policy.code):
            group = (endpoint, category, feed, act, decided)
            moves.append(Move(group, begins, before, bool(provisional), code, after, policy.code, count))
    return Recomputation(fingerprint_of(calendar, policies), examined, tuple(moves))


def _effective_days(session: LedgerSession) -> dict[int, date]:
    """Act → the day on which its clock begins, of all acts that are still owed somewhere."""
    owed = select(Outbox.act).where(_is_open(), Outbox.act != 0)
    query = select(RecordAct.id, RecordAct.effective_on).where(RecordAct.id.in_(owed))
    return dict(session.execute(query).all())


def department_of_feeds(context: Context) -> Mapping[str, str]:
    """Feed → department; a feed whose file is wrong belongs to the folder that it lies in."""
    broken = {
        feed: Path(error.file).parent.name for feed, error in context.catalogue.broken_feeds.items() if error.file
    }
    return broken | {code: feed.department for code, feed in context.catalogue.feeds.items()}


def _apply(session: LedgerSession, moves: Sequence[Move]) -> None:
    """One pass over the open rows, however many of them move."""
    if not moves:
        return
    targets = {
        move.key: {"deadline": move.after.date, "provisional": move.after.provisional, "policy": move.policy}
        for move in moves
    }
    connection = session.connection()
    _MOVES.create(connection)
    connection.execute(insert(_MOVES), [{**dict(zip(_KEY, key, strict=True)), **to} for key, to in targets.items()])
    is_theirs = and_(
        Outbox.endpoint == _MOVES.c.endpoint,
        Outbox.category == _MOVES.c.category,
        Outbox.feed == _MOVES.c.feed,
        Outbox.act == _MOVES.c.act,
        Outbox.decision_date == _MOVES.c.decision_date,
    )
    differs = or_(
        Outbox.deadline != _MOVES.c.deadline,
        Outbox.deadline_provisional != _MOVES.c.provisional,
        Outbox.policy.is_distinct_from(_MOVES.c.policy),
    )
    new = {"deadline": _MOVES.c.deadline, "deadline_provisional": _MOVES.c.provisional, "policy": _MOVES.c.policy}
    connection.execute(update(Outbox).where(_is_open(), is_theirs, differs).values(new))
    _MOVES.drop(connection)
