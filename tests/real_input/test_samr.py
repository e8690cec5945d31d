"""The list of price penalties: each accusation checked against the list itself, with other people's tools."""

from __future__ import annotations

import csv
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from stdnum.cn import uscc

from pipelines.operations.trace import find_record_keys, trace
from tests.real_input.conftest import Night, Place
from tests.real_input.source_files import SAMR, SourceRow, half_width

DOCUMENT, PARTY, AGENCY, DATE, TEXT, CODE = range(6)
TRAILING = ";,。、.:"


@pytest.fixture(scope="module")
def rows(shared: Path) -> list[SourceRow]:
    return SAMR.rows(shared)


def places(rows: list[SourceRow]) -> set[Place]:
    return {row.place for row in rows}


def decided(row: SourceRow) -> date:
    year, month, day = re.findall("[0-9]+", row.text(DATE))
    return date(int(year), int(month), int(day))


def without_repetitions(rows: list[SourceRow]) -> list[SourceRow]:
    """The first row of each decision: document number, party, day, text and code are the same."""
    first: dict[tuple[object, ...], SourceRow] = {}
    for row in rows:
        key = (half_width(row.text(DOCUMENT)), row.text(PARTY), decided(row), row.text(TEXT), row.text(CODE))
        first.setdefault(key, row)
    return list(first.values())


def is_complete(row: SourceRow, *, trailing: str = "") -> bool:
    """The list says all it can say: a text, one unmasked party, and a code that another library finds valid."""
    code = half_width(row.text(CODE)).rstrip(trailing)
    return bool(row.text(TEXT)) and "某" not in row.text(PARTY) and uscc.is_valid(code)


def test_complete_rows_are_accepted_and_no_other(night: Night, rows: list[SourceRow]) -> None:
    """A repair that cuts punctuation behind a code may accept more, nothing else may."""
    once = without_repetitions(rows)
    complete = places([row for row in once if is_complete(row)])
    at_most = places([row for row in once if is_complete(row, trailing=TRAILING)])
    assert len(complete) == 50
    assert complete <= night.places(SAMR, "accepted") <= at_most
    assert night.places(SAMR, "quarantined") == places(once) - night.places(SAMR, "accepted")


def test_repetitions_are_duplicates(night: Night, rows: list[SourceRow]) -> None:
    """The list repeats five decisions, four of them with the date typed in the other style."""
    repeated = places(rows) - places(without_repetitions(rows))
    assert night.places(SAMR, "duplicate") == repeated
    assert len(repeated) == 5


def test_what_is_missing_is_named(night: Night, rows: list[SourceRow]) -> None:
    empty = places([row for row in rows if not row.text(TEXT)])
    for rule in ("REQ-CF_NR", "REQ-CF_SY", "REQ-CF_YJ"):
        assert night.accused(SAMR, rule) == empty
    without_code = places([row for row in rows if not row.text(CODE)])
    assert without_code <= night.accused(SAMR, "REQ-CF_XDR_LB", "CF-C01a")


def test_masked_parties_and_codes_are_named(night: Night, rows: list[SourceRow]) -> None:
    assert night.accused(SAMR, "MASK-CF_XDR_MC") == places([row for row in rows if "某" in row.text(PARTY)])
    assert night.accused(SAMR, "CF-SUBJ-02") == places([row for row in rows if ";" in row.text(PARTY)])
    masked = places([row for row in rows if re.search(r"\*|XXX", row.text(CODE))])
    assert night.accused(SAMR, "MASK-CF_XDR_SHXYM") == masked
    assert len(masked) == 17


def test_codes_are_judged_as_another_library_judges_them(night: Night, rows: list[SourceRow]) -> None:
    printed = [row for row in rows if row.text(CODE)]
    valid = places([row for row in printed if uscc.is_valid(half_width(row.text(CODE)))])
    ends_untidily = places([row for row in printed if half_width(row.text(CODE))[-1] in TRAILING])
    accused = night.accused(SAMR, "CODE-CF_XDR_SHXYM", "MASK-CF_XDR_SHXYM")
    assert len(valid) == 81
    assert accused.isdisjoint(valid)
    assert places(printed) - valid - ends_untidily <= accused


def test_years_that_differ_are_pointed_out(night: Night, rows: list[SourceRow]) -> None:
    """December and January may differ from the number by a year; nothing is refused for it."""
    suspicious = set()
    for row in rows:
        numbered = int(re.search("[0-9]{4}", row.text(DOCUMENT)).group())  # type: ignore[union-attr]
        day = decided(row)
        at_turn = (numbered, day.month) in {(day.year - 1, 1), (day.year + 1, 12)}
        if numbered != day.year and not at_turn:
            suspicious.add(row.place)
    assert night.accused(SAMR, "CF-C10f") == suspicious
    assert len(suspicious) == 6


def test_both_date_styles_become_one(night: Night, rows: list[SourceRow]) -> None:
    repaired = {row["old_value"]: row["new_value"] for row in night.repairs(SAMR) if row["field"] == "CF_JDRQ"}
    assert repaired == {row.text(DATE): f"{decided(row):%Y/%m/%d}" for row in rows if row.text(DATE) in repaired}
    untouched = [row for row in rows if row.text(DATE) not in repaired]
    assert all(re.fullmatch("[0-9]{4}/[0-9]{2}/[0-9]{2}", row.text(DATE)) for row in untouched)


def test_deadlines_follow_the_published_holidays(night: Night, rows: list[SourceRow], shared: Path) -> None:
    with (shared / "real/reference/holidays_cn_2007_2026.csv").open(encoding="utf-8", newline="") as file:
        kinds = {date.fromisoformat(row["date"]): row["kind"] for row in csv.DictReader(file)}
    source = {row.place: row for row in rows}
    accepted = [row for row in night.outcomes(SAMR) if row["outcome"] == "accepted"]
    for row in accepted:
        day = decided(source[row["sheet"], row["line"]])
        assert row["decision_date"] == day
        working = 0
        while working < 7:
            day += timedelta(days=1)
            working += kinds.get(day, "off" if day.weekday() >= 5 else "work") in {"work", "makeup_work"}
        assert (row["deadline"], row["deadline_provisional"]) == (day, False)
    assert night.run(SAMR).late == len(accepted), "what was published long ago is late on the business date"


def test_a_record_leads_back_to_its_line(night: Night, rows: list[SourceRow]) -> None:
    row = next(row for row in rows if row.place in night.places(SAMR, "accepted"))
    with night.context.session() as session:
        ((category, key),) = find_record_keys(night.context, session, row.text(DOCUMENT))
        (version,) = trace(night.context, session, category, key).versions
    assert version.version["line"] == row.line
    assert list(version.source_row.values()) == list(row.cells)
    assert {field for field, *_ in version.repairs} >= {"CF_JDRQ", "CF_XDR_LB"}
