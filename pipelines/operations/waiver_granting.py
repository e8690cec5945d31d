"""Granting a waiver: which content it is about, whether the rule allows it, who approves and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import select

from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session, file_literal
from pipelines.errors import CatalogueError, RunConflictError
from pipelines.ledger.database import now
from pipelines.ledger.models import Extract, Run
from pipelines.ledger.quality_models import Task, Waiver
from pipelines.operations.attempts import last_published, load_run, run_folder
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.judging import suite_of
from pipelines.operations.people import name_of
from pipelines.quality.rules import Rule

_OUTCOMES, _CASES = "outcomes.parquet", "cases.parquet"
_SEE = "find the row in the department workbook or with 'guiji tasks list'"


@dataclass(frozen=True)
class Approval:
    """Who excuses, why, and the last business date that it holds for."""

    approver: str
    why: str
    until: date


@dataclass(frozen=True)
class Granted:
    """The numbers of the waivers granted, and the business dates whose batches are to be run again for them."""

    numbers: tuple[int, ...]
    feed: str
    rule: str
    business_date: date


@dataclass(frozen=True)
class _Subject:
    """What is to be excused: contents of one feed that break one rule in batches of a date and earlier."""

    feed: Feed
    rule: str
    hashes: tuple[str, ...]
    business_date: date
    granted_for: str


def grant_by_row(context: Context, reference: str, rule: str, approval: Approval) -> Granted:
    """Excuse the row with this reference (``<first 12 of the extract>/<sheet>/<line>``) from a rule."""
    extract, sheet, line = _parsed(reference)
    query = (
        select(Run, Extract.sha256)
        .join(Extract, Extract.run == Run.id)
        .where(Extract.sha256.startswith(extract, autoescape=True), Run.swept.is_(False))
        .order_by(Run.business_date.desc(), Run.attempt.desc())
    )
    with context.ledger.read() as ledger:
        found = [(run, sha) for run, sha in ledger.execute(query) if (run_folder(context, run.id) / _OUTCOMES).exists()]
    if not found:
        raise RunConflictError(f"no judged batch holds the extract {extract}", remedy=_SEE)
    run, sha = found[0]
    place: dict[str, str | int] = {"extract": sha, "sheet": sheet, "line": line}
    return _grant_row(
        context, run, "extract = $extract AND sheet = $sheet AND line = $line", place, rule, approval, reference
    )


def grant_by_number(context: Context, run_id: str, row_no: int, rule: str, approval: Approval) -> Granted:
    """Excuse the row with this number in a run from a rule."""
    run = load_run(context, run_id)
    return _grant_row(context, run, "row_no = $row", {"row": row_no}, rule, approval, f"{run_id} row {row_no}")


def grant_by_task(context: Context, reference: str, approval: Approval) -> Granted:
    """Excuse every row that is open in a task from the rule of the task."""
    with context.ledger.read() as ledger:
        task = ledger.scalar(select(Task).where(Task.reference == reference))
        latest = None if task is None else last_published(ledger, task.feed)
    if task is None or latest is None:
        raise RunConflictError(f"there is no task {reference}", remedy="list them with 'guiji tasks list'")
    run = load_run(context, latest)
    with context.session() as session:
        hashes = _open_contents(context, session, run, task)
    if not hashes:
        raise RunConflictError(f"no row of the task {reference} is open", remedy="see 'guiji tasks'")
    feed = context.catalogue.feed(task.feed)
    return _grant(context, _Subject(feed, task.rule, hashes, run.business_date, reference), approval)


def _parsed(reference: str) -> tuple[str, str, int]:
    extract, _, rest = reference.partition("/")
    sheet, _, line = rest.rpartition("/")
    if len(extract) != 12 or not line.isdigit():
        raise RunConflictError(
            f"{reference!r} is no row reference", remedy="it looks like 0123456789ab/Sheet1/17; " + _SEE
        )
    return extract, sheet, int(line)


def _grant_row(
    context: Context,
    run: Run,
    condition: str,
    place: dict[str, str | int],
    rule: str,
    approval: Approval,
    reference: str,
) -> Granted:
    file = _existing(run_folder(context, run.id) / _OUTCOMES, run)
    with context.session() as session:
        rows = session.rows(
            f"SELECT content_hash, reasons, waived FROM read_parquet({file_literal(file)}) WHERE {condition}", place
        )
    if not rows:
        raise RunConflictError(f"the run {run.id} has no row {reference}", remedy=_SEE)
    content, reasons, waived = rows[0]
    if rule not in {*reasons, *waived}:
        raise RunConflictError(
            f"the row {reference} does not break the rule {rule}",
            remedy=f"it breaks {', '.join(reasons) or 'none'}",
        )
    feed = context.catalogue.feed(run.feed)
    return _grant(context, _Subject(feed, rule, (str(content),), run.business_date, reference), approval)


def _open_contents(context: Context, session: Session, run: Run, task: Task) -> tuple[str, ...]:
    """Content hashes of the rows that are open in a task; each stands in the batch that saw it last."""
    cases = file_literal(_existing(run_folder(context, run.id) / _CASES, run))
    found = session.rows(
        f"SELECT run, list(DISTINCT row_no) FROM read_parquet({cases}) WHERE rule = $rule "
        "AND coalesce(field, '') = $field AND state = 'open' AND row_no IS NOT NULL GROUP BY run ORDER BY run",
        {"rule": task.rule, "field": task.field},
    )
    hashes: set[str] = set()
    for seen_in, rows in found:
        outcomes = file_literal(_existing(run_folder(context, seen_in) / _OUTCOMES, run))
        hashes |= {
            str(content)
            for (content,) in session.rows(
                f"SELECT DISTINCT content_hash FROM read_parquet({outcomes}) WHERE list_contains($rows, row_no)",
                {"rows": rows},
            )
        }
    return tuple(sorted(hashes))


def _existing(path: Path, run: Run) -> Path:
    if not path.exists():
        raise RunConflictError(
            f"the rows of the run {run.id} are gone", file=path, remedy="run the batch again, then grant the waiver"
        )
    return path


def _grant(context: Context, subject: _Subject, approval: Approval) -> Granted:
    """Write the waivers; those that hold as long already are not written twice."""
    rule = _waivable_rule(context, subject)
    _check_approval(context, subject, approval)
    with context.ledger.write() as ledger:
        known = select(Waiver.content_hash).where(
            Waiver.feed == subject.feed.feed,
            Waiver.rule == rule.code,
            Waiver.rule_version == rule.version,
            Waiver.since <= subject.business_date,
            Waiver.until >= approval.until,
            Waiver.revoked_at.is_(None),
        )
        covered = set(ledger.scalars(known))
        granted = [_waiver(subject, rule, content, approval) for content in subject.hashes if content not in covered]
        if not granted:
            raise RunConflictError(
                f"{subject.granted_for} is waived until {approval.until} or longer already",
                remedy="see 'guiji waivers list'",
            )
        ledger.add_all(granted)
        ledger.flush()
        numbers = tuple(waiver.id for waiver in granted)
    return Granted(numbers, subject.feed.feed, rule.code, subject.business_date)


def _waiver(subject: _Subject, rule: Rule, content: str, approval: Approval) -> Waiver:
    return Waiver(
        feed=subject.feed.feed,
        content_hash=content,
        rule=rule.code,
        rule_version=rule.version,
        granted_for=subject.granted_for,
        approver=name_of(approval.approver),
        why=approval.why.strip(),
        since=subject.business_date,
        until=approval.until,
        created_at=now(),
    )


def _waivable_rule(context: Context, subject: _Subject) -> Rule:
    suite = suite_of(context, context.catalogue.category_of(subject.feed)).on(subject.business_date)
    rule = suite.rule(subject.rule)
    if rule.code not in _codes(suite.rules):
        raise CatalogueError(
            f"the rule {rule.code} is not judged row by row and cannot be waived",
            remedy="mend the rows, or the feed's settings",
        )
    if not rule.waivable:
        raise CatalogueError(f"the rule {rule.code} may be waived for no record: {rule.message_en}", remedy=rule.fix_en)
    return rule


def _codes(rules: Iterable[Rule]) -> set[str]:
    return {rule.code for rule in rules}


def _check_approval(context: Context, subject: _Subject, approval: Approval) -> None:
    if not approval.approver.strip() or not approval.why.strip():
        raise RunConflictError("a waiver needs an approver and a reason", remedy="give --approver and --why")
    today = today_in_shanghai()
    latest = today + timedelta(days=context.settings.waiver_days)
    if approval.until < max(today, subject.business_date):
        raise RunConflictError(f"{approval.until} is over", remedy="name a day to come as --until")
    if approval.until > latest:
        raise RunConflictError(
            f"a waiver holds for {context.settings.waiver_days} days at most",
            remedy=f"name {latest} or an earlier day as --until; it can be granted anew",
        )
    with context.session() as session:
        personal = session.one("SELECT coalesce(has_personal_data($why), FALSE)", {"why": approval.why})[0]
    if personal:
        raise RunConflictError(
            "the reason holds personal data, which has no place in the ledger",
            remedy="say why without identity, telephone or card numbers",
        )
