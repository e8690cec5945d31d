"""The watch over all deadlines, every quarter of an hour: a heartbeat, then one digest for everybody concerned."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.notices import DEPARTMENT, Addressee, Level, MailServer, Notices
from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.delivery.exclusive import exclusive
from pipelines.errors import NoticeError, RunConflictError
from pipelines.ledger import database
from pipelines.ledger.delivery_models import ClockNotice
from pipelines.ledger.models import Heartbeat, Outbox
from pipelines.operations.channels import FILE, MAIL, channels_of, send_mail, send_webhook, write_file
from pipelines.operations.clock import OpenGroup, open_groups
from pipelines.operations.clock_before import QUARANTINE, NotYetQueued, not_yet_queued
from pipelines.operations.clock_rows import BREAKER, MANUAL, PROFILE, PUBLICATION, RECEIPT, REJECTED
from pipelines.operations.context import Context
from pipelines.operations.deadline_changes import keep_deadlines_current
from pipelines.reporting.clock_digest import Digest, DigestLine, department_digest, office_digest

WATCH = "clock_watch"
# Whose turn it is, as a digest says it; what is not listed is ours.
_TURN = {
    REJECTED: "department",
    PROFILE: "upper",
    MANUAL: "upper",
    RECEIPT: "receiver",
    BREAKER: "receiver",
    PUBLICATION: "receiver",
}
NOT_QUEUED_ZH = "尚未入库"
_FAMILY_ZH = {"content": "", "withdrawal": "（撤回）", "objection": "（异议标注）"}


@dataclass(frozen=True)
class Watched:
    """What one watch saw: ``examined`` open records, how many per level, digests sent now, and what could not be."""

    examined: int
    levels: dict[str, int]
    sent: int
    problems: list[str]


@dataclass(frozen=True)
class _Told:
    """A digest on its way: to whom, how urgent its worst line is, what it says."""

    code: str
    addressee: Addressee
    level: str
    digest: Digest


def watch_clock(context: Context, at: datetime | None = None) -> Watched:
    """Examine every open record, leave a heartbeat, and warn whom it concerns.

    ``at`` is UTC without zone, now unless given. Each addressee gets one digest a day, and one more when it got worse.
    A digest that a channel did not take is tried again by the next watch; ``problems`` tells of it.
    """
    instant = at or database.now()
    today = instant.replace(tzinfo=UTC).astimezone(BEIJING_TIME).date()
    keep_deadlines_current(context)
    with context.ledger.read() as session:
        examined = session.scalar(select(func.count()).select_from(Outbox).where(_is_open())) or 0
    groups = open_groups(context, instant)
    with context.ledger.write() as session:
        beat(session, WATCH, instant, examined)
    notices = context.catalogue.notices
    if notices is None:
        return Watched(examined, {}, 0, [])
    calendar = load_calendar(context.settings)
    lines = _lines(context, notices, calendar, today, groups, not_yet_queued(context))
    levels: dict[str, int] = defaultdict(int)
    for _, line in lines:
        levels[line.level] += line.records
    try:
        with exclusive(context.ledger.engine, WATCH):
            sent, problems = _tell_all(context, notices, today, lines, instant)
    except RunConflictError:
        # Another watch is telling the same things at this moment.
        sent, problems = 0, []
    return Watched(examined, dict(levels), sent, problems)


def _tell_all(
    context: Context, notices: Notices, today: date, lines: list[tuple[str, DigestLine]], at: datetime
) -> tuple[int, list[str]]:
    """Send every digest over every channel; how many were sent, and what could not be."""
    sent, problems = 0, []
    for told in _digests(context, notices, today, lines):
        for channel in channels_of(told.addressee, notices.mail_server):
            try:
                sent += _tell(context, notices, today, told, channel, at)
            except NoticeError as error:
                problems.append(f"{told.code}: {error}")
    return sent, problems


def beat(session: LedgerSession, name: str, at: datetime, examined: int) -> None:
    """Leave the sign of life of something that must not die silently."""
    found = session.get(Heartbeat, name)
    if found is None:
        session.add(Heartbeat(name=name, at=at, examined=examined))
    else:
        found.at, found.examined = at, examined


def _is_open() -> ColumnElement[bool]:
    """Everything that an endpoint has not accepted, whether its clock runs or something newer has overtaken it."""
    is_withheld = and_(Outbox.withheld_at.is_not(None), Outbox.withheld_rule.is_(None))
    return and_(Outbox.accepted_at.is_(None), not_(is_withheld))


def working_days_left(calendar: WorkingCalendar, today: date, deadline: date) -> int | None:
    """Working days after today up to the deadline; None when it is over."""
    return None if deadline < today else calendar.working_days_between(today, deadline)


def _lines(
    context: Context,
    notices: Notices,
    calendar: WorkingCalendar,
    today: date,
    groups: Iterable[OpenGroup],
    before: Iterable[NotYetQueued],
) -> list[tuple[str, DigestLine]]:
    """(department code, line), the most urgent first; what is farther away than every level is left out."""
    counts: dict[tuple[str, str, str, str, str], int] = defaultdict(int)
    earliest: dict[tuple[str, str, str, str, str], date] = {}
    level_of: dict[date, Level | None] = {}
    for group in groups:
        deadline = group.deadline
        if deadline not in level_of:
            level_of[deadline] = notices.level_of(working_days_left(calendar, today, deadline))
        level = level_of[deadline]
        if level is None or group.correction:
            continue
        key = (level.level, group.feed, group.endpoint, group.family, _TURN.get(group.waiting, "us"))
        counts[key] += group.records
        earliest[key] = min(earliest.get(key, deadline), deadline)
    for one in before:
        if one.deadline is None:
            continue
        level = notices.level_of(working_days_left(calendar, today, one.deadline))
        if level is not None:
            mends = one.waiting == QUARANTINE and one.owner == "department"
            key = (level.level, one.feed, "", "content", "quarantine" if mends else "steward")
            counts[key] += one.rows
            earliest[key] = min(earliest.get(key, one.deadline), one.deadline)
    names = {level.level: level.name_zh for level in notices.levels}
    found = []
    for key in sorted(counts, key=lambda key: (-notices.rank(key[0]), earliest[key], key)):
        level_code, feed, endpoint, family, waiting_for = key
        department, department_zh, feed_zh = _names(context, feed)
        described = context.catalogue.endpoints.get(endpoint)
        line = DigestLine(
            level=level_code,
            level_zh=names[level_code],
            department_zh=department_zh,
            feed_zh=feed_zh + _FAMILY_ZH[family],
            endpoint_zh=described.name_zh if described else endpoint or NOT_QUEUED_ZH,
            earliest=earliest[key],
            waiting_for=waiting_for,
            records=counts[key],
        )
        found.append((department, line))
    return found


def _names(context: Context, feed: str) -> tuple[str, str, str]:
    """Department code, department and feed in Chinese; a feed whose file is gone goes by its code."""
    described = context.catalogue.feeds.get(feed)
    if described is None:
        return feed, feed, feed
    return described.department, context.catalogue.department_of(described).name_zh, described.name_zh


def _digests(context: Context, notices: Notices, today: date, lines: list[tuple[str, DigestLine]]) -> Iterable[_Told]:
    to = {level.level: level.to for level in notices.levels}
    departments = context.catalogue.departments
    for code in dict.fromkeys(department for department, _ in lines):
        theirs = [line for department, line in lines if department == code and DEPARTMENT in to[line.level]]
        if theirs and code in departments:
            told = departments[code]
            yield _Told(code, told.notify, theirs[0].level, department_digest(told.name_zh, today, theirs))
    for code, office in notices.offices.items():
        theirs = [line for _, line in lines if code in to[line.level]]
        if theirs:
            yield _Told(code, office, theirs[0].level, office_digest(office.name_zh, today, theirs))


def _tell(context: Context, notices: Notices, today: date, told: _Told, channel: str, at: datetime) -> int:
    """Send one digest over one channel unless as much was told today already; how many were sent (0 or 1)."""
    notice = _claim(context, notices, today, told, channel, at)
    if notice is None:
        return 0
    problem: NoticeError | None = None
    try:
        deliver_digest(context, channel, told.code, told.addressee, notices.mail_server, today, told.digest)
    except NoticeError as error:
        problem = error
    with context.ledger.write() as session:
        row = session.get_one(ClockNotice, notice)
        row.attempts += 1
        row.problem = problem.problem[:200] if problem else None
        row.sent_at = None if problem else at
    if problem is not None:
        raise problem
    return 1


def _claim(context: Context, notices: Notices, today: date, told: _Told, channel: str, at: datetime) -> int | None:
    """The notice to be sent, made if need be; None when the day's addressee knows it already."""
    mine = select(ClockNotice).where(
        ClockNotice.day == today, ClockNotice.addressee == told.code, ClockNotice.channel == channel
    )
    with context.ledger.write() as session:
        known = list(session.scalars(mine))
        if any(one.sent_at and notices.rank(one.level) >= notices.rank(told.level) for one in known):
            return None
        notice = next((one for one in known if one.level == told.level), None)
        if notice is None:
            notice = ClockNotice(
                day=today, addressee=told.code, level=told.level, channel=channel, created_at=at, attempts=0
            )
            session.add(notice)
        notice.records = told.digest.records
        notice.digest = hashlib.sha256(told.digest.body.encode()).hexdigest()
        session.flush()
        return notice.id


def deliver_digest(
    context: Context,
    channel: str,
    code: str,
    addressee: Addressee,
    server: MailServer | None,
    day: date,
    digest: Digest,
) -> None:
    """Send a digest over one channel; a :class:`NoticeError` when it was not taken."""
    if channel == FILE:
        write_file(context.settings.notices, day, code, digest)
    elif channel == MAIL and server is not None:
        send_mail(server, addressee.mail, digest, f"{code} {day}")
    else:
        send_webhook(addressee, digest)


def watch_result(watched: Watched) -> Mapping[str, Any]:
    """For the DAG and the command: the counts; raises :class:`NoticeError` when somebody could not be told."""
    if watched.problems:
        raise NoticeError(
            f"{len(watched.problems)} warnings could not be sent, the first: {watched.problems[0]}",
            remedy="the next watch tries again; until then read the digests in var/notices",
        )
    return {**watched.levels, "examined": watched.examined, "sent": watched.sent}
