"""Every line of the real files is a row with one outcome, or is accounted for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipelines.engine.rows import LINE_COLUMN
from pipelines.ledger.models import Extract, Outbox
from tests.real_input.conftest import Night
from tests.real_input.source_files import LISTS, RealFile

# Independent counts of the rows, as the sources are described.
ROWS = {
    "samr_penalty": 130,
    "nfra_penalty": 100,
    "mee_penalty": 171,
    "commerce_dishonest": 500,
    "courts_crime": 165,
    "nanhai_tax_arrears": 203,
    "registry_names": 448,
}
OUTCOMES = ("accepted", "duplicate", "quarantined", "blocked", "excluded")


each_list = pytest.mark.parametrize("file", LISTS, ids=lambda file: file.feed)


@each_list
def test_all_rows_are_decoded(file: RealFile, night: Night, shared: Path) -> None:
    run = night.run(file)
    assert run.rows_decoded == len(file.rows(shared)) == ROWS[file.feed]
    assert run.lines_undecoded == 0


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
    assert run.state == "published"
    assert sum(counts.values()) == run.rows_decoded + run.lines_undecoded
    assert counts == dict.fromkeys(OUTCOMES, 0) | Counter(row["outcome"] for row in night.outcomes(file))


@each_list
def test_physical_lines_are_accounted_for(file: RealFile, night: Night) -> None:
    """Lines before the header, header, blank lines, notes and rows make up the whole sheet."""
    with night.context.ledger.read() as session:
        manifest = session.scalars(select(Extract).where(Extract.run == night.run(file).id)).one().manifest
    if file.encoding is not None:
        assert (manifest["encoding"], manifest["header_line"]) == (file.encoding, 1)
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


@each_list
def test_every_reason_is_a_finding(file: RealFile, night: Night) -> None:
    """A row that was not accepted says why, and the findings tell the same story as the outcomes."""
    outcomes = night.outcomes(file)
    assert all(row["reasons"] for row in outcomes if row["outcome"] != "accepted")
    stated = {(row["row_no"], reason) for row in outcomes for reason in row["reasons"]}
    assert {(row["row_no"], row["rule"]) for row in night.findings(file)} == stated


def test_nothing_waits_for_delivery(night: Night) -> None:
    """The feeds name no endpoint: published lists of others are for trying things out."""
    with night.context.ledger.read() as session:
        assert session.scalar(select(func.count()).select_from(Outbox)) == 0
