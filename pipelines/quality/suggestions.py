"""Suggestions: what a value was probably meant to be. Shown to people, never applied."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session
from pipelines.quality.rules import Suite
from pipelines.quality.suggested_amounts import suggest_amounts
from pipelines.quality.suggested_codes import suggest_codes
from pipelines.quality.suggested_columns import suggest_columns
from pipelines.quality.suggested_dates import suggest_dates

SUGGESTIONS = "suggestions"
SUSPICIOUS = "suspicious"


def create_suggestions(
    session: Session,
    category: Category,
    suite: Suite,
    business_date: date,
    read_numerals: Callable[[str], Decimal | None],
) -> int:
    """Make the table ``suggestions``; returns its count.

    Columns: row_no BIGINT, field VARCHAR, suggested VARCHAR, kind VARCHAR, evidence_zh VARCHAR, evidence_en VARCHAR.
    Only rows with reasons are looked at; ``suite`` are the rules that gave them. Nothing is suggested for restricted
    fields, and no evidence quotes a value. ``suggested`` is NULL where whole columns are out of place and no single
    value says it best.

    ``read_numerals`` reads a sum in Chinese numerals in 元. Reads ``facts`` and ``settled``, and where they exist the
    relations ``known_subjects`` (field, code, name_key, origin: ``batch``, ``store`` or ``registry``; an empty field
    stands for all) and ``column_order`` (part, first_row, rows, place, field: the fields of a file in the order of its
    columns).
    """
    session.execute(
        f"CREATE OR REPLACE TABLE {SUGGESTIONS} (row_no BIGINT, field VARCHAR, suggested VARCHAR, kind VARCHAR, "
        "evidence_zh VARCHAR, evidence_en VARCHAR);"
        f"CREATE OR REPLACE TEMP TABLE {SUSPICIOUS} AS "
        "SELECT row_no, reasons FROM settled WHERE len(reasons) > 0 AND outcome <> 'excluded'"
    )
    if session.count(SUSPICIOUS):
        suggest_codes(session, category)
        suggest_amounts(session, category, read_numerals)
        suggest_dates(session, category, suite, business_date)
        suggest_columns(session, category)
    session.execute(f"DROP TABLE {SUSPICIOUS}")
    return session.count(SUGGESTIONS)
