"""Single records whose clock runs, the most urgent first: what each is called, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import working_days_remaining
from pipelines.deadlines.policies import load_policies
from pipelines.dedupe.keys import PERSON_KIND
from pipelines.engine.duck import identifier
from pipelines.identity.masking import mask_document_number, mask_text
from pipelines.ledger.database import now
from pipelines.ledger.models import Outbox
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.clock_rows import (
    OWNER,
    WITH_US,
    closed_endpoints,
    earlier_rows,
    give_memory,
    is_correction,
    owed,
    waiting_for,
)
from pipelines.operations.context import Context
from pipelines.records.reading import hidden_runs


@dataclass(frozen=True)
class OpenRecord:
    """One record version at one endpoint. ``days_left`` are working days, negative when it is overdue.

    ``why`` is the rule or the reply behind ``waiting``, if there is one. The document number is masked.
    """

    endpoint: str
    department: str
    feed: str
    family: str
    record_key: str
    version: int
    document_number: str | None
    decision_date: date
    deadline: date
    provisional: bool
    days_left: int
    waiting: str
    since: datetime
    owner: str
    why: str | None

    @property
    def command(self) -> str:
        """What shows the whole way of the record."""
        return f"guiji trace {self.record_key[:12]}"


def list_open(
    context: Context,
    today: date | None = None,
    *,
    overdue: bool = False,
    endpoint: str | None = None,
    department: str | None = None,
    until: date | None = None,
    most: int = 50,
    at: datetime | None = None,
) -> list[OpenRecord]:
    """At most ``most`` open records, by deadline; ``overdue`` only, or those due by ``until``, both if wanted."""
    day = today or today_in_shanghai()
    earlier = earlier_rows()
    query = (
        select(Outbox, waiting_for(earlier))
        .outerjoin(earlier, earlier.c.row == Outbox.id)
        .where(owed(context, load_policies(context.settings)), is_correction(earlier).is_not(True))
        .order_by(Outbox.deadline, Outbox.id)
        .limit(most)
    )
    if overdue:
        query = query.where(Outbox.deadline < day)
    if until is not None:
        query = query.where(Outbox.deadline <= until)
    if endpoint is not None:
        query = query.where(Outbox.endpoint == endpoint)
    if department is not None:
        feeds = [feed.feed for feed in context.catalogue.feeds.values() if feed.department == department]
        query = query.where(Outbox.feed.in_(feeds))
    with context.ledger.read() as session:
        give_memory(session)
        closed = closed_endpoints(context, session, at or now())
        rows = [
            (row, closed.get(row.endpoint, code) if code in WITH_US else code) for row, code in session.execute(query)
        ]
    numbers = document_numbers(context, [row for row, _ in rows])
    calendar = load_calendar(context.settings)
    return [
        OpenRecord(
            row.endpoint,
            _department(context, row.feed),
            row.feed,
            row.family,
            row.record_key,
            row.version,
            numbers.get((row.feed, row.record_key)),
            row.decision_date,
            row.deadline,
            row.deadline_provisional,
            working_days_remaining(calendar, row.deadline, day).days,
            waiting,
            row.rejected_at or row.withheld_at or row.sent_at or row.queued_at,
            OWNER[waiting],
            row.withheld_rule or row.withheld_reason or row.reply_code,
        )
        for row, waiting in rows
    ]


def document_numbers(context: Context, rows: Sequence[Any]) -> Mapping[tuple[str, str], str | None]:
    """(feed, record key) → document number as it may be shown; ``rows`` have category, feed and record_key."""
    wanted: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        wanted.setdefault(row.category, set()).add((row.feed, row.record_key))
    found: dict[tuple[str, str], str | None] = {}
    with context.session() as session:
        for code, keys in wanted.items():
            roles = context.catalogue.categories[code].roles
            number, kind = identifier(roles.document_number), identifier(roles.subject_kind)
            context.stores[code].versions(session, "all_versions", hidden_runs(context.ledger))
            stored = session.rows(
                f"SELECT feed, record_key, arg_max({number}, version), arg_max({kind}, version) FROM all_versions "
                "WHERE list_contains($keys, record_key) GROUP BY feed, record_key",
                {"keys": sorted({key for _, key in keys})},
            )
            for feed, key, document, subject_kind in stored:
                is_person = subject_kind == PERSON_KIND
                found[feed, key] = mask_document_number(document) if is_person else mask_text(document)
    return found


def _department(context: Context, feed: str) -> str:
    found = context.catalogue.feeds.get(feed)
    return "" if found is None else found.department
