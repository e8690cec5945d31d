"""The four sample feeds: how many rows, which defects how often, and the rows that repeat or contradict others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random

from data_samples.generator import files
from data_samples.generator.city import ORGANISATION, PERSON, Subject, adult, nonstandard_code
from data_samples.generator.licences import housing_licence, market_licence
from data_samples.generator.penalties import ecology_penalty, market_penalty
from data_samples.generator.registry import KNOWN
from data_samples.generator.rows import Row

CODES = {
    "code_full_width": 12, "code_lower_case": 14, "code_with_blanks": 12, "code_with_hyphens": 8, "code_with_label": 6,
    "licence_copy_number": 8, "apostrophe": 8, "code_issued_nonstandard": 4, "hyphenated_organisation_code": 12,
    "empty_token_in_registration": 30, "empty_token_in_remarks": 40, "name_with_blanks": 12, "name_with_full_stop": 2,
    "name_brackets": 6, "date_with_dots": 16, "date_compact": 12, "date_with_time": 12, "open_end_in_words": 16,
    "open_end_without_limit": 8, "end_of_time": 6, "document_number_brackets": 16, "document_number_full_width": 6,
    "line_break_in_cell": 10, "entities": 8, "document_year": 4, "registration_internal_number": 4, "lost_character": 4,
    "several_parties": 1, "formula_in_remarks": 4,
    "code_too_short": 6, "code_check_character": 14, "code_excluded_letter": 6, "code_scientific": 6,
    "code_float_truncated": 5, "placeholder_of_a_company": 4, "code_of_a_keyboard": 4, "person_number_as_code": 6,
    "name_is_the_code": 3, "name_masked": 5, "code_masked": 5, "name_missing": 5, "representative_missing": 8,
    "content_missing": 6, "decision_date_missing": 4, "date_day_first": 6, "date_in_the_future": 8, "text_garbled": 4,
    "remarks_too_long": 3, "test_data": 4, "secret": 2,
}  # fmt: skip
"""Defects of every feed: name → how many rows."""
TEXT_FILES = {
    "date_serial": 12, "date_of_a_database": 6, "excel_text_formula": 6, "undecodable": 2, "cells_missing": 3,
    "cells_too_many": 3, "binary": 1,
}  # fmt: skip
KINDS = {"kind_alias": 30, "kind_missing": 10, "placeholder_of_a_trader": 6, "code_missing": 6}
PENALTIES = {
    "fine_with_yuan": 10, "fine_grouped": 8, "fine_with_ten_thousand": 8, "fine_in_capitals": 6, "fine_full_width": 5,
    "classes_with_commas": 10, "classes_with_bars": 6, "class_synonym": 8, "date_in_words": 10, "phone_in_facts": 4,
    "amount_without_class": 3, "document_number_missing": 5, "facts_missing": 5, "authority_missing": 5,
    "validity_before_decision": 6, "class_without_amount": 8, "fine_negative": 4, "class_unknown": 6,
    "class_other_unexplained": 6, "identity_without_type": 4, "fifteen_digit_identity": 6,
}  # fmt: skip
LICENCES = {
    "status_in_words": 20, "status_as_float": 8, "document_number_is_the_licence_number": 5, "validity_inverted": 8,
    "permit_other_unexplained": 6, "permit_class_unknown": 8, "status_undeclared": 5,
}  # fmt: skip
PERSONS = {"minor": 1, "identity_check_character": 1, "identity_masked": 1}
TOGETHER = ("code_check_character", "content_missing", 4)
"""Two defects in one row: rows with the first get the second as well."""


@dataclass(frozen=True)
class Feed:
    """One sample file.

    ``repeats`` counts exact duplicates, superseded rows and pairs that contradict each other; ``dialect`` is what
    the department writes for standard values (key → standard value → its own word).
    """

    code: str
    file: str
    rows: int
    persons: int
    plan: Mapping[str, int]
    repeats: tuple[int, int, int]
    make: Callable[..., Row]
    write: Callable[[Path, list[Row]], list[int]]
    dialect: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


FEEDS = (
    Feed(
        "ecology_penalty", "行政处罚报送表.xlsx", 2050, 0,
        CODES | KINDS | PENALTIES | {"date_of_a_database": 4},
        (12, 10, 0),
        ecology_penalty,
        files.write_workbook,
    ),
    Feed(
        "market_penalty", "market_penalty_20261120.csv", 2400, 14,
        PERSONS | CODES | TEXT_FILES | KINDS | PENALTIES
        | {"simple_procedure": 60, "fine_in_yuan": 8, "fine_too_precise": 4},
        (24, 16, 3),
        market_penalty,
        lambda path, rows: files.write_delimited(path, files.MARKET_PENALTY, rows, files.MARKET_PENALTY_FORM),
        {"XDR_LB": {ORGANISATION: "企业及其他组织"}},
    ),
    Feed(
        "market_licence", "法人许可_20261120.csv", 2300, 0,
        CODES | TEXT_FILES | LICENCES | {"date_in_words": 10, "status_normal": 10, "line_in_another_encoding": 2},
        (16, 0, 3),
        market_licence,
        lambda path, rows: files.write_delimited(path, files.MARKET_LICENCE, rows, files.MARKET_LICENCE_FORM),
    ),
    Feed(
        "housing_licence", "housing_licence.csv", 2200, 8,
        PERSONS | CODES | TEXT_FILES | KINDS | LICENCES | {"identity_without_type": 4},
        (10, 0, 2),
        housing_licence,
        lambda path, rows: files.write_delimited(path, files.HOUSING_LICENCE, rows, files.HOUSING_LICENCE_FORM),
        {
            "XDR_LB": {ORGANISATION: "企业单位", PERSON: "从业人员"},
            "XKLB": {"核准": "资质核准", "认可": "人员认可"},
            "ZT": {"1": "在用", "2": "注销"},
        },
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """The rows of one feed in file order; ``clean`` are those that nothing was done to."""

    rows: list[Row]
    clean: list[Row]


def batch_of(feed: Feed, subjects: list[Subject], renamed: list[Subject], shared: list[Row]) -> Batch:
    """All rows of a feed, defects planted.

    ``renamed`` are subjects that the receiver knows by another name, one clean row each; ``shared`` are decisions
    that the feed reports although another department took them.
    """
    rng = Random(f"guiji {feed.code}")
    made = feed.rows - feed.persons - len(renamed)
    clean = [feed.make(rng, number, rng.choice(subjects)) for number in range(1, made + 1)]
    clean += [feed.make(rng, made + number, adult(rng, number)) for number in range(1, feed.persons + 1)]
    strange = [feed.make(rng, made + feed.persons + number, one) for number, one in enumerate(renamed, 1)]
    for row in strange:
        row.planted.append("renamed_subject")
    rows = [*clean, *strange, *shared]
    rng.shuffle(rows)
    rng.shuffle(clean)
    _plant(feed.plan, clean, {subject.code: nonstandard_code(subject) for subject in subjects}, rng)
    first, second, count = TOGETHER
    for row in [row for row in rows if first in row.planted][:count]:
        if KNOWN[second].plant(row, rng):
            row.planted.append(second)
    _repeat(feed, rows, clean, rng)
    for row in rows:
        for key, words in feed.dialect.items():
            value = row.cells.get(key)
            if isinstance(value, str) and value in words:
                row.cells[key] = words[value]
    return Batch(rows, clean)


def _plant(plan: Mapping[str, int], clean: list[Row], nonstandard: Mapping[str, str], rng: Random) -> None:
    """Plant every defect of the plan, one per row, and take those rows out of ``clean``."""
    for name, count in plan.items():
        planted = 0
        for row in list(clean):
            if planted == count:
                break
            if name == "code_issued_nonstandard":
                fits = _issue_nonstandard(row, nonstandard)
            else:
                fits = KNOWN[name].plant(row, rng)
            if fits:
                row.planted.append(name)
                clean.remove(row)
                planted += 1
        if planted < count:
            raise ValueError(f"only {planted} of {count} rows can carry {name}")


def _issue_nonstandard(row: Row, nonstandard: Mapping[str, str]) -> bool:
    code = row.text("XDR_SHXYM")
    if not code.startswith("91") or nonstandard.get(code, code) == code:
        return False
    row.cells["XDR_SHXYM"] = nonstandard[code]
    return True


def _repeat(feed: Feed, rows: list[Row], clean: list[Row], rng: Random) -> None:
    """Put copies of clean rows into the file: the same again, an older state, another state of the same time."""
    exact, superseded, conflicting = feed.repeats
    for _ in range(exact):
        original = clean.pop()
        copy = original.copy()
        copy.planted = ["exact_duplicate"]
        rows.insert(rng.randrange(_place(rows, original) + 1, len(rows) + 1), copy)
    for _ in range(superseded):
        original = clean.pop()
        copy = original.copy()
        copy.planted = ["superseded"]
        copy.cells["BZ"] = "决定书送达中"
        if "更新时间" in copy.cells:
            copy.cells["更新时间"] = "2026-09-01 08:00:00"
        rows.insert(rng.randrange(_place(rows, original) + 1), copy)
    for _ in range(conflicting):
        original = clean.pop()
        copy = original.copy()
        copy.cells["NR"] = copy.text("NR") + "（更正）"
        for row in (original, copy):
            row.planted = ["conflicting"]
        rows.insert(rng.randrange(len(rows) + 1), copy)


def _place(rows: list[Row], wanted: Row) -> int:
    return next(place for place, row in enumerate(rows) if row is wanted)


def handed_over(row: Row) -> Row:
    """A decision of the ecology department as the market department's system reports it."""
    copy = row.copy()
    for key in ("NR_FK", "NR_WFFF"):
        yuan = copy.cells[key]
        copy.cells[key] = Decimal(yuan) / 10000 if isinstance(yuan, int) else None
    if copy.cells["XDR_GSZC"] is not None:
        copy.cells["XDR_GSZC"] = copy.text("XDR_GSZC")
    for key in ("SJLY", "SJLYDM"):
        del copy.cells[key]
    copy.cells |= {"案件程序": "普通程序", "经办科室": "执法二科", "更新时间": "2026-11-19 17:30:00"}
    return copy
