"""Why a value changed: the same chain once more, step by step, over the values that were untidy."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.engine.duck import Session, identifier, literal
from pipelines.normalize.queries import Cell
from pipelines.normalize.steps import Step


def explain(session: Session, suspects: str, untidy: Sequence[Cell], looked_up: Sequence[Cell]) -> None:
    """Add a row to ``repairs`` for each step that changed a value: row_no, field, rule, old and new value.

    ``suspects`` holds the rows as they came, ``untidy`` are the fields with values that went through their chain.
    """
    chains: dict[tuple[Step, ...], list[Cell]] = {}
    for cell in untidy:
        if cell.treatment.steps:
            chains.setdefault(cell.treatment.steps, []).append(cell)
    for steps, sharing in chains.items():
        came = " UNION ALL ".join(_untidy_values(suspects, cell) for cell in sharing)
        session.execute(_insert(_changed_steps(steps, _each_step(steps, came))))
    for cell in looked_up:
        steps = cell.treatment.steps
        stepped = _each_step(steps, _untidy_values(suspects, cell))
        session.execute(
            _insert(
                "SELECT row_no, field, step.rule AS rule, step.old AS old, step.new AS new FROM (SELECT row_no, field, "
                f"unnest(changes) AS step FROM ({stepped}) JOIN {cell.lookup_table} ON s{len(steps)} = key)"
            )
        )


def explain_filled(session: Session, relation: str, flag: str, field: str, rule: str) -> None:
    """Add the rows of ``relation`` whose empty ``field`` was filled from another one, as ``flag`` says."""
    session.execute(
        f"INSERT INTO repairs SELECT row_no, {literal(field)}, {literal(rule)}, NULL, {identifier(field)} "
        f"FROM {relation} WHERE {flag}"
    )


def explain_made(session: Session, relation: str, cell: Cell) -> None:
    """Add a row for each value that was joined or split, from the cells it was made of.

    Where a restricted field reads one of the columns too, the cells are covered: they may name more than this field.
    """
    cells = cell.cells_that_came
    came = f"nullif(concat_ws(' + ', {', '.join(cells)}), '')" if len(cells) > 1 else cells[0]
    rule = "MAP-001" if cell.source.how is not None and cell.source.how.join else "MAP-002"
    old = "mask_document_number(came)" if cell.source.covered else "came"
    # Kept for a moment, so that the comparison does not make every value a second time.
    session.execute(
        f"INSERT INTO repairs WITH pairs AS MATERIALIZED "
        f"(SELECT row_no, {came} AS came, {cell.made(cells)} AS made FROM {relation}) "
        f"SELECT row_no, {literal(cell.source.field.code)}, {literal(rule)}, {old}, made "
        "FROM pairs WHERE came IS DISTINCT FROM made"
    )


def _insert(query: str) -> str:
    return f"INSERT INTO repairs SELECT row_no, field, rule, old, new FROM ({query})"


def _untidy_values(suspects: str, cell: Cell) -> str:
    field = literal(cell.source.field.code)
    return f"SELECT row_no, {field} AS field, {cell.column} AS s0 FROM {suspects} WHERE {cell.untidy}"


def _each_step(steps: Sequence[Step], query: str) -> str:
    """The value after each step as s1, s2, ...; each step sees a column, so that wide ones cost nothing more."""
    for number, step in enumerate(steps):
        query = f"SELECT *, {step.sql(f's{number}')} AS s{number + 1} FROM ({query})"
    return query


def _changed_steps(steps: Sequence[Step], stepped: str) -> str:
    numbers = range(len(steps))
    changed = ", ".join(f"CASE WHEN s{n} IS DISTINCT FROM s{n + 1} THEN {n} END" for n in numbers)
    rule = " ".join(f"WHEN {n} THEN {literal(step.rule)}" for n, step in enumerate(steps))
    old = " ".join(f"WHEN {n} THEN s{n}" for n in numbers)
    new = " ".join(f"WHEN {n} THEN s{n + 1}" for n in numbers)
    return (
        f"SELECT row_no, field, CASE step {rule} END AS rule, CASE step {old} END AS old, CASE step {new} END AS new "
        f"FROM (SELECT *, unnest(list_filter([{changed}], lambda step: step IS NOT NULL)) AS step FROM ({stepped}))"
    )
