"""The doctor looks at work: runs that died, locks that are held, what lies about in scratch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from pipelines.ledger.database import now
from pipelines.ledger.models import Run
from pipelines.operations.doctor_findings import Finding, Patient
from pipelines.operations.housekeeping import LEFT_IN_LANDING, LEFT_IN_SCRATCH
from pipelines.records.sweep import UNFINISHED

LONG = timedelta(days=1)
KERNEL_LOCKS = Path("/proc/locks")


def check_runs(patient: Patient) -> list[Finding]:
    """Runs that stopped without an end, and what crashed ones left in the record store."""
    held = _holders(patient)
    with patient.ledger.read() as session:
        stuck = [
            run
            for run in session.scalars(select(Run).where(Run.state == "running", Run.started_at < now() - LONG))
            if run.feed not in held
        ]
        left = session.scalars(
            select(Run.feed).where(Run.state.in_(UNFINISHED[:2]), Run.swept.is_(False), Run.started_at < now() - LONG)
        ).all()
    findings = [
        Finding(
            "runs",
            "warning",
            f"{run.id} began {now() - run.started_at} ago and nobody works on it",
            f"run it again: guiji run --feed {run.feed} --date {run.business_date}",
        )
        for run in stuck
    ]
    if left:
        found = f"crashed runs of {', '.join(sorted(set(left)))} left files that nobody reads"
        findings.append(Finding("runs", "warning", found, "the feed's next run takes them away"))
    return findings or [Finding("runs", "ok", "no run was left unfinished for a day")]


def check_locks(patient: Patient) -> list[Finding]:
    """Which feeds are being worked on; asked of the kernel, so that nobody is kept out by the question."""
    if not KERNEL_LOCKS.exists():
        return [Finding("locks", "ok", "this system does not tell who holds a lock")]
    held = _holders(patient)
    if not held:
        return [Finding("locks", "ok", "no feed is being worked on")]
    told = ", ".join(f"{feed} (process {pid})" for feed, pid in sorted(held.items()))
    return [Finding("locks", "ok", f"being worked on: {told}")]


def check_scratch(patient: Patient) -> list[Finding]:
    """What dead processes left in scratch and in the landing."""
    places = ((patient.settings.scratch, LEFT_IN_SCRATCH), (patient.settings.landing, LEFT_IN_LANDING))
    old = [path for place, patterns in places for one in patterns for path in place.glob(one) if _age(path) > LONG]
    if not old:
        return [Finding("scratch", "ok", "nothing was left lying about for a day")]
    remedy = "run 'guiji housekeeping'; the DAG housekeeping does it every night"
    return [Finding("scratch", "warning", f"{len(old)} leftovers, such as {old[0]}", remedy)]


def _holders(patient: Patient) -> dict[str, int]:
    """Feed → process that holds its lock."""
    if not KERNEL_LOCKS.exists() or not patient.settings.locks.exists():
        return {}
    locks = ((path, path.stem) for path in patient.settings.locks.glob("*.lock"))
    feeds = {path.stat().st_ino: feed for path, feed in locks if feed in patient.catalogue.feeds}
    held = {}
    for line in KERNEL_LOCKS.read_text(encoding="ascii").splitlines():
        words = line.split()
        # number: FLOCK ADVISORY WRITE process device:inode from to; who waits has an arrow before FLOCK.
        if len(words) == 8 and words[1] == "FLOCK":
            inode = int(words[5].rsplit(":", 1)[1])
            if inode in feeds:
                held[feeds[inode]] = int(words[4])
    return held


def _age(path: Path) -> timedelta:
    try:
        changed = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return timedelta()
    return datetime.now(UTC) - changed
