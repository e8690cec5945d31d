"""Files out of company registers and lists of dishonest subjects: nothing to report, and every code judged rightly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from stdnum.cn import uscc

from tests.real_input.conftest import Night, Place
from tests.real_input.source_files import (
    CODES,
    NAMES,
    NAMES_UTF8,
    ORGANISATIONS,
    PREFIXES,
    RAGGED,
    SAFETY,
    SHARED_CODES,
    TRANSPORT,
    RealFile,
    SourceRow,
    half_width,
)

LABEL = 8


def at(rows: list[SourceRow]) -> set[Place]:
    return {row.place for row in rows}


def test_a_hundred_thousand_organisations_are_judged_by_name_and_code(night: Night) -> None:
    """The same figures as those of the codes and names by themselves (tests/identity, test_registry)."""
    reasons = Counter(reason for row in night.outcomes(ORGANISATIONS) for reason in row["reasons"])
    assert night.counts(ORGANISATIONS) == {"quarantined": 100_598}
    assert reasons["CODE-XK_XDR_SHXYM"] == 284 + 1 + 1
    assert "REQ-XK_XDR_LB" not in reasons, "the kind is read off the code, and a wrong code is accused by itself"
    assert reasons["ISSUED-XK_XDR_SHXYM"] == 2
    assert (reasons["GARB-XK_XDR_MC"], reasons["LOST-XK_XDR_MC"], reasons["MASK-XK_XDR_MC"]) == (2, 1, 0)
    assert reasons["REQ-XK_WSH"] == 100_598
    assert "REQ-XK_JDRQ" not in reasons, "the day of registration stands for the decision date"


def test_every_label_of_an_unusual_code_is_confirmed(night: Night, shared: Path) -> None:
    rows = CODES.rows(shared)
    labelled = {label: at([row for row in rows if row.text(LABEL) == label]) for label in {r.text(LABEL) for r in rows}}
    refused, flagged = night.accused(CODES, "CODE-XK_XDR_SHXYM"), night.accused(CODES, "ISSUED-XK_XDR_SHXYM")
    assert labelled["reg15_ok"] | labelled["other_len15"] | labelled["reg13"] <= refused
    assert refused.isdisjoint(labelled["uscc_lower"])
    lower = {row["row_no"] for row in night.repairs(CODES) if row["rule"] == "CODE-001"}
    assert len(lower) == len(labelled["uscc_lower"]) == 5
    assert len(flagged) == 3
    assert flagged < labelled["uscc_bad_check"]
    assert labelled["uscc_bad_check"] - flagged <= refused
    assert len(refused) == 192


def test_codes_of_others_than_companies_are_as_good(night: Night) -> None:
    """Trade unions, law firms, committees: 732 codes with nine beginnings, none is accused."""
    assert not night.accused(PREFIXES, "CODE-XK_XDR_SHXYM", "ISSUED-XK_XDR_SHXYM", "MASK-XK_XDR_SHXYM")
    kinds = {row["new_value"] for row in night.repairs(PREFIXES) if row["rule"] == "ENUM-004"}
    assert kinds == {"法人及非法人组织"}
    assert "XK_JDRQ" not in {row["field"] for row in night.repairs(PREFIXES)}


def test_two_names_of_one_code_are_kept_side_by_side(night: Night, shared: Path) -> None:
    joined = {row["row_no"]: row["new_value"] for row in night.repairs(SHARED_CODES) if row["field"] == "BZ"}
    assert list(joined.values()) == [" ".join(row.cells[2:]) for row in SHARED_CODES.rows(shared)]
    assert not night.accused(SHARED_CODES, "CODE-XK_XDR_SHXYM")


def test_rows_that_had_slipped_are_split_again(night: Night, shared: Path) -> None:
    """Name, code and day stand in one cell, between bars."""
    split = {field: {} for field in ("XK_XDR_MC", "XK_XDR_SHXYM", "XK_JDRQ")}
    for row in night.repairs(RAGGED):
        if row["rule"] == "MAP-002":
            split[row["field"]][row["row_no"]] = row["new_value"]
    parts = [row.text(2).split("|") for row in RAGGED.rows(shared)]
    assert [list(values.values()) for values in split.values()] == [[part[n] for part in parts] for n in range(3)]
    assert not night.accused(RAGGED, "CODE-XK_XDR_SHXYM", "REQ-XK_JDRQ", "DATE-XK_JDRQ")


def test_a_list_of_carriers_has_one_wrong_code(night: Night, shared: Path) -> None:
    rows = [row for row in TRANSPORT.rows(shared) if row.text(4)]
    assert night.accused(TRANSPORT, "CODE-CF_XDR_SHXYM") == at([row for row in rows if not uscc.is_valid(row.text(4))])
    assert len(rows) == 20
    assert night.places(TRANSPORT, "duplicate") == set(), "the province tells two carriers of one name apart"


def test_a_blacklist_read_by_ocr(night: Night, shared: Path) -> None:
    """Blanks inside a code are taken out; what OCR misread stays misread, and six codes are whole."""
    rows = SAFETY.rows(shared)
    valid = at([row for row in rows if uscc.is_valid(half_width(row.text(3)))])
    assert len(valid) == 6
    assert night.accused(SAFETY, "CODE-CF_XDR_SHXYM") == at(rows) - valid
    assert "CF_XDR_ZJHM" not in {row["field"] for row in night.repairs(SAFETY)}, "it is the manager's, no subject's"


@pytest.mark.parametrize("file", [NAMES, NAMES_UTF8], ids=lambda file: file.name)
def test_private_use_characters_are_named_for_the_file_too(night: Night, file: RealFile) -> None:
    assert night.file_findings(file) == {"SRC-009"}
