"""Rehearsal: what a changed suite would do to the last batches, before it is switched on."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import select

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session, identifier
from pipelines.engine.rows import RowsPart
from pipelines.errors import CatalogueError, GuijiError
from pipelines.ledger.models import Batch, Run
from pipelines.operations.attempts import run_folder
from pipelines.operations.context import Context
from pipelines.operations.judging import prepare_rows, settle_rows, suite_of
from pipelines.quality.rules import Rule, Suite
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings

Progress = Callable[[int, int, str], None]
SHOWN_ROWS = 5


@dataclass(frozen=True)
class RuleChange:
    """A rule that the changed suite adds, drops or asks differently; ``rows`` break it now, ``rows_then`` would."""

    code: str
    how: str
    rows: int
    rows_then: int


@dataclass(frozen=True)
class Move:
    """Rows that would change their outcome, with references of the first."""

    before: str
    after: str
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class RehearsedBatch:
    """One stored batch judged by both suites. ``problem`` says why it could not be."""

    feed: str
    business_date: date
    rows: int
    moves: tuple[Move, ...]
    rules: tuple[RuleChange, ...]
    problem: str | None = None

    @property
    def rows_moved(self) -> int:
        return sum(move.rows for move in self.moves)


def rehearse(
    context: Context,
    change: Path,
    last: int,
    feeds: Sequence[str] = (),
    rows_file: Path | None = None,
    progress: Progress | None = None,
) -> list[RehearsedBatch]:
    """Judge the last ``last`` published batches of every feed by today's suite and by a changed one.

    ``change`` is a folder like ``expectations/`` or a single file of it; what it does not hold stays as it is. Both
    suites judge the same rows as they are understood today, so that the rules alone make the difference. Nothing is
    stored, apart from ``rows_file`` (CSV): every row that would change its outcome, by reference and reasons, without
    a value of it. Batches whose rows were cleared are named. Raises :class:`CatalogueError` for a change that is no
    suite.
    """
    report = progress or (lambda _done, _total, _what: None)
    chosen = [context.catalogue.feed(code) for code in feeds or sorted(context.catalogue.feeds)]
    with changed_expectations(context, change) as settings:
        affected = [feed for feed in chosen if _is_affected(context, settings, context.catalogue.category_of(feed))]
        runs = [(feed, run) for feed in affected for run in _last_runs(context, feed.feed, last)]
        found = []
        lines: list[tuple[str, ...]] = []
        for done, (feed, run) in enumerate(runs):
            report(done, len(runs), f"{feed.feed} {run.business_date.isoformat()}")
            found.append(_rehearse_run(context, settings, feed, run, lines))
    if rows_file is not None:
        _write_rows(rows_file, lines)
    return found


@contextmanager
def changed_expectations(context: Context, change: Path) -> Iterator[Settings]:
    """Settings whose ``expectations/`` are those in force with the files of ``change`` laid over them."""
    if not change.exists():
        raise CatalogueError(
            "there is no such file or folder", remedy="name a changed suite or a folder of them", file=change
        )
    scratch = Path(tempfile.mkdtemp(prefix="guiji-rehearsal-"))
    try:
        expectations = scratch / "expectations"
        shutil.copytree(context.settings.expectations, expectations)
        files = [change] if change.is_file() else sorted(path for path in change.rglob("*.json"))
        base = change.parent if change.is_file() else change
        for path in files:
            target = expectations / path.relative_to(base)
            if not target.exists():
                raise CatalogueError(
                    "this file takes the place of none",
                    remedy=f"give it the name of a file of {context.settings.expectations.name}/",
                    file=path,
                )
            shutil.copyfile(path, target)
        if not files:
            raise CatalogueError("there is no suite in this folder", remedy="put the changed files there", file=change)
        yield context.settings.model_copy(update={"root": scratch})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_affected(context: Context, settings: Settings, category: Category) -> bool:
    return _asked(suite_of(context, category)) != _asked(_changed_suite(context, settings, category))


def _changed_suite(context: Context, settings: Settings, category: Category) -> Suite:
    return load_suite(settings, category, context.catalogue.code_lists)


def _asked(suite: Suite) -> dict[str, tuple[object, ...]]:
    """What decides a verdict, by code."""
    return {rule.code: _question(rule) for rule in suite.rules}


def _question(rule: Rule) -> tuple[object, ...]:
    return rule.severity, rule.type, repr(sorted(rule.kwargs.items())), rule.since, rule.until


def _last_runs(context: Context, feed: str, last: int) -> list[Run]:
    query = (
        select(Run)
        .join(Batch, Batch.run == Run.id)
        .where(Batch.feed == feed)
        .order_by(Batch.business_date.desc())
        .limit(last)
    )
    with context.ledger.read() as session:
        return list(session.scalars(query))


def _rehearse_run(
    context: Context, settings: Settings, feed: Feed, run: Run, lines: list[tuple[str, ...]]
) -> RehearsedBatch:
    folder = run_folder(context, run.id) / "rows"
    parts = [RowsPart.from_json(data, folder) for data in (run.manifest or {}).get("parts", [])]
    if any(not part.path.exists() for part in parts):
        return RehearsedBatch(feed.feed, run.business_date, 0, (), (), "its rows were cleared; run the batch again")
    category = context.catalogue.category_of(feed)
    now, then = (
        suite.on(run.business_date)
        for suite in (suite_of(context, category), _changed_suite(context, settings, category))
    )
    with context.session() as session:
        try:
            prepare_rows(context, session, feed, parts, run.business_date)
        except GuijiError as error:
            return RehearsedBatch(feed.feed, run.business_date, 0, (), (), str(error))
        counts = []
        for name, suite in (("outcomes_now", now), ("outcomes_then", then)):
            counted, _ = settle_rows(context, session, feed, run.business_date, suite)
            counts.append({count.code: count.failed for count in counted})
            session.execute(f"CREATE TABLE {identifier(name)} AS SELECT row_no, outcome, reasons FROM settled")
        moves = _moves(session)
        lines += _moved_rows(session, feed.feed, run.business_date)
        rows = session.count("standard")
    return RehearsedBatch(feed.feed, run.business_date, rows, moves, _rule_changes(now, then, *counts))


def _moves(session: Session) -> tuple[Move, ...]:
    found = session.rows(
        "SELECT n.outcome, t.outcome, count(*), "
        "list(left(s.extract, 12) || '/' || s.sheet || '/' || s.line ORDER BY s.row_no)[:$most] "
        "FROM outcomes_now n JOIN outcomes_then t USING (row_no) JOIN standard s USING (row_no) "
        "WHERE n.outcome <> t.outcome GROUP BY ALL ORDER BY 3 DESC, 1, 2",
        {"most": SHOWN_ROWS},
    )
    return tuple(Move(str(now), str(then), int(rows), tuple(examples)) for now, then, rows, examples in found)


def _moved_rows(session: Session, feed: str, business_date: date) -> list[tuple[str, ...]]:
    found = session.rows(
        "SELECT left(s.extract, 12) || '/' || s.sheet || '/' || s.line, n.outcome, t.outcome, "
        "array_to_string(list_filter(t.reasons, lambda code: NOT list_contains(n.reasons, code)), ' '), "
        "array_to_string(list_filter(n.reasons, lambda code: NOT list_contains(t.reasons, code)), ' ') "
        "FROM outcomes_now n JOIN outcomes_then t USING (row_no) JOIN standard s USING (row_no) "
        "WHERE n.outcome <> t.outcome ORDER BY s.row_no"
    )
    return [(feed, business_date.isoformat(), *(str(value) for value in row)) for row in found]


def _rule_changes(now: Suite, then: Suite, rows: dict[str, int], rows_then: dict[str, int]) -> tuple[RuleChange, ...]:
    before, after = _asked(now), _asked(then)
    changes = []
    for code in (*before, *(code for code in after if code not in before)):
        if before.get(code) == after.get(code):
            continue
        how = "added" if code not in before else "dropped" if code not in after else "changed"
        changes.append(RuleChange(code, how, rows.get(code, 0), rows_then.get(code, 0)))
    return tuple(changes)


def _write_rows(path: Path, lines: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("feed", "business_date", "row", "outcome", "outcome_then", "reasons_added", "reasons_gone"))
        writer.writerows(lines)
