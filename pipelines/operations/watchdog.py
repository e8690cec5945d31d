"""The second look at the clock, independent of the first: does the watch live, and does it see everything?

It is meant to be started by something other than what starts the watch (cron, a systemd timer), because whatever
stops the one must not stop the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.errors import CatalogueError, NoticeError
from pipelines.ledger import database
from pipelines.ledger.delivery_models import ClockNotice
from pipelines.ledger.models import Heartbeat, Outbox
from pipelines.operations.channels import channels_of
from pipelines.operations.clock_watch import WATCH, deliver_digest
from pipelines.operations.context import Context
from pipelines.reporting.clock_digest import stalled_digest

STALLED = "stalled"
REPEAT = timedelta(hours=1)


@dataclass(frozen=True)
class Heart:
    """How the clock is doing: its last heartbeat, and what is wrong with it in both languages, if anything."""

    at: datetime | None
    examined: int
    problems: list[str]
    problems_zh: list[str]


def check_heart(context: Context, at: datetime | None = None) -> Heart:
    """Look at the heartbeat of the watch. ``at`` is UTC without zone, now unless given.

    Ill is a watch that has never run, that has been silent for too long or beats in the future, and one that examined
    fewer records than are open since before its last beat.
    """
    instant = at or database.now()
    notices = context.catalogue.notices
    if notices is None:
        raise CatalogueError("nobody is to be warned", remedy="describe who is in schemas/notices.yaml")
    limit = timedelta(minutes=notices.watchdog.minutes)
    with context.ledger.read() as session:
        beat = session.get(Heartbeat, WATCH)
        if beat is None:
            return Heart(
                None,
                0,
                ["the clock has never been watched; start the DAG clock_watch or 'guiji watch'"],
                ["时限监测从未运行"],
            )
        # What waits now and waited then was there to be seen; counted in another way than the watch counts.
        waiting = session.scalar(
            select(func.count())
            .select_from(Outbox)
            .where(
                Outbox.queued_at < beat.at,
                Outbox.accepted_at.is_(None),
                Outbox.rejected_at.is_(None),
                Outbox.withheld_at.is_(None),
            )
        )
    problems, problems_zh = [], []
    silence = instant - beat.at
    if silence > limit:
        minutes = int(silence.total_seconds() // 60)
        problems.append(f"the clock has not been watched for {minutes} minutes")
        problems_zh.append(f"最近一次监测在{_beijing(beat.at)}，已中断{minutes}分钟")
    if silence < -limit:
        problems.append("the last heartbeat lies in the future; a clock of this machine or of the database is wrong")
        problems_zh.append(f"最近一次监测的时间（{_beijing(beat.at)}）晚于当前时间，系统时钟有误")
    if (waiting or 0) > beat.examined:
        problems.append(f"{waiting} records were waiting before the last watch, and it examined {beat.examined} only")
        problems_zh.append(f"最近一次监测只检查了{beat.examined}条，而当时待报送的至少有{waiting}条")
    return Heart(beat.at, beat.examined, problems, problems_zh)


def shout(context: Context, heart: Heart, at: datetime | None = None) -> list[str]:
    """Tell the offices of the watchdog what is wrong, once an hour each; what could not be told."""
    instant = at or database.now()
    notices = context.catalogue.notices
    if notices is None or not heart.problems:
        return []
    today = instant.replace(tzinfo=UTC).astimezone(BEIJING_TIME).date()
    failures: list[str] = []
    for code in notices.watchdog.to:
        office = notices.offices[code]
        digest = stalled_digest(office.name_zh, today, heart.problems_zh)
        for channel in channels_of(office, notices.mail_server):
            with context.ledger.read() as session:
                last = session.scalar(
                    select(func.max(ClockNotice.sent_at)).where(
                        ClockNotice.addressee == code,
                        ClockNotice.channel == channel,
                        ClockNotice.level.startswith(STALLED),
                    )
                )
            if last is not None and instant - last < REPEAT:
                continue
            try:
                deliver_digest(context, channel, f"{code}-{STALLED}", office, notices.mail_server, today, digest)
            except NoticeError as error:
                failures.append(f"{code}: {error}")
                continue
            with context.ledger.write() as session:
                session.add(
                    ClockNotice(
                        day=today,
                        addressee=code,
                        level=f"{STALLED} {instant:%H:%M:%S}",
                        channel=channel,
                        records=0,
                        digest="",
                        created_at=instant,
                        attempts=1,
                        sent_at=instant,
                    )
                )
    return failures


def _beijing(instant: datetime) -> str:
    return f"{instant.replace(tzinfo=UTC).astimezone(BEIJING_TIME):%Y-%m-%d %H:%M}"
