"""What a gate asks of the table of figures, in SQL."""

from __future__ import annotations

from pipelines.engine.duck import identifier, literal
from pipelines.quality.checks import Check


def figures_of_gate(gate: str) -> str:
    """TRUE for the figures of one gate."""
    return f"gate = {literal(gate)}"


def gate_check(column: str, gate: str) -> Check:
    """Figures of one gate that are comparable lie between their limits; a missing limit is none."""
    figure = identifier(column)
    within = f"coalesce({figure} >= low, TRUE) AND coalesce({figure} <= high, TRUE)"
    return Check(f"{figures_of_gate(gate)} AND applicable", within)
