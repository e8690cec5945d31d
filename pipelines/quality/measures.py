"""Measures: additive counts of a judged batch, from which every figure can be computed again."""

from __future__ import annotations

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session
from pipelines.quality.rules import Suite

MEASURES = "measures"


def create_measures(session: Session, suite: Suite, category: Category) -> None:
    """Make the table ``measures``: name VARCHAR, item VARCHAR, value BIGINT."""
    session.execute(f"CREATE OR REPLACE TABLE {MEASURES} (name VARCHAR, item VARCHAR, value BIGINT)")
