"""What is done to a field of each type: a cheap test, a chain of repairs, and where SQL ends and a look-up begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

from pipelines.catalogue.categories import Field
from pipelines.catalogue.code_lists import CodeList
from pipelines.engine.duck import literal
from pipelines.normalize.amounts import TIDY_AMOUNT, amount_from_yuan_column, amount_repairs, amount_with_unit
from pipelines.normalize.code_texts import (
    code_in_upper_case,
    code_of_18_digits,
    code_without_blanks,
    code_without_copy_number,
    code_without_hyphens,
    code_without_label,
    code_without_punctuation,
    digits_without_decimal_tail,
    digits_without_hyphens,
)
from pipelines.normalize.dates import TIDY_DATE, date_repairs, date_without_time
from pipelines.normalize.documents import half_width, name_with_wide_brackets
from pipelines.normalize.lists import Spellings, enum_repairs
from pipelines.normalize.steps import Repair, Standardised, Step, macro_step, run_steps, run_twins
from pipelines.normalize.texts import (
    name_on_one_line,
    name_or_null,
    text_on_one_line,
    text_or_null,
    text_without_invisible,
    text_without_markup,
    text_without_spreadsheet_trick,
    trimmed,
)

# A code that matches needs no repair. Every pattern holds a digit where the tokens for "nothing" hold letters only.
TIDY_CODES = {
    "uscc": "[0-9A-Z]{18}",
    "organisation_code": "[0-9A-Z]{8}[0-9X]",
    "registration_number": "[0-9]{13}|[0-9]{15}|[0-9A-Z]{18}",
    "tax_registration": "[0-9A-Z]{15}|[0-9A-Z]{18}",
    "institution_certificate": "[0-9]{12}|[0-9A-Z]{18}",
    "identity_document": "[0-9]{17}[0-9X]",
    "plain": "[0-9]{2,}|[0-9A-Z]{18}",
}

_TEXT = (
    macro_step("TXT-003", text_without_invisible),
    macro_step("TXT-005", text_on_one_line),
    macro_step("TXT-004", text_without_markup, wide=True),
    macro_step("TXT-008", trimmed),
    macro_step("TXT-006", text_without_spreadsheet_trick),
    macro_step("TXT-001", text_or_null),
)
_NAME = (
    macro_step("TXT-003", text_without_invisible),
    macro_step("TXT-005", name_on_one_line, wide=True),
    macro_step("TXT-004", text_without_markup, wide=True),
    macro_step("TXT-008", trimmed),
    macro_step("TXT-006", text_without_spreadsheet_trick),
    macro_step("NAME-001", name_with_wide_brackets, wide=True),
    macro_step("TXT-001", name_or_null),
)
_DOCUMENT_NUMBER = (_NAME[0], _NAME[1], *_TEXT[2:5], macro_step("TXT-001", name_or_null))


@dataclass(frozen=True)
class Treatment:
    """How the values of one field become standard.

    ``test`` says how untidy values are found: "text" and "name" by what they hold, "pattern" by not matching
    ``tidy`` as a whole. ``steps`` run in SQL on what is untidy. With a ``lookup``, each different value that does
    not match ``settled`` after them goes through that chain in Python, once. ``always`` are values that are
    treated although they are tidy, because the feed says what they mean.
    """

    test: Literal["text", "name", "pattern"]
    steps: tuple[Step, ...] = ()
    tidy: str = ""
    lookup: tuple[tuple[str, Repair], ...] = ()
    settled: str = ""
    always: tuple[str, ...] = ()

    def standardise(self, value: str | None) -> Standardised:
        """The slow twin of the whole treatment, for one value."""
        if value is None or value == "":
            return Standardised(None)
        stepped = run_steps(self.steps, value)
        key = stepped.value
        if not self.lookup or key is None or self._is_settled(key):
            return stepped
        looked_up = self.look_up(key)
        return Standardised(looked_up.value, stepped.changes + looked_up.changes)

    def look_up(self, key: str) -> Standardised:
        """The part of the chain that runs in Python, for one value that the steps have left."""
        return run_twins(self.lookup, key)

    def _is_settled(self, value: str) -> bool:
        return value not in self.always and re.fullmatch(self.settled, value) is not None


def treatment(
    field: Field,
    code_lists: Mapping[str, CodeList],
    *,
    own_values: Mapping[str, str] | None = None,
    unit: str | None = None,
    date_system_1904: bool = False,
) -> Treatment:
    """The treatment of ``field`` in one feed.

    ``own_values``: what the feed says its own spellings mean. ``unit``: the unit of an amount without one.
    """
    own = dict(own_values or {})
    always = tuple(own)
    declared = (("ENUM-001", _declared(own)),) if own else ()
    if field.type == "date":
        dates = date_repairs(open_end=field.open_end, date_system_1904=date_system_1904)
        cut = (macro_step("DATE-004", date_without_time, wide=True),)
        return Treatment("pattern", cut, TIDY_DATE, (*declared, *dates), TIDY_DATE, always)
    if field.type == "amount":
        regular: tuple[Step, ...] = (macro_step("AMT-001", amount_with_unit, wide=True),)
        in_yuan = unit == "元"
        if in_yuan:
            regular = (macro_step("AMT-003", amount_from_yuan_column, wide=True), *regular)
        # In a column of 元 no number is tidy but zero.
        return Treatment(
            "pattern",
            regular,
            "0" if in_yuan else TIDY_AMOUNT,
            (*declared, *amount_repairs(unit)),
            TIDY_AMOUNT,
            always,
        )
    if field.type in {"enum", "enum_multi"}:
        code_list = code_lists[field.code_list or ""]
        several = field.type == "enum_multi"
        tidy = _tidy_values(code_list, several=several)
        return Treatment("pattern", (), tidy, enum_repairs(Spellings(code_list, own), several=several), tidy, always)
    mapped = (_own_values_step(own),) if own else ()
    if field.type == "code":
        system = field.code_system or "plain"
        return Treatment("pattern", (*_code_steps(system), *mapped), TIDY_CODES[system], always=always)
    if field.type == "name":
        return Treatment("name", (*_NAME, *mapped), always=always)
    steps = _DOCUMENT_NUMBER if field.type == "document_number" else _TEXT
    return Treatment("text", (*steps, *mapped), always=always)


def _code_steps(system: str) -> tuple[Step, ...]:
    steps = [
        macro_step("TXT-003", text_without_invisible),
        macro_step("TXT-002", half_width, wide=True),
        macro_step("CODE-002", code_without_blanks),
        macro_step("TXT-006", text_without_spreadsheet_trick),
        macro_step("CODE-003", code_without_label),
        macro_step("CODE-006", code_without_punctuation),
    ]
    if system not in {"identity_document", "plain"}:
        steps.append(macro_step("CODE-004", code_without_copy_number))
    steps.append(macro_step("TXT-007", digits_without_decimal_tail))
    if system == "registration_number":
        steps.append(macro_step("CODE-002", digits_without_hyphens, wide=True))
    elif system != "plain":
        steps.append(macro_step("CODE-002", code_without_hyphens, wide=True))
    steps += [macro_step("CODE-001", code_in_upper_case, wide=True), macro_step("TXT-001", name_or_null)]
    if system == "identity_document":
        steps.append(macro_step("CODE-005", code_of_18_digits, wide=True))
    return tuple(steps)


def _tidy_values(code_list: CodeList, *, several: bool) -> str:
    """A pattern for what needs no look-up: each standard value, and two of them in a field that holds several."""
    values = [re.escape(value) for value in code_list.values]
    pairs = [f"{first};{second}" for first, second in permutations(values, 2)] if several else []
    return "|".join(values + pairs)


def _declared(own: Mapping[str, str]) -> Repair:
    return lambda value: own.get(value, value) or None


def _own_values_step(own: Mapping[str, str]) -> Step:
    """The feed's own values as a step of its own, applied to what the other repairs left."""
    cases = " ".join(f"WHEN {literal(value)} THEN nullif({literal(new)}, '')" for value, new in own.items())
    return Step("ENUM-001", _declared(own), lambda argument: f"CASE {argument} {cases} ELSE {argument} END", wide=True)
