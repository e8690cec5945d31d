"""Late records, and who had them for how long: the department, us, a steward, the receiver."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from sqlalchemy import ColumnElement, Select, and_, or_, select, tuple_
from sqlalchemy.orm import Session as LedgerSession

from pipelines.deadlines.attribution import PARTIES, Handover, Party, attribute
from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import BEIJING_TIME, deadline_instant
from pipelines.deadlines.policies import DeadlinePolicy, Policies, load_policies
from pipelines.engine.duck import Session, file_literal
from pipelines.ledger.database import now
from pipelines.ledger.models import Batch, Outbox
from pipelines.operations.attempts import run_folder
from pipelines.operations.cases import CASES_FILE
from pipelines.operations.clock_rows import overtaken, waits_for_a_person
from pipelines.operations.clock_timelines import Arrivals, Quarantine, of_rows, outages, utc
from pipelines.operations.context import Context
from pipelines.records.reading import hidden_runs

_Chain = list[Outbox]


@dataclass(frozen=True)
class LateRecord:
    """One record that came too late to one endpoint, or has not come yet.

    ``stopped_at`` ended its clock (UTC with zone), None while it runs. ``days``: working days by party, from the
    decision; ``timeline`` are the instants that they follow from.
    """

    endpoint: str
    department: str
    feed: str
    family: str
    record_key: str
    decision_date: date
    deadline: date
    stopped_at: datetime | None
    days: dict[Party, int]
    timeline: tuple[Handover, ...]

    @property
    def total(self) -> int:
        return sum(self.days.values())


@dataclass(frozen=True)
class DepartmentDelay:
    """The late records of one department: how many, how many of them still open, working days by party."""

    department: str
    records: int
    still_open: int
    days: dict[Party, int]

    @property
    def total(self) -> int:
        return sum(self.days.values())


def late_records(
    context: Context,
    first: date,
    last: date,
    *,
    department: str | None = None,
    endpoint: str | None = None,
    at: datetime | None = None,
) -> list[LateRecord]:
    """Every record whose deadline lies in ``first``..``last`` and whose clock was stopped after it, or still runs.

    The receiver's acceptance counts, and the first version that it accepted. ``at`` (UTC without zone) is the instant
    to look from. Sorted by deadline, endpoint, feed and record.
    """
    instant = utc(at or now())
    policies, calendar = load_policies(context.settings), load_calendar(context.settings)
    feeds = (
        None
        if department is None
        else [feed.feed for feed in context.catalogue.feeds.values() if feed.department == department]
    )
    with context.ledger.read() as session:
        chains = list(_chains(session, _candidates(policies, first, last, feeds, endpoint)))
        published = _published(context, session, chains, policies)
        quarantines = _quarantines(context, session, chains)
        runs = {row.run for chain in chains for row in chain} | {one.run for one in quarantines.values()}
        arrivals = Arrivals(session, runs)
        down = outages(session, {chain[0].endpoint for chain in chains})
        set_aside = _set_aside(session, chains)
    found: list[LateRecord] = []
    for chain in chains:
        policy = _policy(policies, chain[0])
        stopped_at, rows = _stop(chain, policy, arrivals, published)
        row = rows[-1]
        over = deadline_instant(row.deadline)
        is_late = (stopped_at or instant) >= over and first <= row.deadline <= last
        if not is_late or (stopped_at is None and row.id in set_aside):
            continue
        quarantine = quarantines.get((row.feed, row.record_key)) if row.act == 0 else None
        timeline = of_rows(rows, arrivals, down[row.endpoint], quarantine)
        days = attribute(timeline, calendar, policy, row.decision_date, stopped_at or instant)
        owner = context.catalogue.feeds.get(row.feed)
        name = "" if owner is None else owner.department
        record = (row.endpoint, name, row.feed, row.family, row.record_key, row.decision_date, row.deadline)
        found.append(LateRecord(*record, stopped_at, days, tuple(sorted(timeline, key=lambda one: one.at))))
    return sorted(found, key=lambda one: (one.deadline, one.endpoint, one.feed, one.record_key, one.family))


def by_department(records: Sequence[LateRecord]) -> list[DepartmentDelay]:
    """The sums of late records, by department."""
    ordered = sorted(records, key=lambda one: one.department)
    found: list[DepartmentDelay] = []
    for department, of_department in groupby(ordered, key=lambda one: one.department):
        late = list(of_department)
        days = {party: sum(one.days[party] for one in late) for party in PARTIES}
        found.append(DepartmentDelay(department, len(late), sum(one.stopped_at is None for one in late), days))
    return found


def _candidates(
    policies: Policies, first: date, last: date, feeds: Collection[str] | None, endpoint: str | None
) -> Select[str, str]:
    """Records with a row that was not accepted by the day of its deadline; the exact instant is looked at later."""
    published = [code for code, policy in policies.by_code.items() if policy.stops_at == "published"]
    by_publication: ColumnElement[bool] = Outbox.policy.in_(published)
    if policies.default.stops_at == "published":
        by_publication = or_(by_publication, Outbox.policy.is_(None))
    query = select(Outbox.endpoint, Outbox.record_key).where(
        Outbox.deadline.between(first, last),
        or_(Outbox.accepted_at.is_(None), Outbox.accepted_at >= Outbox.deadline, by_publication),
    )
    if feeds is not None:
        query = query.where(Outbox.feed.in_(feeds))
    return query if endpoint is None else query.where(Outbox.endpoint == endpoint)


def _chains(session: LedgerSession, candidates: Select[str, str]) -> Iterator[_Chain]:
    """The rows of each record at each endpoint that stand under one clock, in the order in which they were queued."""
    wanted = candidates.distinct().subquery()
    query = (
        select(Outbox)
        .join(wanted, and_(wanted.c.endpoint == Outbox.endpoint, wanted.c.record_key == Outbox.record_key))
        .order_by(Outbox.endpoint, Outbox.feed, Outbox.record_key, Outbox.act, Outbox.id)
    )
    rows = session.scalars(query)
    for _, chain in groupby(rows, key=lambda row: (row.endpoint, row.feed, row.record_key, row.act)):
        yield list(chain)


def _policy(policies: Policies, row: Outbox) -> DeadlinePolicy:
    return policies.by_code.get(row.policy, policies.default) if row.policy is not None else policies.default


def _stop(
    chain: _Chain,
    policy: DeadlinePolicy,
    arrivals: Arrivals,
    published: dict[tuple[str, str, int], datetime],
) -> tuple[datetime | None, _Chain]:
    """When the clock of a record stopped, and its rows up to the one that stopped it."""
    if policy.stops_at == "received":
        return (arrivals.started_at(chain[0].run) if chain[0].act == 0 else utc(chain[0].queued_at)), chain[:1]
    if policy.stops_at == "published":
        first = chain[0]
        instant = published.get((first.feed, first.record_key, first.act))
        rows = chain if instant is None else [row for row in chain if utc(row.queued_at) <= instant]
        return instant, rows or chain[:1]
    for place, row in enumerate(chain):
        stop = row.accepted_at
        if policy.stops_at == "delivered":
            stop = row.sent_at or row.accepted_at
        if stop is not None:
            return utc(stop), chain[: place + 1]
    return None, chain


def _published(
    context: Context, session: LedgerSession, chains: Sequence[_Chain], policies: Policies
) -> dict[tuple[str, str, int], datetime]:
    """When records were first accepted by an endpoint for the public, of those whose clock that stops."""
    public = [name for name, endpoint in context.catalogue.endpoints.items() if endpoint.audience == "public"]
    found: dict[tuple[str, str, int], datetime] = {}
    for chain in chains:
        first = chain[0]
        if _policy(policies, first).stops_at != "published":
            continue
        accepted = session.scalar(
            select(Outbox.accepted_at)
            .where(
                tuple_(Outbox.feed, Outbox.record_key, Outbox.act) == (first.feed, first.record_key, first.act),
                Outbox.endpoint.in_(public),
                Outbox.accepted_at.is_not(None),
            )
            .order_by(Outbox.accepted_at)
            .limit(1)
        )
        if accepted is not None:
            found[first.feed, first.record_key, first.act] = utc(accepted)
    return found


def _set_aside(session: LedgerSession, chains: Sequence[_Chain]) -> set[int]:
    """Rows that nobody has to send: overtaken by something newer, or withheld without a rule and without a finding."""
    quiet = [chain[-1].id for chain in chains if chain[-1].withheld_at is not None and not chain[-1].withheld_rule]
    found: set[int] = set()
    for start in range(0, len(quiet), 500):
        part = quiet[start : start + 500]
        found.update(session.scalars(select(Outbox.id).where(Outbox.id.in_(part), ~waits_for_a_person())))
    last = {chain[-1].id for chain in chains if chain[-1].accepted_at is None}
    if last:
        found |= last.intersection(session.scalars(overtaken()))
    return found


def _quarantines(
    context: Context, ledger: LedgerSession, chains: Sequence[_Chain]
) -> dict[tuple[str, str], Quarantine]:
    """(feed, record key) → where the row of a record was first seen, when it was quarantined before it was accepted.

    A record is recognised by its document number in the cases of its feed's newest published batch.
    """
    keys: dict[str, set[str]] = {}
    for chain in chains:
        if chain[0].act == 0:
            keys.setdefault(chain[0].feed, set()).add(chain[0].record_key)
    found: dict[tuple[str, str], Quarantine] = {}
    with context.session() as session:
        for feed, wanted in sorted(keys.items()):
            newest = select(Batch.run).where(Batch.feed == feed, Batch.run.is_not(None))
            run = ledger.scalar(newest.order_by(Batch.business_date.desc()).limit(1))
            file = run_folder(context, run) / CASES_FILE if run is not None else None
            if file is not None and file.is_file() and feed in context.catalogue.feeds:
                category = context.catalogue.feed(feed).category
                context.stores[category].versions(session, "all_versions", hidden_runs(context.ledger), feed)
                cases = _cases(session, f"read_parquet({file_literal(file)})", sorted(wanted))
                found.update(((feed, key), quarantine) for key, quarantine in cases)
    return found


def _cases(session: Session, cases: str, wanted: Sequence[str]) -> list[tuple[str, Quarantine]]:
    rows = session.rows(
        f"""
        SELECT v.record_key, min_by(c.first_run, c.first_seen), min_by(c.owner, c.first_seen),
               min_by(c.rule, c.first_seen)
        FROM (SELECT DISTINCT record_key, document_key FROM all_versions
              WHERE list_contains($wanted, record_key) AND document_key IS NOT NULL) v
        JOIN {cases} c ON c.document_key = v.document_key AND c.kind = 'row' AND c.severity = 'block'
        GROUP BY v.record_key
        """,
        {"wanted": list(wanted)},
    )
    return [(str(key), Quarantine(str(run), str(owner), str(rule))) for key, run, owner, rule in rows]


def today_of(at: datetime) -> date:
    """The day in China of an instant (UTC without zone)."""
    return utc(at).astimezone(BEIJING_TIME).date()
