"""Second stage of a batch: rows become standard, every row gets its outcome and all its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow as pa
from sqlalchemy import delete, insert, select

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import assigned_deadlines
from pipelines.deadlines.policies import load_policies
from pipelines.dedupe.keys import add_keys
from pipelines.dedupe.settle import compare_with_store, settle_batch
from pipelines.engine.duck import Session, identifier, literal
from pipelines.engine.rows import RowsPart
from pipelines.errors import RunConflictError
from pipelines.intake.changes import broken_dump, rekeyed_source
from pipelines.ledger import models
from pipelines.ledger.models import Extract, Run, Tombstone
from pipelines.ledger.quality_models import GateResult, Measure
from pipelines.normalize.amounts import yuan_from_numerals
from pipelines.normalize.authorities import fill_authority_codes
from pipelines.normalize.standardise import StandardResult, standardise
from pipelines.operations.attempts import (
    attempt,
    feed_lock,
    last_published,
    load_run,
    log_stage,
    require_running,
    resume,
    run_folder,
    take_turn,
)
from pipelines.operations.cases import CASES_FILE, create_cases, write_findings
from pipelines.operations.context import Context
from pipelines.operations.gates import check_gates
from pipelines.operations.hints import create_hints
from pipelines.operations.noticing import Noticed, add_to_findings, hold_for_lost_columns, notice_files, notice_values
from pipelines.operations.sightings import sight
from pipelines.operations.waiving import waivers_in_force
from pipelines.quality import conservation
from pipelines.quality.cases import write_cases
from pipelines.quality.compile import judge
from pipelines.quality.findings import create_findings
from pipelines.quality.great_expectations_bridge import validate_with_great_expectations
from pipelines.quality.measures import create_measures
from pipelines.quality.reference import Reference, create_reference
from pipelines.quality.rules import RuleCount, Suite
from pipelines.quality.suggestions import create_suggestions
from pipelines.quality.suite import load_suite
from pipelines.quality.waivers import apply_waivers
from pipelines.records.reading import create_history, create_past
from pipelines.records.store import version_schema

VALIDATION_FILE = "great_expectations.json"
OUTCOMES = ("accepted", "duplicate", "quarantined", "blocked", "excluded")


@dataclass(frozen=True)
class Judged:
    """Figures of a judged batch; the tables stay in the session."""

    outcomes: dict[str, int]
    changes: dict[str, int]
    late: int
    repairs: int
    earliest_deadline: date | None
    standard: StandardResult


@dataclass(frozen=True)
class Verdicts:
    """What :func:`judge_rows` counted; ``waived``: rule → rows that a waiver excuses from it."""

    standard: StandardResult
    counts: list[RuleCount]
    waived: dict[str, int]


def suite_of(context: Context, category: Category) -> Suite:
    """The rules of a category, in force or not: those of its file and those its schema implies."""
    return load_suite(context.settings, category, context.catalogue.code_lists)


def judge_rows(
    context: Context,
    session: Session,
    feed: Feed,
    parts: Sequence[RowsPart],
    business_date: date,
    suite: Suite,
    *,
    with_history: bool = False,
) -> Verdicts:
    """Normalize, key, judge and settle rows; leaves ``standard``, ``repairs``, ``keyed``, ``verdicts``, ``settled``.

    ``with_history`` leaves ``history`` as well, and compares the rows with what the feed reported before.
    """
    result = prepare_rows(context, session, feed, parts, business_date if with_history else None)
    counts, waived = settle_rows(context, session, feed, business_date, suite)
    return Verdicts(result, counts, waived)


def prepare_rows(
    context: Context, session: Session, feed: Feed, parts: Sequence[RowsPart], history_of: date | None = None
) -> StandardResult:
    """Rows in standard form with their keys and what rules look up: all that does not hang on the rules themselves.

    ``history_of`` is the business date before which the feed's own records are the rows' past; without it they have
    none, and ``history`` is not made.
    """
    category = context.catalogue.category_of(feed)
    authorities = context.catalogue.authorities
    result = standardise(session, list(parts), feed, category, context.catalogue.code_lists)
    fill_authority_codes(session, category, authorities)
    add_keys(session, category)
    create_reference(session, Reference(authorities, context.catalogue.department_of(feed).regions))
    if history_of is not None:
        create_history(session, context.stores[category.category], context.ledger, feed.feed, history_of)
        create_past(session, category, history_of)
    session.register("tombstones", tombstones(context, category.category))
    return result


def settle_rows(
    context: Context, session: Session, feed: Feed, business_date: date, suite: Suite
) -> tuple[list[RuleCount], dict[str, int]]:
    """Judge prepared rows by a suite and settle them; what was counted per rule, and what waivers excuse of it."""
    counts = judge(session, suite, context.catalogue.category_of(feed), business_date)
    waived = apply_waivers(session, suite, waivers_in_force(context, feed.feed, business_date))
    settle_batch(session, feed.conflict)
    return counts, waived


def judge_batch(context: Context, run_id: str) -> str:
    """Judge the rows of a pulled run and write its versions beside the record store; returns the run.

    Nothing becomes visible. A run that ended as unchanged is left alone.
    """
    run = load_run(context, run_id)
    if run.state == "unchanged":
        return run_id
    with feed_lock(context, run.feed):
        began = perf_counter()
        run = resume(context, run_id)
        with attempt(context, run_id), context.session() as session:
            _judge(context, session, run)
            check_gates(context, session, context.catalogue.feed(run.feed), load_run(context, run_id))
        log_stage(context, run_id, began)
    return run_id


def _judge(context: Context, session: Session, run: Run) -> None:
    if run.stage == "pulling":
        raise RunConflictError(f"the run {run.id} has no rows", remedy="start the batch again")
    feed = context.catalogue.feed(run.feed)
    category = context.catalogue.category_of(feed)
    folder = run_folder(context, run.id)
    suite = suite_of(context, category).on(run.business_date)
    manifest = dict(run.manifest or {})
    parts = [RowsPart.from_json(data, folder / "rows") for data in manifest["parts"]]
    with context.ledger.read() as ledger:
        compared_with = last_published(ledger, run.feed)
        extracts = ledger.scalars(select(Extract).where(Extract.run == run.id).order_by(Extract.position))
        manifests = [extract.manifest for extract in extracts]
    noticed = notice_files(context, feed, category, run.business_date, parts, manifests)
    _keep_changes(context, run, noticed)
    hold_for_lost_columns(feed, category, noticed.losses)
    verdicts = judge_rows(context, session, feed, parts, run.business_date, suite, with_history=True)
    noticed = notice_values(session, category, verdicts.counts, noticed)
    noticed = noticed.adding(rekeyed_source(*session.one("SELECT known, rekeyed FROM rekeying")))
    compare_with_store(session)
    sighted = sight(context, session, feed, run)
    if sighted[0].dump is not None and sighted[0].dump.broken:
        noticed = noticed.adding([broken_dump(sighted[0].dump.absent, sighted[0].dump.records)])
    add_deadlines(context, session, feed, category)
    create_findings(session, suite, category, folder / "rejects.parquet")
    add_to_findings(session, suite, noticed.changes)
    create_hints(context, session, feed, parts)
    create_suggestions(session, category, suite, run.business_date, yuan_from_numerals)
    judged = _measure(session, run, verdicts.standard)
    conservation.check(run.id, run.rows_decoded, run.lines_undecoded, judged.outcomes)
    second = validate_with_great_expectations(
        session, suite, category, run.business_date, result_file=folder / VALIDATION_FILE
    )
    conservation.check_agreement(run.id, verdicts.counts, second)
    create_measures(
        session,
        suite,
        category,
        business_date=run.business_date,
        undecoded=run.lines_undecoded,
        code_lists=context.catalogue.code_lists,
    )
    create_cases(context, session, feed, run, suite, compared_with)
    _write_files(session, folder)
    write_findings(context, session, feed, run, folder)
    create_versions(session, category, run)
    context.stores[run.category].write(session, "versions", run.feed, run.id)
    manifest = {
        **manifest,
        "compared_with": compared_with,
        "unmapped_columns": list(verdicts.standard.unmapped_columns),
        "missing_fields": list(verdicts.standard.missing_fields),
        "shape": noticed.shape.as_json(),
        "changes": [change.as_json() for change in noticed.changes],
        "sighted": [one.as_json() for one in sighted],
        "dump": sighted[0].as_json()["dump"],
    }
    _keep(context, session, run.id, suite, verdicts, judged, manifest)


def _keep(
    context: Context,
    session: Session,
    run: str,
    suite: Suite,
    verdicts: Verdicts,
    judged: Judged,
    manifest: dict[str, Any],
) -> None:
    """Note in the ledger that a run was judged, with everything that was counted."""
    with context.ledger.write() as ledger:
        found = ledger.get_one(Run, run)
        take_turn(ledger, found.feed)
        ledger.refresh(found)
        require_running(found)
        found.stage, found.rules_hash = "judged", suite.hash
        for name, count in (*judged.outcomes.items(), *judged.changes.items()):
            setattr(found, name, count)
        found.late, found.repairs = judged.late, judged.repairs
        found.earliest_deadline = judged.earliest_deadline
        found.manifest = manifest
        ledger.execute(delete(models.RuleCount).where(models.RuleCount.run == run))
        ledger.execute(
            insert(models.RuleCount),
            [
                {
                    "run": run,
                    "rule": count.code,
                    "severity": suite.rule(count.code).severity,
                    "version": suite.rule(count.code).version,
                    "applied": count.applied,
                    "failed": count.failed,
                    "waived": verdicts.waived.get(count.code, 0),
                }
                for count in verdicts.counts
            ],
        )
        ledger.execute(delete(Measure).where(Measure.run == run))
        measures = session.rows("SELECT name, item, value FROM measures")
        if measures:
            ledger.execute(
                insert(Measure),
                [{"run": run, "name": name, "item": item, "value": value} for name, item, value in measures],
            )


def _keep_changes(context: Context, run: Run, noticed: Noticed) -> None:
    """Keep what is known about the files before rows are judged: a batch that is held here has nothing else to show.

    A run that is judged again is not judged until that has ended, and what its gates said before counts no more.
    """
    with context.ledger.write() as ledger:
        found = ledger.get_one(Run, run.id)
        found.stage = "pulled"
        ledger.execute(delete(GateResult).where(GateResult.run == run.id))
        found.manifest = {**(found.manifest or {}), "changes": [change.as_json() for change in noticed.changes]}


def tombstones(context: Context, category: str) -> pa.Table:
    """Keys of the withdrawn records of a category, in the column ``record_key``."""
    with context.ledger.read() as session:
        keys = list(session.scalars(select(Tombstone.record_key).where(Tombstone.category == category)))
    return pa.table({"record_key": pa.array(keys, pa.string())})


def add_deadlines(context: Context, session: Session, feed: Feed, category: Category) -> None:
    """Create the table ``clocked``: row_no, decision_date, deadline, deadline_provisional of accepted rows.

    This is the limit of the category and the department; an endpoint may have one of its own (the outbox).
    """
    column = identifier(category.roles.decision_date)
    first, last = session.one(
        f"SELECT min(rule_date({column})), max(rule_date({column})) FROM standard "
        "WHERE row_no IN (SELECT row_no FROM changes)"
    )
    if first is None:
        first = last = date(2000, 1, 1)
    calendar, policies = load_calendar(context.settings), load_policies(context.settings, context.catalogue)
    table = assigned_deadlines(calendar, policies, first, last, category=category.category, department=feed.department)
    session.register("table_of_days", table)
    # A table of its own tells DuckDB the range of its days: it is joined by position then.
    session.execute(
        f"""
        CREATE OR REPLACE TABLE deadlines AS SELECT decision_date, deadline, provisional FROM table_of_days;
        CREATE OR REPLACE TABLE clocked AS
        SELECT c.row_no, d.decision_date, d.deadline, d.provisional AS deadline_provisional
        FROM changes c JOIN standard s USING (row_no) JOIN deadlines d ON d.decision_date = rule_date(s.{column})
        """
    )


def _measure(session: Session, run: Run, standard: StandardResult) -> Judged:
    outcomes = dict.fromkeys(OUTCOMES, 0)
    outcomes |= {
        str(name): int(count) for name, count in session.rows("SELECT outcome, count(*) FROM settled GROUP BY 1")
    }
    # A line that could not be decoded is kept for the steward like any other row that cannot be accepted.
    outcomes["quarantined"] += run.lines_undecoded
    changes = dict.fromkeys(("new", "changed", "unchanged", "outdated"), 0)
    changes |= {
        str(name): int(count) for name, count in session.rows("SELECT change, count(*) FROM changes GROUP BY 1")
    }
    late, earliest = session.one(
        "SELECT count(*) FILTER (deadline < $day), min(deadline) FILTER (deadline >= $day) "
        "FROM clocked JOIN changes USING (row_no) WHERE change IN ('new', 'changed')",
        {"day": run.business_date},
    )
    return Judged(outcomes, changes, int(late), session.count("repairs"), earliest, standard)


def _write_files(session: Session, folder: Path) -> None:
    session.write_parquet(
        """
        SELECT row_no, st.extract, st.sheet, st.line, s.outcome, s.reasons, s.waived, s.record_key, s.content_hash,
               s.survivor, s.document_key, c.change, c.version, k.decision_date, k.deadline, k.deadline_provisional,
               st.excluded_reason
        FROM settled s JOIN standard st USING (row_no)
        LEFT JOIN changes c USING (row_no) LEFT JOIN clocked k USING (row_no)
        """,
        folder / "outcomes.parquet",
    )
    session.write_parquet("FROM repairs", folder / "repairs.parquet")
    session.write_parquet("FROM suggestions", folder / "suggestions.parquet")
    write_cases(session, folder / CASES_FILE)


def create_versions(session: Session, category: Category, run: Run) -> None:
    """Create the view ``versions`` in the store's form: what this run adds to the record store."""
    schema = version_schema(category)
    fields = ", ".join(_typed(code, schema.field(code).type) for code in category.field_codes)
    session.execute(
        f"""
        CREATE OR REPLACE VIEW versions AS
        SELECT s.record_key, c.version::INTEGER AS version, s.content_hash, c.change,
               DATE '{run.business_date.isoformat()}' AS business_date, {literal(run.id)} AS run,
               st.extract, st.sheet, st.line, s.document_key, s.subject_key,
               k.decision_date, k.deadline, k.deadline_provisional,
               s.reasons || list_transform(s.waived, lambda code: 'waived:' || code) AS flags, {fields}
        FROM standard st JOIN changes c USING (row_no) JOIN settled s USING (row_no) JOIN clocked k USING (row_no)
        WHERE c.change <> 'unchanged'
        """
    )


def _typed(code: str, kind: pa.DataType) -> str:
    column = f"st.{identifier(code)}"
    if pa.types.is_date(kind):
        return f"rule_date({column}) AS {identifier(code)}"
    if pa.types.is_decimal(kind):
        return f"rule_amount({column}) AS {identifier(code)}"
    return column
