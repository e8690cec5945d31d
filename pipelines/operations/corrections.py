"""Corrections: what departments wrote into workbooks that came back, applied to the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pipelines.engine.duck import Session
from pipelines.engine.rows import RowsPart
from pipelines.operations.context import Context


def correction_hashes(context: Context, feed: str, business_date: date) -> tuple[str, ...]:
    """SHA-256 of the workbooks that came back for a batch, in the order in which they count."""
    return ()


def apply_corrections(
    context: Context, session: Session, feed: str, business_date: date, parts: Sequence[RowsPart], folder: Path
) -> None:
    """Rewrite the rows files of a run with the corrected cells; what changed stands in ``corrections.parquet``."""
