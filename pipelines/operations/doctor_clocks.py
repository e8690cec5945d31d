"""The doctor looks at clocks: this machine's, the database's, the calendar, the watch over deadlines."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text

from pipelines.deadlines.calendar import load_calendar
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import Attempt, Heartbeat, Run
from pipelines.operations.calendar_views import calendar_notice
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.doctor_findings import Finding, Patient
from pipelines.operations.watchdog import check_heart

SKEW_WARNING, SKEW_PROBLEM = timedelta(seconds=2), timedelta(minutes=1)
SET_THE_CLOCK = "have both machines set their clocks by NTP (chrony, systemd-timesyncd)"


def check_clocks(patient: Patient) -> list[Finding]:
    """This machine against the database, and against what the ledger noted last: time only goes forward."""
    findings = []
    with patient.ledger.read() as session:
        if session.get_bind().dialect.name == "postgresql":
            before = now()
            theirs: datetime = session.execute(text("SELECT clock_timestamp() AT TIME ZONE 'UTC'")).scalar_one()
            # They answered somewhere between the two looks at our clock.
            skew = abs(theirs - (before + (now() - before) / 2))
            findings.append(_skew(skew))
        noted = (
            select(func.max(Run.started_at)),
            select(func.max(Run.finished_at)),
            select(func.max(Heartbeat.at)),
            select(func.max(EndpointState.answered_at)),
            select(Attempt.at).order_by(Attempt.id.desc()).limit(1),
        )
        instants = [instant for query in noted if (instant := session.scalar(query)) is not None]
    ahead = max(instants, default=now()) - now()
    if ahead > SKEW_PROBLEM:
        findings.append(
            Finding(
                "clocks",
                "problem",
                f"the newest entry of the ledger lies {_span(ahead)} ahead of this machine: its clock went backwards, "
                "or another machine's is fast",
                f"{SET_THE_CLOCK}, and let nothing run until the clock has passed {max(instants):%Y-%m-%d %H:%M} UTC",
            )
        )
    if not findings:
        findings.append(Finding("clocks", "ok", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; the ledger is not ahead"))
    return findings


def check_time_zone(_patient: Patient) -> list[Finding]:
    """Any will do: instants are kept in UTC, days are those of Shanghai."""
    zone = os.environ.get("TZ") or time.tzname[0]
    return [
        Finding("time_zone", "ok", f"this process: {zone}; days are those of Shanghai: today is {today_in_shanghai()}")
    ]


def check_calendar(patient: Patient) -> list[Finding]:
    """The year in force is loaded, and from November on the next one."""
    today = today_in_shanghai()
    calendar = load_calendar(patient.settings)
    notice = calendar_notice(patient.context, today)
    if notice is None:
        return [Finding("calendar", "ok", f"the working days of {today.year} are loaded")]
    state, remedy = ("warning" if calendar.knows(today.year) else "problem"), "run 'guiji calendar import NOTICE'"
    return [Finding("calendar", "warning" if state == "warning" else "problem", notice, remedy)]


def check_watch(patient: Patient) -> list[Finding]:
    """Somebody watches the deadlines, and sees all of them."""
    if patient.catalogue.notices is None:
        return [Finding("watch", "warning", "nobody is to be warned", "describe who is in schemas/notices.yaml")]
    heart = check_heart(patient.context)
    if heart.problems:
        remedy = "start the DAG clock_watch, or 'guiji watch' every quarter of an hour"
        # Where nothing ever ran, nothing is due either.
        return [Finding("watch", "warning" if heart.at is None else "problem", "; ".join(heart.problems), remedy)]
    return [Finding("watch", "ok", f"last at {heart.at:%Y-%m-%d %H:%M} UTC, {heart.examined} open records")]


def _skew(skew: timedelta) -> Finding:
    found = f"the database's clock and ours are {skew.total_seconds():.1f} s apart"
    if skew > SKEW_WARNING:
        return Finding("clocks", "problem" if skew > SKEW_PROBLEM else "warning", found, SET_THE_CLOCK)
    return Finding("clocks", "ok", found)


def _span(span: timedelta) -> str:
    return f"{int(span.total_seconds() // 60)} minutes"
