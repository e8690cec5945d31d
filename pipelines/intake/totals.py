"""Control totals: what the department says it sent, compared with what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.engine.duck import Session
from pipelines.errors import ExtractError
from pipelines.intake.connectors.contract import Declared
from pipelines.intake.reading import IntakeResult


def check_totals(session: Session, result: IntakeResult, declared: Mapping[str, Declared]) -> list[dict[str, Any]]:
    """Compare each declaration with the rows read; returns what was compared, fit for JSON.

    Lines that could not be decoded count as rows: the department sent them. Raises :class:`ExtractError` when a
    total does not agree.
    """
    compared: list[dict[str, Any]] = []
    for sha256, total in declared.items():
        read = sum(
            manifest.get("rows_decoded", 0) + manifest.get("lines_undecoded", 0)
            for manifest in result.extracts
            if sha256 in {"", manifest["sha256"]}
        )
        compared.append({"extract": sha256, "where": total.where, "rows_declared": total.rows, "rows_read": read})
        if total.rows is not None and total.rows != read:
            raise ExtractError(
                f"the department declares {total.rows:,} rows, {read:,} were read",
                remedy="ask the department to send the whole extract again",
                file=total.where,
            )
    return compared
