"""Every line of the real files is a row with one outcome, or is accounted for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipelines.engine.rows import LINE_COLUMN
from pipelines.ledger.models import Outbox
from tests.real_input.conftest import Night
from tests.real_input.source_files import LISTS, SMALL_LISTS, TWINS, RealFile

# Independent counts of the rows, as the sources are described.
ROWS = {
    "samr_penalties.csv": 130,
    "nfra_penalties_100.csv": 100,
    "env_penalties_mee2017_masked.xlsx": 171,
    "env_penalties_mee2017.csv": 171,
    "dishonest_ecommerce_500_masked.xlsx": 500,
    "dishonest_ecommerce_500.csv": 500,
    "dishonest_transport_270.csv": 270,
    "ocr_fin_crime_org_a_masked.xlsx": 165,
    "ocr_fin_crime_org_a.csv": 165,
    "ocr_safety_blacklist.csv": 36,
    "tax_arrears_nanhai_2015Q2_masked.xls": 203,
    "registry_name_anomalies_gb18030.csv": 448,
    "registry_name_anomalies.csv": 448,
    "registry_code_anomalies_200.csv": 200,
    "uscc_nonenterprise_prefix.csv": 732,
    "registry_same_code_diff_name.csv": 13,
    "registry_ragged_rows.csv": 9,
    "registry_orgs_100k.csv": 100_598,
}
# Lines of nothing but delimiters, and lines that a row spans more than its first.
LINES_WITHOUT_A_ROW = {"ocr_safety_blacklist.csv": 1, "samr_penalties.csv": 21}
OUTCOMES = ("accepted", "duplicate", "quarantined", "blocked", "excluded")


each_list = pytest.mark.parametrize("file", LISTS, ids=lambda file: file.name)
each_small_list = pytest.mark.parametrize("file", SMALL_LISTS, ids=lambda file: file.name)


@each_list
def test_all_rows_are_decoded(file: RealFile, night: Night, shared: Path) -> None:
    extract = night.extract(file)
    assert extract.rows_decoded == len(file.rows(shared)) == ROWS[file.name]
    assert extract.lines_undecoded == 0


@each_list
def test_rows_hold_what_the_file_holds(file: RealFile, night: Night, shared: Path) -> None:
    rows = night.rows_as_sent(file)
    for source, row in zip(file.rows(shared), rows, strict=True):
        row.pop(LINE_COLUMN, None)
        for expected, found in zip(source.cells, row.values(), strict=True):
            if isinstance(expected, float):
                assert float(found) == pytest.approx(expected, rel=1e-14)
            else:
                assert (found or "").replace("\r\n", "\n") == expected.replace("\r\n", "\n")


@each_list
def test_each_source_row_has_one_outcome(file: RealFile, night: Night, shared: Path) -> None:
    found = Counter((row["sheet"], row["line"]) for row in night.outcomes(file))
    assert found == Counter(row.place for row in file.rows(shared))
    assert set(found.values()) == {1}


@each_list
def test_the_ledger_adds_up(file: RealFile, night: Night) -> None:
    run = night.run(file)
    counts = {outcome: getattr(run, outcome) for outcome in OUTCOMES}
    together = sum((night.counts(other) for other in LISTS if other.feed == file.feed), Counter())
    assert run.state == "published"
    assert sum(counts.values()) == run.rows_decoded + run.lines_undecoded
    assert counts == dict.fromkeys(OUTCOMES, 0) | together


@each_list
def test_physical_lines_are_accounted_for(file: RealFile, night: Night) -> None:
    """Lines before the header, header, blank lines, notes and rows make up the whole sheet."""
    manifest = night.extract(file).manifest
    if file.encoding is not None:
        assert (manifest["encoding"], manifest["header_line"]) == (file.encoding, 1)
        beside = LINES_WITHOUT_A_ROW.get(file.name, 0)
        assert manifest["physical_lines"] == 1 + manifest["rows_decoded"] + beside
        return
    assert manifest["sheets_left_out"] == {}
    notes = {(sheet["sheet"], note["line"]) for sheet in manifest["sheets"] for note in sheet["note_rows"]}
    assert notes == set(file.notes)
    for sheet in manifest["sheets"]:
        assert sheet["header_line"] == file.header_line
        assert sheet["physical_lines"] == (
            sheet["lines_before_header"]
            + sheet["header_rows"]
            + sheet["blank_lines"]
            + len(sheet["note_rows"])
            + sheet["rows"]
        )


@each_small_list
def test_every_reason_is_a_finding(file: RealFile, night: Night) -> None:
    """A row that was not accepted says why, and the findings tell the same story as the outcomes."""
    outcomes = night.outcomes(file)
    assert all(row["reasons"] for row in outcomes if row["outcome"] != "accepted")
    stated = {(row["row_no"], reason) for row in outcomes for reason in row["reasons"]}
    assert {(row["row_no"], row["rule"]) for row in night.findings(file)} == stated


@pytest.mark.parametrize(("one", "other"), TWINS, ids=lambda file: file.name)
def test_the_same_list_in_another_form_comes_out_the_same(one: RealFile, other: RealFile, night: Night) -> None:
    """Workbook or text, GB18030 or UTF-8: the same reasons row by row, the same repairs."""
    first, second = ([set(row["reasons"]) - {"DUP-001"} for row in night.outcomes(file)] for file in (one, other))
    assert first == second
    rules = [Counter((row["field"], row["rule"]) for row in night.repairs(file)) for file in (one, other)]
    assert rules[0] == rules[1]


def test_nothing_waits_for_delivery(night: Night) -> None:
    """The feeds name no endpoint: published lists of others are for trying things out."""
    with night.context.ledger.read() as session:
        assert session.scalar(select(func.count()).select_from(Outbox)) == 0
