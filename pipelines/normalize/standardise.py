"""Source rows to standard rows: the tables ``standard`` and ``repairs`` of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipelines.catalogue.categories import Category
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session, identifier
from pipelines.engine.rows import RowsPart
from pipelines.normalize.columns import plan_columns
from pipelines.normalize.explanation import explain, explain_filled, explain_made
from pipelines.normalize.queries import Cell, PartQueries
from pipelines.normalize.statuses import check_statuses, mark_states

PART = "normalize_part"
SUSPECTS = "normalize_suspects"
_CHANGES = pa.list_(pa.struct([("rule", pa.string()), ("old", pa.string()), ("new", pa.string())]))


@dataclass(frozen=True)
class StandardResult:
    """What became of the columns.

    ``unmapped_columns``: source columns that fill no field. ``missing_fields``: codes of required fields that no
    column fills in some part; every row of that part breaks a rule. ``unreadable_timestamps``: rows whose time
    stamp could not be read, so that they count as older than all others.
    """

    row_count: int
    unmapped_columns: tuple[str, ...]
    missing_fields: tuple[str, ...]
    unreadable_timestamps: int = 0


def standardise(
    session: Session, parts: Sequence[RowsPart], feed: Feed, category: Category, code_lists: dict[str, CodeList]
) -> StandardResult:
    """Create the tables ``standard``, ``repairs``, ``revocations`` and ``withheld`` from the rows of a run.

    ``standard`` has row_no, extract, sheet, line, each field of the category as VARCHAR in standard form (what
    cannot be repaired stays as cleaned text, empty is NULL), excluded_reason and source_timestamp (text that sorts
    by time). ``repairs`` has row_no, field, rule, old_value, new_value, one row per step that changed a value.
    ``revocations`` has row_no: rows that say that a decision was revoked; they are excluded. ``withheld`` has row_no
    and rule: rows whose status waits for the department, and the rule that accuses them.

    Raises :class:`BatchHeldError` when a column the feed names is absent, or when the header or the status is not of
    the declared edition or holds values that nobody declared.
    """
    fields = ", ".join(f"{identifier(code)} VARCHAR" for code in category.field_codes)
    session.execute(
        "CREATE OR REPLACE TABLE standard (row_no BIGINT, extract VARCHAR, sheet VARCHAR, line BIGINT, "
        f"{fields}, excluded_reason VARCHAR, source_timestamp VARCHAR)"
    )
    session.execute(
        "CREATE OR REPLACE TABLE repairs "
        "(row_no BIGINT, field VARCHAR, rule VARCHAR, old_value VARCHAR, new_value VARCHAR)"
    )
    session.execute("CREATE OR REPLACE TABLE revocations (row_no BIGINT)")
    session.execute("CREATE OR REPLACE TABLE withheld (row_no BIGINT, rule VARCHAR)")
    feeds = [feed.for_extract(part.extract_name) for part in parts]
    plans = [plan_columns(part, own, category, code_lists) for part, own in zip(parts, feeds, strict=True)]
    unreadable = 0
    for position, (part, own, plan) in enumerate(zip(parts, feeds, plans, strict=True)):
        unreadable += _standardise_part(session, PartQueries(PART, SUSPECTS, part, plan, own, category))
        if position == 0:
            # The first part, mostly the only one, becomes the table itself instead of being copied.
            session.execute("DROP TABLE standard")
            session.execute(f"ALTER TABLE {PART} RENAME TO standard")
        else:
            session.execute(f"INSERT INTO standard SELECT * FROM {PART}")
            session.execute(f"DROP TABLE {PART}")
    return StandardResult(
        session.count("standard"),
        tuple(dict.fromkeys(column for plan in plans for column in plan.unmapped)),
        tuple(dict.fromkeys(code for plan in plans for code in plan.missing)),
        unreadable,
    )


def _standardise_part(session: Session, queries: PartQueries) -> int:
    """Create the table of one part and explain its repairs; returns the number of unreadable time stamps.

    All rows are read once. Those that fail the cheap test are repaired from there and take the place of the
    suspect ones, so that tidy rows are neither read nor written a second time.
    """
    session.execute(f"CREATE OR REPLACE TABLE {PART} AS {queries.scan()}")
    # A table of their own makes the suspect rows dense: scattered ones would cost their whole vectors each step.
    session.execute(f"CREATE OR REPLACE TEMP TABLE {SUSPECTS} AS {queries.suspect_rows()}")
    session.execute(f"DELETE FROM {PART} WHERE _suspect > 0")
    untidy = _untidy_cells(session, queries.cells)
    looked_up = [cell for cell in untidy if cell.treatment.lookup and _look_up(session, queries, cell)]
    session.execute(f"INSERT INTO {PART} {queries.repaired(untidy, looked_up)}")
    for cell in queries.made_cells:
        explain_made(session, PART, cell)
    explain(session, SUSPECTS, untidy, looked_up)
    roles = queries.category.roles
    explain_filled(session, PART, "_kind_derived", roles.subject_kind, "ENUM-004")
    explain_filled(session, PART, "_number_borrowed", roles.document_number, "DOC-001")
    for flag, field, rule in queries.assumed():
        explain_filled(session, PART, flag, field, rule)
    session.execute(f"DROP TABLE {SUSPECTS}")
    if queries.plan.status is not None:
        check_statuses(session, PART, queries.part, queries.plan.status)
        mark_states(session, PART, queries.plan.status)
    unreadable = 0
    if queries.plan.timestamp is not None:
        given = queries.extra[queries.plan.timestamp]
        unreadable = session.one(f"SELECT count({given}) FROM {PART} WHERE source_timestamp IS NULL")[0]
    for column in queries.hidden:
        session.execute(f"ALTER TABLE {PART} DROP COLUMN {identifier(column)}")
    return int(unreadable)


def _untidy_cells(session: Session, cells: Sequence[Cell]) -> list[Cell]:
    """The fields in which any value of the suspect rows needs a repair."""
    counts = session.one(f"SELECT {', '.join(f'count(*) FILTER ({cell.untidy})' for cell in cells)} FROM {SUSPECTS}")
    return [cell for cell, count in zip(cells, counts, strict=True) if count]


def _look_up(session: Session, queries: PartQueries, cell: Cell) -> bool:
    """Send each different value that SQL leaves through the field's chain in Python; whether there was any."""
    keys = [str(row[0]) for row in session.rows(queries.keys(cell))]
    if not keys:
        return False
    found = [cell.treatment.look_up(key) for key in keys]
    changes = [[{"rule": c.rule, "old": c.old, "new": c.new} for c in result.changes] for result in found]
    table = pa.table(
        {
            "key": pa.array(keys, pa.string()),
            "value": pa.array([result.value for result in found], pa.string()),
            "changes": pa.array(changes, _CHANGES),
        }
    )
    session.register(cell.lookup_table, table)
    return True
