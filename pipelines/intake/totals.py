"""Control totals: what the department says it sent, compared with what was read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal, Inexact, localcontext
from typing import Any

from pipelines.catalogue.headers import normalise_header
from pipelines.engine.duck import Session, identifier
from pipelines.engine.rows import RowsPart
from pipelines.errors import ExtractError
from pipelines.intake.connectors.contract import Declared
from pipelines.intake.reading import IntakeResult

# Numbers of a length that amounts have; sums of any number of them fit into so many digits.
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})")
_EXACT_DIGITS = 120
_BLANKS_AND_SEPARATORS = re.compile(r"[\s,']+")


def check_totals(session: Session, result: IntakeResult, declared: Mapping[str, Declared]) -> list[dict[str, Any]]:
    """Compare each declaration with the rows read; returns what was compared, fit for JSON.

    Lines that could not be decoded count as rows: the department sent them. An extract with the same bytes as another
    one of the batch counts once for itself, and again for all together. Amounts are added exactly. Raises
    :class:`ExtractError` when a total does not agree, or when cells of the amount column hold no number.
    """
    return [_compare(session, result, sha256, total) for sha256, total in declared.items()]


def _compare(session: Session, result: IntakeResult, sha256: str, total: Declared) -> dict[str, Any]:
    extracts = _extracts(result, sha256, total)
    compared: dict[str, Any] = {"extract": sha256, "where": total.where}
    undecoded = sum(_lines(result, extract)[1] for extract in extracts)
    if total.rows is not None:
        rows = sum(sum(_lines(result, extract)) for extract in extracts)
        compared |= {"rows_declared": total.rows, "rows_read": rows}
        if rows != total.rows:
            raise ExtractError(
                f"the department declares {total.rows:,} rows, {rows:,} were read",
                remedy="ask the department to send the whole extract again, or its right control totals",
                file=total.where,
            )
    if total.amount is not None and total.amount_column is not None:
        amount = _sum(session, result, extracts, total.amount_column, total.where)
        compared |= {
            "amount_column": total.amount_column,
            "amount_declared": f"{total.amount:f}",
            "amount_read": f"{amount:f}",
        }
        if amount != total.amount:
            lost = f"; {undecoded:,} lines could not be decoded" if undecoded else ""
            raise ExtractError(
                f"the department declares {total.amount:,f} in {total.amount_column}, the rows read add up to "
                f"{amount:,f}{lost}",
                remedy="ask the department to send the whole extract again, or its right control totals",
                file=total.where,
            )
    return compared


def _extracts(result: IntakeResult, sha256: str, total: Declared) -> list[str]:
    """The hashes of the extracts that a total speaks for, as often as the department sent them."""
    if sha256:
        return [sha256]
    # What came with earlier runs of the batch had totals of its own.
    return list(total.of) or [str(manifest["sha256"]) for manifest in result.extracts]


def _lines(result: IntakeResult, sha256: str) -> tuple[int, int]:
    """Rows decoded and lines undecoded of one extract."""
    read = [manifest for manifest in result.extracts if manifest["sha256"] == sha256 and "rows_decoded" in manifest]
    return (
        sum(int(manifest["rows_decoded"]) for manifest in read),
        sum(int(manifest["lines_undecoded"]) for manifest in read),
    )


def _sum(session: Session, result: IntakeResult, extracts: list[str], header: str, where: str) -> Decimal:
    """The exact sum of a source column; cells without anything in them count as nothing."""
    amount, bad, found = Decimal(0), 0, False
    for sha256 in extracts:
        for part in result.parts:
            column = _column(part, header)
            if part.extract == sha256 and column is not None:
                amount, part_bad = _add_up(session, part, column, amount)
                bad, found = bad + part_bad, True
    if not found:
        raise ExtractError(
            f"the column {header}, whose sum the department declares, is not in its rows",
            remedy="mend source.totals.amount_column in the feed's YAML, or ask the department for the column",
            file=where,
        )
    if bad:
        raise ExtractError(
            f"the sum of {header} cannot be compared: {bad:,} of its cells hold no number",
            remedy="ask the department for plain numbers in that column",
            file=where,
        )
    return amount


def _column(part: RowsPart, header: str) -> str | None:
    return next((name for name in part.columns if normalise_header(name) == normalise_header(header)), None)


def _add_up(session: Session, part: RowsPart, column: str, amount: Decimal) -> tuple[Decimal, int]:
    """``amount`` and one column of one part, and how many of its cells hold no number."""
    sql = f"""
        SELECT {identifier(column)} AS cell, count(*) AS cells
        FROM {part.source} WHERE {identifier(column)} IS NOT NULL GROUP BY ALL
    """
    bad = 0
    with localcontext(prec=_EXACT_DIGITS) as context:
        context.traps[Inexact] = True
        for batch in session.batches(sql):
            counts: list[int] = batch["cells"].to_numpy().tolist()
            for cell, cells in zip(batch["cell"].to_pylist(), counts, strict=True):
                text = _BLANKS_AND_SEPARATORS.sub("", unicodedata.normalize("NFKC", cell or ""))
                if _NUMBER.fullmatch(text):
                    amount += Decimal(text) * cells
                elif text:
                    bad += cells
    return amount, bad
