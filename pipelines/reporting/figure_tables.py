"""Figures, what-if answers and estimates for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from rich.table import Table
from rich.text import Text

from pipelines.catalogue.figure_profiles import FigureProfile
from pipelines.reporting.figures import Figure, FigureLine, Silence
from pipelines.reporting.underreporting import UnreportedEstimate
from pipelines.reporting.what_if import Step, WhatIf
from pipelines.reporting.words import RuleTexts, rule_text

_STYLES = {"good": "green", "fair": "yellow", "bad": "bold red"}
_EVERYTHING = "合计"
NOT_FINAL = "*"


def line_name(line: FigureLine) -> str:
    """What the figures of a line are about."""
    parts = (line.day, line.month and f"{line.month:%Y-%m}", line.department, line.category, line.feed)
    return " ".join(str(part) for part in parts if part) or _EVERYTHING


def figure_table(profile: FigureProfile, lines: Sequence[FigureLine], since: date, until: date) -> Table:
    """One row per figure, one column per line: value, and what it was computed from."""
    table = Table(
        title=f"{profile.name_zh} {since}–{until}",
        caption="* may still change: receivers have not answered" if lines else "no facts: nothing was published",
        show_lines=True,
    )
    table.add_column("")
    for line in lines:
        table.add_column(line_name(line), justify="right")
    for definition in profile.figures:
        cells = [_cell(line.figures.get(definition.figure)) for line in lines]
        table.add_row(Text.assemble(definition.name_zh, "\n", (definition.name_en, "dim")), *cells)
    return table


def _cell(figure: Figure | None) -> Text:
    if figure is None:
        return Text("—", "dim")
    text = Text(figure.text + ("" if figure.is_final else NOT_FINAL), _STYLES.get(figure.level or "", ""))
    if figure.denominator is not None:
        text.append(f"\n{figure.numerator:,} ÷ {figure.denominator:,}", "dim")
    return text


def figures_as_json(
    profile: FigureProfile, lines: Sequence[FigureLine], since: date, until: date, silent: Sequence[Silence]
) -> dict[str, Any]:
    """Profile, period, silent feeds and all lines: numerators and denominators, with the shown text beside them."""
    return {
        "profile": profile.profile,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "silent": [{"feed": one.feed, "last": one.last and one.last.isoformat(), "days": one.days} for one in silent],
        "lines": [
            {
                **{
                    name: str(value)
                    for name in ("day", "month", "department", "category", "feed")
                    if (value := getattr(line, name)) is not None
                },
                "figures": {code: _figure_as_json(figure) for code, figure in line.figures.items()},
            }
            for line in lines
        ],
    }


def _figure_as_json(figure: Figure) -> dict[str, Any]:
    return {
        "name_zh": figure.definition.name_zh,
        "numerator": figure.numerator,
        "denominator": figure.denominator,
        "text": figure.text,
        "unit": figure.definition.unit,
        "level": figure.level,
        "final": figure.is_final,
        "batches": figure.batches,
    }


def what_if_table(found: WhatIf, texts: RuleTexts) -> Table:
    """The figure as it is, then what each step makes of it."""
    name = found.definition.name_zh
    caption = f"{found.batches} batches" + (
        f", {found.cleared} of them without files: their rows count as they are" if found.cleared else ""
    )
    table = Table(
        title=f"{name} {found.text} ({found.numerator:,} ÷ {found.denominator:,})", caption=caption, show_lines=True
    )
    for title in ("if fixed", "problem"):
        table.add_column(title, overflow="fold")
    for title in ("rows", name):
        table.add_column(title, justify="right")
    lines: list[tuple[str, Step]] = [(f"{place}. ", step) for place, step in enumerate(found.steps, 1)]
    lines += [("best pair: ", found.best_pair)] if found.best_pair else []
    lines += [("as asked: ", found.asked)] if found.asked else []
    for title, step in lines:
        table.add_row(
            title + ", ".join(step.reasons),
            "\n".join(rule_text(texts, reason).message_zh for reason in step.reasons),
            f"{step.rows:,}",
            f"{step.text}\n{step.numerator:,} ÷ {step.denominator:,}",
        )
    return table


def what_if_as_json(found: WhatIf) -> dict[str, Any]:
    """The answer with numerators and denominators."""

    def step_as_json(step: Step | None) -> dict[str, Any] | None:
        if step is None:
            return None
        return {
            "reasons": list(step.reasons),
            "fixed": list(step.fixed),
            "rows": step.rows,
            "accepted": step.accepted,
            "numerator": step.numerator,
            "denominator": step.denominator,
            "text": step.text,
        }

    return {
        "figure": found.definition.figure,
        "numerator": found.numerator,
        "denominator": found.denominator,
        "text": found.text,
        "steps": [step_as_json(step) for step in found.steps],
        "best_pair": step_as_json(found.best_pair),
        "asked": step_as_json(found.asked),
        "batches": found.batches,
        "cleared": found.cleared,
    }


def unreported_table(found: UnreportedEstimate) -> Table:
    """Series with missing numbers, then feeds below their season; the caveats are the caller's to print."""
    table = Table(
        title=f"疑似未报送（估计） {found.since}–{found.until}",
        caption=f"{found.unsuitable} series are too short or too sparse to say anything",
        show_lines=True,
    )
    for title in ("feed", "series, or what is expected"):
        table.add_column(title, overflow="fold")
    for title in ("seen", "missing"):
        table.add_column(title, justify="right")
    table.add_column("where", overflow="fold")
    for one in found.series:
        table.add_row(
            one.feed, f"{one.authority} {one.series}", f"{one.seen:,}", f"{one.missing:,}", "、".join(one.examples)
        )
    for volume in found.volumes:
        table.add_row(
            volume.feed, f"{volume.expected:,} expected ({volume.basis})", f"{volume.observed:,}",
            f"{volume.shortfall:,}", "",
        )  # fmt: skip
    return table


def unreported_as_json(found: UnreportedEstimate) -> dict[str, Any]:
    """The estimate, which says of itself that it is one."""
    return {
        "kind": "estimate",
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "series": [
            {
                "feed": one.feed,
                "authority": one.authority,
                "series": one.series,
                "seen": one.seen,
                "missing": one.missing,
                "examples": list(one.examples),
            }
            for one in found.series
        ],
        "unsuitable": found.unsuitable,
        "volumes": [
            {
                "feed": one.feed,
                "observed": one.observed,
                "expected": one.expected,
                "shortfall": one.shortfall,
                "basis": one.basis,
            }
            for one in found.volumes
        ],
        "caveats": list(found.caveats),
    }
