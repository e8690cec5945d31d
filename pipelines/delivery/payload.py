"""A record as an endpoint wants it: all values are text, dates in its format, restricted fields by its policy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.endpoints import Endpoint


class PayloadError(Exception):
    """A stored value that cannot be sent; names the field, never the value."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        super().__init__(f"{field}: {problem}")


def record_data(row: Mapping[str, object], category: Category, endpoint: Endpoint) -> dict[str, str]:
    """Field code → text for every field of ``category`` that has a value and may go to this endpoint.

    Dates are ``date`` objects, amounts ``Decimal`` in 万元 (sent as plain decimal text, because JSON numbers
    lose digits); everything else is text. Raises :class:`PayloadError` for any other type.
    """
    drop_restricted = endpoint.restricted_fields == "drop" or endpoint.audience == "public"
    data: dict[str, str] = {}
    for field in category.fields:
        if drop_restricted and field.exposure == "restricted":
            continue
        value = row.get(field.code)
        if value is not None and value != "":
            data[field.code] = _text(field, value, endpoint.date_format)
    return data


def renamed(data: Mapping[str, str], category: Category, endpoint: Endpoint) -> dict[str, str]:
    """The same values under the names that the endpoint's file gives the fields of this category."""
    names = endpoint.fields.get(category.category, {})
    return {names.get(code, code): text for code, text in data.items()}


def _text(field: Field, value: object, date_format: str) -> str:
    if field.type == "date":
        if not isinstance(value, date) or isinstance(value, datetime):
            raise PayloadError(field.code, "not a date")
        return value.strftime(date_format)
    if field.type == "amount":
        if not isinstance(value, Decimal) or not value.is_finite():
            raise PayloadError(field.code, "not an amount")
        return _plain(value)
    if not isinstance(value, str):
        raise PayloadError(field.code, "not text")
    return value


def _plain(amount: Decimal) -> str:
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
