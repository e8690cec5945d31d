"""Expectation types in SQL: when a rule applies to a row, and when the row keeps it.

The expressions read the columns of the facts (see :mod:`pipelines.quality.facts`). Great Expectations' own types
that suites use are described here as well, so that the scan judges them by the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.engine.duck import identifier, literal
from pipelines.errors import CatalogueError
from pipelines.quality.rules import PARAMETER, Rule

ALWAYS = "TRUE"


@dataclass(frozen=True)
class Check:
    """Two SQL booleans over one row. A NULL in either counts in favour of the row."""

    applies: str
    holds: str

    @property
    def broken(self) -> str:
        """TRUE for rows that break the rule, FALSE or NULL otherwise."""
        # CASE, because DuckDB computes both sides of an AND that stands in a projection.
        return f"CASE WHEN {self.applies} THEN NOT ({self.holds}) ELSE FALSE END"


def check_of(rule: Rule, parameters: Mapping[str, str]) -> Check:
    """The check behind a rule, suite parameters filled in; :class:`CatalogueError` for an unknown type or argument."""
    arguments = {name: _filled(rule, value, parameters) for name, value in rule.kwargs.items()}
    try:
        return build_check(rule.type or "", arguments)
    except KeyError as error:
        raise CatalogueError(
            f"the rule {rule.code} has the unknown expectation type {rule.type}",
            remedy=f"use one of {', '.join(sorted(_BUILDERS))}",
        ) from error
    except TypeError as error:
        raise CatalogueError(
            f"the rule {rule.code} has wrong kwargs for {rule.type}: {error}", remedy="mend the kwargs of the rule"
        ) from error


def build_check(type_: str, arguments: Mapping[str, Any]) -> Check:
    """The check of an expectation type; ``KeyError`` for an unknown type, ``TypeError`` for wrong arguments."""
    return _BUILDERS[type_](**arguments)


def known_types() -> frozenset[str]:
    return frozenset(_BUILDERS)


def _filled(rule: Rule, value: Any, parameters: Mapping[str, str]) -> Any:
    if not (isinstance(value, Mapping) and PARAMETER in value):
        return value
    name = value[PARAMETER]
    if name not in parameters:
        raise CatalogueError(
            f"the rule {rule.code} asks for the unknown parameter {name}",
            remedy=f"use one of {', '.join(sorted(parameters))}",
        )
    return parameters[name]


def _present(column: str) -> str:
    return f"{identifier(column)} IS NOT NULL"


def _not_null(column: str) -> Check:
    return Check(ALWAYS, _present(column))


def _in_set(column: str, value_set: list[str]) -> Check:
    values = ", ".join(literal(value) for value in value_set)
    return Check(_present(column), f"{identifier(column)} IN ({values})")


def _lengths(column: str, max_value: int, min_value: int = 0) -> Check:
    """Characters; a text of no more bytes than allowed characters need not be counted."""
    quoted = identifier(column)
    lower = f"length({quoted}) >= {int(min_value)} AND " if min_value else ""
    return Check(
        _present(column), f"{lower}(strlen({quoted}) <= {int(max_value)} OR length({quoted}) <= {int(max_value)})"
    )


def _bytes(column: str, max_value: int, encoding: str) -> Check:
    if encoding not in {"gbk", "utf8"}:
        raise TypeError("encoding must be gbk or utf8")
    quoted, most = identifier(column), int(max_value)
    if encoding == "utf8":
        return Check(_present(column), f"strlen({quoted}) <= {most}")
    # A text never has more bytes in GBK than in UTF-8, and those need not be counted.
    return Check(
        _present(column), f"CASE WHEN strlen({quoted}) <= {most} THEN TRUE ELSE gbk_bytes({quoted}) <= {most} END"
    )


def _satisfy(column: str, predicate: str, applies_when: str | None = None) -> Check:
    return Check(applies_when or _present(column), predicate)


def _required_when(column: str, condition: str) -> Check:
    return Check(condition, _present(column))


def _blank_when(column: str, condition: str) -> Check:
    return Check(condition, f"{identifier(column)} IS NULL")


def _code_list(column: str, values: list[str], open_entry: str | None = None, separator: str | None = None) -> Check:
    """Membership as one regular expression: values, the open entry with its text, several joined by a separator."""
    barred = f"[^{separator}]" if separator else "."
    single = "|".join(_quoted(value) + (f"(?:-{barred}*)?" if value == open_entry else "") for value in values)
    pattern = f"(?:{single})(?:{separator}(?:{single}))*" if separator else f"(?:{single})"
    matched = f"regexp_full_match({identifier(column)}, {literal(pattern)})"
    plain = ", ".join(literal(value) for value in values)
    return Check(_present(column), f"CASE WHEN {identifier(column)} IN ({plain}) THEN TRUE ELSE {matched} END")


def _open_entry(column: str, open_entry: str, separator: str | None = None) -> Check:
    start, end = (f"(?:^|{separator})", f"(?:$|{separator})") if separator else ("^", "$")
    pattern = f"{start}{_quoted(open_entry)}-?[ ]*{end}"
    bare = f"regexp_matches({identifier(column)}, {literal(pattern)})"
    mentioned = f"contains({identifier(column)}, {literal(open_entry)})"
    return Check(_present(column), f"CASE WHEN {mentioned} THEN NOT {bare} ELSE TRUE END")


def _dates_readable(column: str) -> Check:
    return Check(_present(column), f"{identifier(column + '_date')} IS NOT NULL")


def _amounts_readable(column: str, min_value: str = "0") -> Check:
    amount = identifier(column + "_amount")
    return Check(_present(column), f"{amount} IS NOT NULL AND {amount} >= {float(min_value):g}")


def _not_after(column: str, latest: str) -> Check:
    date = identifier(column + "_date")
    return Check(f"{date} IS NOT NULL", f"{date} <= {_date(latest)}")


def _not_before(column: str, earliest: str) -> Check:
    date = identifier(column + "_date")
    return Check(f"{date} IS NOT NULL", f"{date} >= {_date(earliest)}")


def _stamped_by(column: str, latest: str) -> Check:
    """The source's own time stamp; a file pulled in the night after its day may have been written in that night."""
    return Check("stamped_on IS NOT NULL", f"stamped_on <= {_date(latest)} + INTERVAL 1 DAY")


def _in_order(column: str, earlier: str) -> Check:
    date, before = identifier(column + "_date"), identifier(earlier + "_date")
    return Check(f"{date} IS NOT NULL AND {before} IS NOT NULL", f"{before} <= {date}")


def _verdict(column: str, refused: list[str], unless: str | None = None) -> Check:
    verdict = identifier(column + "_verdict")
    values = ", ".join(literal(value) for value in refused)
    # A missing verdict (no resident identity card) is in favour of the row.
    excused = f"({unless})" if unless else "FALSE"
    return Check(_present(column), f"CASE WHEN {verdict} IN ({values}) THEN {excused} ELSE TRUE END")


def _quoted(value: str) -> str:
    return "".join("\\" + letter if letter in r"\.+*?()|[]{}^$" else letter for letter in value)


def _date(value: str) -> str:
    return f"DATE {literal(value)}"


_BUILDERS: dict[str, Callable[..., Check]] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_bytes_to_be_at_most": _bytes,
    "expect_rows_to_satisfy": _satisfy,
    "expect_column_to_be_present_when": _required_when,
    "expect_column_to_be_blank_when": _blank_when,
    "expect_column_to_follow_code_list": _code_list,
    "expect_column_open_entry_to_be_explained": _open_entry,
    "expect_column_dates_to_be_readable": _dates_readable,
    "expect_column_amounts_to_be_readable": _amounts_readable,
    "expect_column_dates_to_be_not_after": _not_after,
    "expect_column_dates_to_be_not_before": _not_before,
    "expect_column_dates_to_follow": _in_order,
    "expect_source_timestamp_to_be_not_after": _stamped_by,
    "expect_column_code_verdict_to_be_accepted": _verdict,
}
