"""Gates as a steward sees them: which runs wait, and what every gate said about one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from rich.table import Table
from rich.text import Text
from sqlalchemy import case, func, select

from pipelines.errors import RunConflictError
from pipelines.ledger.models import Run
from pipelines.ledger.quality_models import GateDecision, GateResult
from pipelines.operations.attempts import load_run
from pipelines.operations.context import Context
from pipelines.operations.gates import decision_of, is_held_by_gates
from pipelines.quality.gate_learning import Learned
from pipelines.quality.gates import gate_of
from pipelines.quality.rule_words import ANSWERS_ZH, REASONS_ZH, amount, figure_zh, limits
from pipelines.quality.suite import load_gates

_WIDTH = 24
_STYLES = {"fail": "red", "not_applicable": "dim"}


@dataclass(frozen=True)
class GateLine:
    """One run and how its gates answered."""

    run: str
    feed: str
    business_date: date
    state: str
    passed: int
    failed: int
    not_applicable: int
    decision: str
    waits: bool


def gate_lines(
    context: Context, business_date: date | None = None, feed: str | None = None, *, held: bool = False
) -> list[GateLine]:
    """Runs whose gates were asked, the latest business date first; ``held``: only those that wait for a decision."""
    if feed is not None:
        context.catalogue.feed(feed)
    outcomes = [
        func.sum(case((GateResult.outcome == outcome, 1), else_=0)) for outcome in ("pass", "fail", "not_applicable")
    ]
    counted = select(GateResult.run, *outcomes).join(Run, Run.id == GateResult.run).group_by(GateResult.run)
    query = select(Run).order_by(Run.business_date.desc(), Run.feed, Run.attempt.desc())
    for condition in (
        Run.business_date == business_date if business_date is not None else None,
        Run.feed == feed if feed is not None else None,
        Run.state == "held" if held else None,
    ):
        if condition is not None:
            counted, query = counted.where(condition), query.where(condition)
    with context.ledger.read() as ledger:
        counts = {run: (int(a), int(b), int(c)) for run, a, b, c in ledger.execute(counted)}
        decisions = {one.run: one for one in ledger.scalars(select(GateDecision))}
        lines = []
        for run in ledger.scalars(query):
            if run.id not in counts:
                continue
            decision = decisions.get(run.id)
            said = f"{decision.decision} by {decision.by}: {decision.why}" if decision else ""
            waits = run.state == "held" and decision is None and is_held_by_gates(context, ledger, run)
            if waits or not held:
                lines.append(GateLine(run.id, run.feed, run.business_date, run.state, *counts[run.id], said, waits))
    return lines


def list_table(lines: Sequence[GateLine]) -> Table:
    """The list of runs as a table."""
    table = Table(title="Gates by run (批次闸门)", title_justify="left")
    for heading in ("run", "business date", "state"):
        table.add_column(heading, overflow="fold")
    for heading in ("通过", "未通过", "不适用"):
        table.add_column(heading, justify="right")
    table.add_column("decision", overflow="fold")
    for line in lines:
        state = "waits for a decision" if line.waits else line.state
        cells = (line.run, line.business_date.isoformat(), state, str(line.passed), str(line.failed))
        more = (str(line.not_applicable), line.decision)
        table.add_row(*(Text(cell) for cell in (*cells, *more)), style="red" if line.waits else None)
    return table


@dataclass(frozen=True)
class GateView:
    """Everything about the gates of one run."""

    run: Run
    results: tuple[GateResult, ...]
    decision: GateDecision | None
    waits: bool
    codes: dict[str, str]
    fields: dict[str, str]


def gate_view(context: Context, run_id: str) -> GateView:
    """What every gate said about a run; raises :class:`RunConflictError` for one that is unknown or was not asked."""
    run = load_run(context, run_id)
    with context.ledger.read() as ledger:
        results = tuple(ledger.scalars(select(GateResult).where(GateResult.run == run_id).order_by(GateResult.id)))
        decision = decision_of(ledger, run_id)
        waits = run.state == "held" and decision is None and is_held_by_gates(context, ledger, run)
    if not results:
        raise RunConflictError(
            f"the gates have not seen the run {run_id}, it is {run.state}: {run.problem or 'nothing was wrong'}",
            remedy="gates are asked at the end of judging; run the batch again",
        )
    category = context.catalogue.categories.get(run.category)
    fields = {field.code: field.name_zh for field in category.fields} if category is not None else {}
    codes = {gate_of(rule.kwargs): rule.code for rule in load_gates(context.settings).rules}
    return GateView(run, results, decision, waits, codes, fields)


def show_table(view: GateView, *, everything: bool = False) -> Table:
    """The gates of a run as a table with bars; what is not applicable is summed up unless ``everything`` is asked."""
    count = {outcome: sum(one.outcome == outcome for one in view.results) for outcome in ANSWERS_ZH}
    title = f"{view.run.id}: " + ", ".join(f"{ANSWERS_ZH[outcome]} {number}" for outcome, number in count.items())
    table = Table(title=title, title_justify="left")
    for heading in ("code", "闸门"):
        table.add_column(heading, overflow="fold")
    for heading in ("本批", "通常", "允许"):
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True, min_width=_WIDTH)
    table.add_column("结论", overflow="fold")
    order = {"fail": 0, "pass": 1, "not_applicable": 2}
    for result in sorted(view.results, key=lambda one: order[one.outcome]):
        if result.outcome == "not_applicable" and not everything:
            continue
        said = ANSWERS_ZH[result.outcome] + (f"：{REASONS_ZH[result.reason]}" if result.reason else "")
        cells = (
            view.codes.get(result.gate, ""),
            figure_zh(result.gate, result.item, view.fields),
            amount(result.gate, result.observed),
            amount(result.gate, result.usual),
            limits(result.gate, result.low, result.high),
            bar(result.observed, result.usual, result.low, result.high),
            said,
        )
        table.add_row(*(Text(cell) for cell in cells), style=_STYLES.get(result.outcome))
    return table


def learned_table(feed: str, learned: Sequence[Learned], fields: dict[str, str]) -> Table:
    """Learned limits as a difference from those in force."""
    table = Table(title=f"{feed}: limits in force → learned", title_justify="left")
    table.add_column("闸门", overflow="fold")
    for heading in ("通常", "现行", "学得", "批数"):
        table.add_column(heading, justify="right")
    for one in learned:
        now = one.in_force
        before = "—" if now is None else limits(one.gate, now.low, now.high)
        cells = (
            figure_zh(one.gate, one.item, fields),
            amount(one.gate, one.usual),
            before,
            limits(one.gate, one.low, one.high),
            str(one.batches),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def bar(observed: float | None, usual: float | None, low: float | None, high: float | None) -> str:
    """Limits (├─┤), the usual figure (┃) and the observed one (●) on one scale; empty when nothing is compared."""
    marks = [value for value in (observed, usual, low, high) if value is not None]
    if observed is None or usual is None:
        return ""
    first, last = min(marks), max(marks)
    width = (last - first) or 1.0

    def place(value: float) -> int:
        return round((value - first) / width * (_WIDTH - 1))

    drawn = [" "] * _WIDTH
    start = place(low) if low is not None else 0
    end = place(high) if high is not None else _WIDTH - 1
    drawn[start : end + 1] = "─" * (end - start + 1)
    drawn[start], drawn[end] = "├", "┤"
    drawn[place(usual)] = "┃"
    drawn[place(observed)] = "●"
    return "".join(drawn)
