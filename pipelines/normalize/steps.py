"""Repairs as a chain of small steps, each with a rule code, an SQL form and a slow Python twin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

Repair = Callable[[str], str | None]


@dataclass(frozen=True)
class Change:
    """What one step did to one value. An empty value is None."""

    rule: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Standardised:
    """A value after its chain, and the steps that changed it."""

    value: str | None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Step:
    """One repair. ``sql`` turns the SQL of a value into the SQL of the repaired value.

    ``wide`` steps name their argument more than once: given anything but a column, the SQL would grow with every
    step.
    """

    rule: str
    twin: Repair
    sql: Callable[[str], str]
    wide: bool = False


def macro_step(rule: str, twin: Repair, *, wide: bool = False) -> Step:
    """A step whose SQL form is the macro with the twin's own name."""
    name = str(getattr(twin, "__name__", ""))
    return Step(rule, twin, lambda argument: f"{name}({argument})", wide)


def run_twins(repairs: Iterable[tuple[str, Repair]], value: str | None) -> Standardised:
    """Send one value through a chain of (rule, repair); stops when nothing is left of it."""
    changes: list[Change] = []
    current = value
    for rule, repair in repairs:
        if current is None:
            break
        repaired = repair(current)
        if repaired != current:
            changes.append(Change(rule, current, repaired))
            current = repaired
    return Standardised(current, tuple(changes))


def run_steps(steps: Iterable[Step], value: str | None) -> Standardised:
    """Send one value through the twins of ``steps``."""
    return run_twins(((step.rule, step.twin) for step in steps), value)


def stages(steps: Iterable[Step]) -> list[tuple[Step, ...]]:
    """Steps grouped so that each group nests into one expression: a wide step always heads its group."""
    groups: list[list[Step]] = []
    for step in steps:
        if step.wide or not groups:
            groups.append([step])
        else:
            groups[-1].append(step)
    return [tuple(group) for group in groups]


def nested_sql(group: Iterable[Step], argument: str) -> str:
    """The SQL of a group of steps, one inside the other."""
    for step in group:
        argument = step.sql(argument)
    return argument
