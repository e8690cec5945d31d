"""What a feed's scorecard says beside its figures: repairs, rejections, deadlines, exclusions, extracts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.repair_rules import RepairRule
from pipelines.engine.duck import Session
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import DeliveryFinding, Extract, Outbox, Run
from pipelines.reporting.batches import of_batch
from pipelines.reporting.redaction import WITHHELD, redact
from pipelines.reporting.run_files import RunFiles, run_files
from pipelines.reporting.source_columns import all_source_columns
from pipelines.settings import Settings

SHOWN_DEADLINES = 10
SHOWN_REJECTIONS = 20
# A receiver's sentence may name a value of a code list, a date or an amount; that tells nothing about anybody.
_TELLING_NOTHING = frozenset({"enum", "enum_multi", "date", "amount"})


@dataclass(frozen=True)
class RepairCount:
    """Cells that one repair changed, in all and by Chinese field name, the most first; ``name`` in Chinese."""

    rule: str
    name: str
    name_en: str
    cells: int
    fields: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class RejectionCount:
    """Rejections of one kind; ``message`` holds no value of any record."""

    endpoint: str
    rule: str
    field: str
    message: str
    records: int


@dataclass(frozen=True)
class DeadlineCount:
    """Deliveries that are due on one day. ``missing_year``: the year whose holidays were not known, if any."""

    deadline: date
    provisional: bool
    owed: int
    confirmed: int
    open: int

    @property
    def missing_year(self) -> int | None:
        return self.deadline.year if self.provisional else None


@dataclass(frozen=True)
class ExtractFacts:
    name: str
    sha256: str
    bytes: int
    rows_decoded: int
    lines_undecoded: int
    encoding: str


@dataclass(frozen=True)
class Details:
    """Everything below the figures of one batch. Of deadlines the first open ones are kept, of rejections the most."""

    repairs: tuple[RepairCount, ...]
    rejections: tuple[RejectionCount, ...]
    deadlines: tuple[DeadlineCount, ...]
    more_deadlines: int
    provisional_years: tuple[tuple[int, int], ...]
    exclusions: tuple[tuple[str, int], ...]
    extracts: tuple[ExtractFacts, ...]
    unmapped_columns: tuple[str, ...]
    missing_fields: tuple[str, ...]


def batch_details(
    session: Session,
    settings: Settings,
    ledger: Ledger,
    feed: Feed,
    category: Category,
    run_id: str,
    repair_rules: Mapping[str, RepairRule],
) -> Details:
    """The details of a published run; what lies in its folder is empty when the folder was cleared.

    ``repair_rules`` say what repairs are called; they are read once for many runs.
    """
    with ledger.read() as ledger_session:
        run = ledger_session.get_one(Run, run_id)
        files = run_files(settings, run)
        deadlines = _deadlines(ledger_session, run)
        still_open = [line for line in deadlines if line.open]
        return Details(
            repairs=_repairs(session, files, category, repair_rules) if files.is_kept else (),
            rejections=_rejections(session, ledger_session, files, feed, category, run),
            deadlines=tuple(still_open[:SHOWN_DEADLINES]),
            more_deadlines=len(still_open[SHOWN_DEADLINES:]),
            provisional_years=_provisional_years(deadlines),
            exclusions=_exclusions(session, files) if files.is_kept else (),
            extracts=_extracts(ledger_session, run),
            unmapped_columns=tuple((run.manifest or {}).get("unmapped_columns", ())),
            missing_fields=tuple(
                _field_name(category, code) for code in (run.manifest or {}).get("missing_fields", ())
            ),
        )


def _repairs(
    session: Session, files: RunFiles, category: Category, names: Mapping[str, RepairRule]
) -> tuple[RepairCount, ...]:
    found = session.rows(f"SELECT rule, field, count(*) FROM {files.repairs} GROUP BY ALL ORDER BY rule, 3 DESC, field")
    repairs = []
    for rule, group in groupby(found, key=itemgetter(0)):
        fields = tuple((_field_name(category, code), int(cells)) for _, code, cells in group)
        known = names.get(rule)
        name, name_en = (known.name_zh, known.name_en) if known is not None else (rule, rule)
        repairs.append(RepairCount(rule, name, name_en, sum(cells for _, cells in fields), fields))
    return tuple(sorted(repairs, key=lambda repair: (-repair.cells, repair.rule)))


def _exclusions(session: Session, files: RunFiles) -> tuple[tuple[str, int], ...]:
    found = session.rows(
        f"SELECT excluded_reason, count(*) FROM {files.outcomes} WHERE outcome = 'excluded' "
        "GROUP BY ALL ORDER BY count(*) DESC, excluded_reason"
    )
    return tuple((str(reason), int(count)) for reason, count in found)


def _extracts(session: LedgerSession, run: Run) -> tuple[ExtractFacts, ...]:
    extracts = session.scalars(select(Extract).where(Extract.run == run.id).order_by(Extract.position))
    return tuple(
        ExtractFacts(
            name=extract.name,
            sha256=extract.sha256,
            bytes=extract.bytes,
            rows_decoded=extract.rows_decoded,
            lines_undecoded=extract.lines_undecoded,
            encoding=str(extract.manifest.get("encoding") or "—"),
        )
        for extract in extracts
    )


def _deadlines(session: LedgerSession, run: Run) -> list[DeadlineCount]:
    is_open = Outbox.accepted_at.is_(None) & Outbox.withheld_at.is_(None)
    rows = session.execute(
        select(
            Outbox.deadline,
            Outbox.deadline_provisional,
            func.count(),
            func.count(Outbox.accepted_at),
            func.count().filter(is_open),
        )
        .where(of_batch(run))
        .group_by(Outbox.deadline, Outbox.deadline_provisional)
        .order_by(Outbox.deadline, Outbox.deadline_provisional)
    )
    return [DeadlineCount(*row) for row in rows]


def _provisional_years(deadlines: list[DeadlineCount]) -> tuple[tuple[int, int], ...]:
    """(year whose holidays are not published, deliveries whose deadline needs it)."""
    years: Counter[int] = Counter()
    for line in deadlines:
        if line.missing_year is not None:
            years[line.missing_year] += line.owed
    return tuple(sorted(years.items()))


def _rejections(
    session: Session, ledger_session: LedgerSession, files: RunFiles, feed: Feed, category: Category, run: Run
) -> tuple[RejectionCount, ...]:
    found = ledger_session.scalars(
        select(DeliveryFinding).join(Outbox, Outbox.id == DeliveryFinding.outbox_id).where(of_batch(run))
    ).all()
    if not found:
        return ()
    values = _quoted_values(session, files, feed, category, {finding.record_key for finding in found})
    field_names = frozenset(field.name_zh for field in category.fields)
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for finding in found:
        known = values.get(finding.record_key)
        message = WITHHELD if known is None else redact(finding.message, known, field_names)
        field = _field_name(category, finding.field) if finding.field else "—"
        counts[finding.endpoint, finding.rule or "—", field, message] += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(RejectionCount(*key, count) for key, count in ranked[:SHOWN_REJECTIONS])


def _quoted_values(
    session: Session, files: RunFiles, feed: Feed, category: Category, record_keys: set[str]
) -> dict[str, list[str | None]]:
    """Record key → what a receiver's message might quote: the row's cells as sent and as they were repaired."""
    if not files.is_kept or not files.parts:
        return {}
    columns = files.source_columns()
    read = all_source_columns(feed, category, files)
    kinds = set(_harmless_fields(category))
    # A column that several fields read is harmless only when all of them are.
    telling = {index for code, indices in read.items() if code not in kinds for index in indices}
    harmless = {index for code in kinds for index in read.get(code, ())} - telling
    cells = ", ".join(f"c{index}" for index in range(len(columns)) if index not in harmless)
    session.register("report_rejected", pa.table({"record_key": pa.array(sorted(record_keys), pa.string())}))
    session.register("report_harmless", pa.table({"field": pa.array([*_harmless_fields(category)], pa.string())}))
    rows = session.rows(
        f"""
        WITH rejected AS (
            SELECT record_key, row_no FROM {files.outcomes} JOIN report_rejected USING (record_key)
            WHERE outcome = 'accepted'
        ), repaired AS (
            SELECT row_no, list(new_value ORDER BY field, rule) AS texts FROM {files.repairs}
            WHERE row_no IN (SELECT row_no FROM rejected) AND field NOT IN (FROM report_harmless) GROUP BY row_no
        )
        SELECT record_key, [{cells}] || coalesce(texts, [])
        FROM rejected JOIN {files.source_rows()} s USING (row_no) LEFT JOIN repaired USING (row_no)
        """
    )
    return {str(record_key): texts for record_key, texts in rows}


def _harmless_fields(category: Category) -> Iterator[str]:
    return (field.code for field in category.fields if field.type in _TELLING_NOTHING)


def _field_name(category: Category, code: str) -> str:
    """The Chinese name of a field; what a receiver calls it when it is none of ours."""
    return category.field(code).name_zh if code in category.field_codes else code
