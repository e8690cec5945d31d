"""Lists that are no penalties: what can be mapped is judged rightly, and what is missing is said for every row."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from stdnum.cn import uscc

from pipelines.identity.resident_id import is_legacy_resident_id, is_resident_id
from tests.real_input.conftest import Night, Place
from tests.real_input.source_files import (
    COMMERCE,
    COURTS,
    COURTS_TEXT,
    MEE,
    NAMES,
    TAX,
    RealFile,
    SourceRow,
    half_width,
)

ALWAYS_MISSING = {
    MEE: ("CF_WSH", "CF_JDRQ", "CF_CFJG", "CF_YJ"),
    COMMERCE: ("CF_WSH", "CF_JDRQ", "CF_CFJG", "CF_CFLB", "CF_NR"),
    COURTS: ("CF_JDRQ", "CF_CFLB", "CF_NR", "CF_SJLY"),
    TAX: ("CF_WSH", "CF_JDRQ", "CF_CFLB", "CF_NR"),
    NAMES: ("XK_WSH", "XK_JDRQ", "XK_XKJG", "XK_NR", "XK_ZT"),
}
# Punctuation that a repair may cut off behind a code.
UNTIDY_END = re.compile("[;:,.。、!?^]$")
# Private-use code points that GBK fonts gave to characters which have a code point of their own today.
ASSIGNED_SINCE = re.compile("[\ue78d-\ue796\ue7c7\ue815-\ue864]")
PRIVATE_USE = re.compile("[\ue000-\uf8ff]")


def at(rows: list[SourceRow]) -> set[Place]:
    return {row.place for row in rows}


@pytest.mark.parametrize("file", ALWAYS_MISSING, ids=lambda file: file.feed)
def test_no_row_is_taken_for_a_decision(file: RealFile, night: Night, shared: Path) -> None:
    everywhere = at(file.rows(shared))
    assert night.places(file, "accepted") == set()
    for field in ALWAYS_MISSING[file]:
        assert night.accused(file, f"REQ-{field}") == everywhere
        assert field in night.missing_fields(file)


def test_classes_are_read_where_the_text_is_a_class(night: Night, shared: Path) -> None:
    """Texts with a sum are more than a class: they stay as they are and are named."""
    rows = MEE.rows(shared)
    accused = night.accused(MEE, "ENUM-CF_CFLB")
    assert at([row for row in rows if re.search("[0-9]", row.text(3))]) <= accused
    assert accused.isdisjoint(at([row for row in rows if row.text(3).rstrip("。") == "警告"]))
    assert night.run(MEE).manifest["unmapped_columns"] == ["区域", "整改情况"]  # type: ignore[index]


def test_the_same_finding_in_two_quarters_is_two_rows(night: Night, shared: Path) -> None:
    """Without document number only the period tells them apart: the feed keeps it in the remarks."""
    rows = MEE.rows(shared)
    assert len({(row.text(2), row.text(3)) for row in rows}) < len(rows)
    assert night.places(MEE, "duplicate") == set()


def test_codes_of_a_clean_list(night: Night, shared: Path) -> None:
    rows = COMMERCE.rows(shared)
    valid = at([row for row in rows if uscc.is_valid(row.text(3))])
    assert len(valid) == 476
    derived = {row["row_no"] for row in night.repairs(COMMERCE) if row["rule"] == "ENUM-004"}
    assert {(row["sheet"], row["line"]) for row in night.outcomes(COMMERCE) if row["row_no"] in derived} == valid
    assert not night.accused(COMMERCE, "CODE-CF_XDR_SHXYM", "MASK-CF_XDR_SHXYM", "SCI-CF_XDR_SHXYM")
    assert not night.accused(COMMERCE, "CODE-CF_XDR_GSZC", "PERSON-CF_XDR_GSZC", "SCI-CF_XDR_GSZC")
    with_other_codes = at([row for row in rows if len(row.text(2)) not in {0, 9}])
    assert night.accused(COMMERCE, "CODE-CF_XDR_ZZJG") <= with_other_codes


def test_a_misread_header_and_misread_codes(night: Night, shared: Path) -> None:
    rows = [row for row in COURTS.rows(shared) if row.text(3).strip()]
    valid = at([row for row in rows if uscc.is_valid(half_width(row.text(3)))])
    accused = night.accused(COURTS, "CODE-CF_XDR_SHXYM", "MASK-CF_XDR_SHXYM", "SCI-CF_XDR_SHXYM")
    flagged = night.accused(COURTS, "ISSUED-CF_XDR_SHXYM")
    untidy = at([row for row in rows if UNTIDY_END.search(half_width(row.text(3)))])
    assert len(valid) == 12
    assert accused.isdisjoint(valid)
    assert at(rows) - valid - untidy <= accused | flagged
    assert len(flagged) <= 3, "one typing error in thirty looks like a code that was issued so"


def test_judgments_are_recognised_across_files(night: Night) -> None:
    """Only this list has keys (case number, name, court): its rows in the workbook repeat those in the text."""
    text = {row["row_no"]: row["line"] for row in night.outcomes(COURTS_TEXT)}
    repeated = night.outcomes(COURTS)
    assert {row["outcome"] for row in repeated} == {"duplicate"}
    assert [text[row["survivor"]] for row in repeated] == [row["line"] for row in repeated]


@pytest.mark.parametrize("file", [COURTS, COMMERCE, NAMES], ids=lambda file: file.feed)
def test_no_repair_changes_a_code(file: RealFile, night: Night) -> None:
    """Width, case and blanks, and punctuation around the code: not one letter or digit is guessed."""
    codes = [row for row in night.repairs(file) if row["field"].endswith(("_SHXYM", "_ZZJG", "_GSZC"))]
    for repair in codes:
        plain = half_width(repair["old_value"])
        assert half_width(repair["new_value"]) in {plain, plain.rstrip(";:,.。、!?^"), plain.replace("-", "")}
    assert codes or file is COMMERCE


def test_two_sheets_with_titles_and_notes(night: Night, shared: Path) -> None:
    """The second sheet repeats rows of the first: whatever is called a duplicate states the same, place and all."""
    source = {row.place: row for row in TAX.rows(shared)}
    first, second = dict.fromkeys(row.sheet for row in source.values())
    outcomes = {row["row_no"]: (row["sheet"], row["line"]) for row in night.outcomes(TAX)}
    duplicates = [row for row in night.outcomes(TAX) if row["outcome"] == "duplicate"]
    assert len(duplicates) <= 17
    for row in duplicates:
        twin, survivor = source[row["sheet"], row["line"]], source[outcomes[row["survivor"]]]
        assert (twin.sheet, survivor.sheet) == (second, first)
        address = 4
        for column, (mine, other) in enumerate(zip(twin.cells, survivor.cells, strict=True)):
            assert mine == other or (column == address and mine == "<masked>")
    assert set(night.run(TAX).manifest["unmapped_columns"]) == {"经营地点", "欠税余额"}  # type: ignore[index]


def test_tax_numbers_of_persons_stay_hidden(night: Night, shared: Path) -> None:
    masked = at([row for row in TAX.rows(shared) if "**" in row.text(1)])
    assert night.accused(TAX, "MASK-CF_XDR_SWDJ") == masked
    shown = " ".join(str(row["observed"]) for row in night.findings(TAX))
    assert not [number for number in re.findall("[0-9]{15}", shown) if is_legacy_resident_id(number)]
    assert not [number for number in re.findall("[0-9]{17}[0-9X]", shown) if is_resident_id(number)]


def test_gb18030_names_keep_their_rare_characters(night: Night, shared: Path) -> None:
    rows = NAMES.rows(shared)
    assert [row["name"] for row in night.rows_as_sent(NAMES)] == [row.text(0) for row in rows]
    private = at([row for row in rows if PRIVATE_USE.search(row.text(0))])
    lost_for_good = at([row for row in rows if PRIVATE_USE.search(ASSIGNED_SINCE.sub("", row.text(0)))])
    assert lost_for_good <= night.accused(NAMES, "GARB-XK_XDR_MC") <= private
    assert len(private) == 22
    assert at([row for row in rows if "?" in row.text(0)]) <= night.accused(NAMES, "LOST-XK_XDR_MC")


def test_names_change_in_nothing_but_brackets_and_blanks(night: Night) -> None:
    def compared(name: str) -> str:
        return "".join(unicodedata.normalize("NFKC", name).split())

    names = [row for row in night.repairs(NAMES) if row["field"] == "XK_XDR_MC"]
    assert len(names) >= 150
    for repair in names:
        assert ASSIGNED_SINCE.search(repair["old_value"]) or compared(repair["old_value"]) == compared(
            repair["new_value"]
        )


def test_registered_codes_are_valid(night: Night, shared: Path) -> None:
    rows = NAMES.rows(shared)
    invalid = at([row for row in rows if not uscc.is_valid(half_width(row.text(1)))])
    assert night.accused(NAMES, "CODE-XK_XDR_SHXYM") == invalid
    assert len(invalid) == 3
