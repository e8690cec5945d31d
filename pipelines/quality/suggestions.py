"""Suggestions: what a value was probably meant to be. Shown to people, never applied."""

from __future__ import annotations

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session

SUGGESTIONS = "suggestions"


def create_suggestions(session: Session, category: Category) -> int:
    """Make the table ``suggestions``; returns its count.

    Columns: row_no BIGINT, field VARCHAR, suggested VARCHAR, kind VARCHAR, evidence_zh VARCHAR, evidence_en VARCHAR.
    """
    session.execute(
        f"CREATE OR REPLACE TABLE {SUGGESTIONS} (row_no BIGINT, field VARCHAR, suggested VARCHAR, kind VARCHAR, "
        "evidence_zh VARCHAR, evidence_en VARCHAR)"
    )
    return 0
