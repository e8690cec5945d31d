"""Control totals in a file that the department puts beside its extracts."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

from pipelines.catalogue.sources import Totals
from pipelines.errors import ExtractError
from pipelines.intake.connectors.contract import Declared
from pipelines.intake.decoding import byte_order_mark

# A totals file holds a few figures; a larger one is something else under its name.
MOST_BYTES = 64 << 10


def declared_in(data: bytes, totals: Totals, place: str, *, of: tuple[str, ...] = ()) -> Declared:
    """Read control totals off a file's bytes (UTF-8, UTF-16 with its mark, or GB18030).

    ``of`` are the extracts they speak for. Raises :class:`ExtractError` when a figure that the feed expects is not
    there; ``place`` is the file's name in that message.
    """
    if len(data) > MOST_BYTES:
        raise ExtractError(
            f"the control totals have more than {MOST_BYTES:,} bytes",
            remedy="check that source.totals.file in the feed's YAML names the right file",
            file=place,
        )
    text = _text(data, place)
    rows = None if totals.rows is None else _figure(totals.rows, text, "rows", place)
    amount = None if totals.amount is None else _figure(totals.amount, text, "amount", place)
    if rows is not None and (rows != rows.to_integral_value() or rows < 0):
        raise _no_figure("rows", place)
    return Declared(
        where=place,
        rows=None if rows is None else int(rows),
        amount=amount,
        amount_column=totals.amount_column,
        of=of,
    )


def _text(data: bytes, place: str) -> str:
    encoding, _ = byte_order_mark(data)
    for candidate in ("utf-8-sig", "gb18030") if encoding is None else (encoding,):
        try:
            return data.decode(candidate).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
    raise ExtractError(
        "the control totals are neither UTF-8 nor GB18030 text",
        remedy="ask the department for its control totals as a text file",
        file=place,
    )


def _figure(pattern: str, text: str, key: str, place: str) -> Decimal:
    found = re.search(pattern, text)
    if found is None or found[1] is None:
        raise _no_figure(key, place)
    try:
        figure = Decimal(re.sub(r"[\s,]", "", unicodedata.normalize("NFKC", found[1])))
    except InvalidOperation:
        raise _no_figure(key, place) from None
    if not figure.is_finite():
        raise _no_figure(key, place)
    return figure


def _no_figure(key: str, place: str) -> ExtractError:
    return ExtractError(
        f"source.totals.{key} finds no number in the control totals",
        remedy="ask the department for complete control totals, or mend the expression in the feed's YAML",
        file=place,
    )
