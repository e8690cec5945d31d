"""Corrected workbooks come back: what is applied, what is refused, and that nothing is ever accepted twice."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from openpyxl.worksheet.worksheet import Worksheet
from rich.console import Console
from sqlalchemy import select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import StorageError
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.intake.landing import landed_path
from pipelines.ledger.database import now
from pipelines.ledger.models import DeliveryFinding, Extract, Outbox
from pipelines.ledger.quality_models import Resubmission
from pipelines.operations.reports import build_site
from pipelines.operations.resubmitting import resubmit_files
from pipelines.operations.trace import find_record_keys, trace
from pipelines.operations.trace_view import trace_tree
from pipelines.records.reading import current
from pipelines.settings import PROJECT_ROOT
from tests.operations import state
from tests.operations.returned_workbook import (
    answer,
    column,
    fill,
    line_sheets,
    outcomes,
    refused,
    send_back,
    workbook,
)
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, Installation, row, rows

FIELD_CODE, FIELD_NUMBER = "行政相对人代码_1(统一社会信用代码)", "行政处罚决定书文号"
RIGHT = synthetic_uscc("91", "119900", "MA900003")
WRONG = RIGHT[:-1] + ("0" if RIGHT[-1] != "0" else "1")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_half_of_the_problems_are_mended(installation: Installation, tmp_path: Path) -> None:
    wrong = {"统一社会信用代码": WRONG}
    first = installation.publish(MONDAY, [*rows(range(3)), row(3, **wrong), row(4, **wrong)])
    assert first.quarantined == 2
    fill(workbook(installation, MONDAY), tmp_path / "back.xlsx", {(5, FIELD_CODE): RIGHT})
    result = send_back(installation, tmp_path / "back.xlsx")
    assert (result.applied, result.still_wrong, result.refused, result.repeated) == (1, 0, 0, False)
    second = installation.published(MONDAY)
    assert (second.attempt, second.accepted, second.quarantined, second.new, second.unchanged) == (2, 4, 1, 1, 3)
    assert outcomes(installation, MONDAY) == dict.fromkeys((2, 3, 4, 5), "accepted") | {6: "quarantined"}


def wrong_row(number: int, **cells: str) -> dict[str, str]:
    return row(number, **{"统一社会信用代码": WRONG, **cells})


def published_with(installation: Installation, *sent: dict[str, str]) -> Path:
    installation.publish(MONDAY, list(sent))
    return workbook(installation, MONDAY)


def test_the_same_workbook_twice_is_a_recorded_no_op(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, row(1), wrong_row(3))
    fill(out, tmp_path / "back.xlsx", {(3, FIELD_CODE): RIGHT})
    first = send_back(installation, tmp_path / "back.xlsx")
    before = (state.records(installation.context), state.outbox(installation.context))
    again = send_back(installation, tmp_path / "back.xlsx")
    assert (again.repeated, again.run, again.applied) == (True, first.run, 1)
    assert installation.last_run(MONDAY).state == "unchanged"
    assert (state.records(installation.context), state.outbox(installation.context)) == before
    with installation.context.ledger.read() as session:
        assert [found.position for found in session.scalars(select(Resubmission))] == [1]


def test_two_workbooks_of_one_batch_apply_in_order(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, wrong_row(3), wrong_row(4))
    fill(out, tmp_path / "one.xlsx", {(2, FIELD_CODE): "仍然不对"})
    assert send_back(installation, tmp_path / "one.xlsx").still_wrong == 1
    # The first workbook was made before that correction, the second shows it: both are understood.
    fill(out, tmp_path / "two.xlsx", {(3, FIELD_CODE): synthetic_uscc("91", "119900", "MA900004")})
    fill(workbook(installation, MONDAY), tmp_path / "three.xlsx", {(2, FIELD_CODE): RIGHT})
    for name in ("two.xlsx", "three.xlsx"):
        result = send_back(installation, tmp_path / name)
        assert (result.applied, result.still_wrong, result.refused) == (1, 0, 0), refused(installation, result)
    assert outcomes(installation, MONDAY) == {2: "accepted", 3: "accepted"}
    # What is pulled again from the source keeps what came back.
    assert installation.night(MONDAY) is None
    assert installation.last_run(MONDAY).state == "unchanged"


@pytest.fixture
def delivering(tmp_path: Path) -> Installation:
    """The same feed, owing its records to an endpoint."""
    made = Installation(tmp_path)
    shutil.copytree(PROJECT_ROOT / "schemas" / "endpoints", tmp_path / "root" / "schemas" / "endpoints")
    made.describe(endpoints=["province_sandbox"])
    return made


def test_a_row_mended_in_a_later_batch_is_delivered_once(delivering: Installation, tmp_path: Path) -> None:
    out = published_with(delivering, wrong_row(3))
    delivering.publish(TUESDAY, [row(3)])
    before = state.outbox(delivering.context)
    assert len(before) == 1
    fill(out, tmp_path / "back.xlsx", {(2, FIELD_CODE): RIGHT})
    assert send_back(delivering, tmp_path / "back.xlsx").applied == 1
    assert state.outbox(delivering.context) == before
    with delivering.context.session() as session:
        current(session, delivering.context.stores["administrative_penalty"], delivering.context.ledger)
        assert session.rows("SELECT business_date FROM current_records") == [(TUESDAY,)]


def test_what_a_receiver_sent_back_becomes_the_next_version(delivering: Installation, tmp_path: Path) -> None:
    delivering.publish(MONDAY, [row(1), row(2)])
    with delivering.context.ledger.write() as session:
        rejected = session.scalars(select(Outbox).order_by(Outbox.id)).first()
        assert rejected is not None
        rejected.rejected_at = now()
        session.add(
            DeliveryFinding(
                outbox_id=rejected.id,
                endpoint=rejected.endpoint,
                feed=rejected.feed,
                record_key=rejected.record_key,
                rule="1007",
                field="CF_NR",
                message="处罚内容过于简略",
                found_at=now(),
            )
        )
        key = rejected.record_key
    book = openpyxl.load_workbook(workbook(delivering, MONDAY))
    (line,) = [sheet.cell(3, column(sheet, "行号")).value for sheet in line_sheets(book)]
    assert isinstance(line, int)
    fill(workbook(delivering, MONDAY), tmp_path / "back.xlsx", {(line, "处罚内容"): "给予警告，责令改正。"})
    assert send_back(delivering, tmp_path / "back.xlsx").applied == 1
    owed = [(found[2], found[3]) for found in state.outbox(delivering.context)]
    assert sorted(version for record_key, version in owed if record_key == key) == [1, 2]
    assert len(owed) == 3
    # What was answered by a newer version is not asked for again.
    assert FEED not in build_site(delivering.context, MONDAY).workbooks


def test_a_row_mended_at_the_source_as_well_ends_as_one_version(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, wrong_row(3), wrong_row(4))
    installation.publish(MONDAY, [row(3), wrong_row(4)])
    fill(
        out,
        tmp_path / "back.xlsx",
        {(2, FIELD_CODE): RIGHT, (3, FIELD_CODE): synthetic_uscc("91", "119900", "MA900004")},
    )
    result = send_back(installation, tmp_path / "back.xlsx")
    # The first row is no longer what the workbook showed; the second stands in the new extract as it was.
    assert [reason for _, _, reason in refused(installation, result)] == ["gone"]
    assert outcomes(installation, MONDAY) == {2: "accepted", 3: "accepted"}
    (versions,) = [found for found in state.records(installation.context).values() if found]
    assert len(versions) == 2


def test_conflicting_answers_for_one_cell_are_all_refused(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, wrong_row(3), wrong_row(4))
    fill(out, tmp_path / "half.xlsx", {(2, FIELD_CODE): RIGHT, (3, FIELD_CODE): RIGHT})
    book = openpyxl.load_workbook(tmp_path / "half.xlsx")
    sheet = line_sheets(book)[0]
    copied = [cell.value for cell in sheet[3]]
    sheet.append(copied)
    sheet.cell(sheet.max_row, column(sheet, "更正后的值")).value = "另一个值"
    book.save(tmp_path / "back.xlsx")
    result = send_back(installation, tmp_path / "back.xlsx")
    assert [reason for _, _, reason in refused(installation, result)] == ["conflict", "conflict"]
    assert result.applied == 1
    lines = answer(result)["未采用"]
    assert [line[2] for line in lines] == ["I3", f"I{sheet.max_row}"]
    assert "不同的填写" in lines[0][4]


def edit(path: Path, target: Path, change: Callable[[Worksheet], None]) -> None:
    book = openpyxl.load_workbook(path)
    change(line_sheets(book)[0])
    book.save(target)


def set_cell(header: str, value: object, row_number: int = 3, *, last: bool = False) -> Callable[[Worksheet], None]:
    def change(sheet: Worksheet) -> None:
        sheet.cell(row_number, column(sheet, header, last=last)).value = value  # type: ignore[assignment]

    return change


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (set_cell("更正后的值", "=1+1"), ["formula"]),
        (set_cell("更正后的值", "#N/A"), ["error"]),
        (set_cell("更正后的值", 911101051994123100), ["digits"]),
        (set_cell("行引用", "abcabcabcabc//2"), ["identity"]),
        (set_cell("行校验", "0" * 32), ["identity"]),
        (set_cell("字段代码", "CF_NR"), ["identity"]),
        (set_cell("当事人名称", "改在了原文里", last=True), ["changed_cell", "changed_row"]),
    ],
)
def test_what_cannot_be_taken_is_refused_and_named(
    installation: Installation, tmp_path: Path, change: Callable[[Worksheet], None], reasons: list[str]
) -> None:
    out = published_with(installation, wrong_row(3), wrong_row(4))
    good = synthetic_uscc("91", "119900", "MA900004")
    fill(out, tmp_path / "filled.xlsx", {(2, FIELD_CODE): RIGHT, (3, FIELD_CODE): good})
    edit(tmp_path / "filled.xlsx", tmp_path / "back.xlsx", change)
    result = send_back(installation, tmp_path / "back.xlsx")
    assert sorted(reason for _, _, reason in refused(installation, result)) == sorted(reasons)
    assert outcomes(installation, MONDAY) == {2: "quarantined", 3: "accepted"}
    assert {len(line) for line in answer(result)["未采用"]} == {6}


def test_what_was_typed_over_the_row_as_sent_is_refused_without_an_answer_too(
    installation: Installation, tmp_path: Path
) -> None:
    out = published_with(installation, wrong_row(3))
    edit(out, tmp_path / "back.xlsx", set_cell("统一社会信用代码", RIGHT, last=True))
    result = send_back(installation, tmp_path / "back.xlsx")
    ((_, cell, reason),) = refused(installation, result)
    assert (cell[-1], reason) == ("3", "changed_cell")
    assert outcomes(installation, MONDAY) == {2: "quarantined"}


def test_files_that_are_not_ours_are_refused_whole(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, wrong_row(3))
    (tmp_path / "list.csv").write_text("甲,乙\n1,2\n", encoding="utf-8")
    book = openpyxl.load_workbook(out)
    del book["_归集"]
    book.save(tmp_path / "bare.xlsx")
    older = openpyxl.load_workbook(out)
    older["_归集"]["B2"] = "1"
    older.save(tmp_path / "older.xlsx")
    other = openpyxl.load_workbook(out)
    other["_归集"]["B5"] = "dept_penalty-20261116-777"
    other.save(tmp_path / "other.xlsx")
    fill(out, tmp_path / "good.xlsx", {(2, FIELD_CODE): RIGHT})
    files = [tmp_path / name for name in ("list.csv", "bare.xlsx", "older.xlsx", "other.xlsx", "good.xlsx")]
    found = resubmit_files(installation.context, files, "示例经办")
    told = [str(outcome.problem) for outcome in found[:4]]
    assert all(name in text for name, text in zip(("list", "bare", "older", "other"), told, strict=True))
    assert "no department workbook of ours" in told[0]
    assert "form of version 1" in told[2]
    assert "hidden sheet" in told[3]
    assert found[4].result is not None
    assert found[4].result.applied == 1


def test_a_batch_whose_extract_is_gone_says_so(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, wrong_row(3))
    fill(out, tmp_path / "back.xlsx", {(2, FIELD_CODE): RIGHT})
    with installation.context.ledger.read() as session:
        sha256 = session.scalars(select(Extract.sha256)).one()
    landed_path(installation.context.settings.landing, sha256).unlink()
    with pytest.raises(StorageError, match=r"penalty\.csv.*restore the landing"):
        send_back(installation, tmp_path / "back.xlsx")
    assert outcomes(installation, MONDAY) == {2: "quarantined"}


def test_a_batch_whose_run_folder_is_gone_says_so(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, wrong_row(3))
    fill(out, tmp_path / "back.xlsx", {(2, FIELD_CODE): RIGHT})
    shutil.rmtree(installation.context.settings.runs / installation.published(MONDAY).id)
    with pytest.raises(StorageError, match="folder of the feed's last published run is missing"):
        send_back(installation, tmp_path / "back.xlsx")


def test_rows_as_they_were_sent_are_kept_and_the_trace_names_the_correction(
    installation: Installation, tmp_path: Path
) -> None:
    out = published_with(installation, row(1), wrong_row(3))
    fill(out, tmp_path / "更正.xlsx", {(3, FIELD_CODE): RIGHT})
    result = send_back(installation, tmp_path / "更正.xlsx")
    with installation.context.session() as session:
        ((category, key),) = find_record_keys(installation.context, session, row(3)["决定书文号"])
        console = Console(width=200, file=io.StringIO())
        console.print(trace_tree(trace(installation.context, session, category, key)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"统一社会信用代码: {WRONG}" in text
    assert f"{WRONG} → {RIGHT}" in text
    assert "示例经办" in text
    assert "更正.xlsx" in text
    assert result.sha256[:12] in text


def test_the_command_takes_several_files_and_says_what_became_of_each(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    out = published_with(installation, wrong_row(3), wrong_row(4))
    fill(out, tmp_path / "good.xlsx", {(2, FIELD_CODE): RIGHT, (3, FIELD_CODE): "还是不对"})
    (tmp_path / "bad.xlsx").write_bytes(b"no workbook")
    files = [str(tmp_path / name) for name in ("bad.xlsx", "gone.xlsx", "good.xlsx")]
    said = CliRunner().invoke(cli.app, ["resubmit", *files, "--by", "示例经办"])
    assert said.exit_code == 10, said.output
    assert "2 corrections applied, 1 of them in rows with problems left, 0 cells refused" in said.output
    assert "bad.xlsx: " in said.output
    assert said.output.count("bad.xlsx") == 1
    assert "gone.xlsx: there is no such file" in said.output
    with installation.context.ledger.read() as session:
        (found,) = session.scalars(select(Resubmission))
    assert (found.by, found.name, found.corrections, found.refused) == ("示例经办", "good.xlsx", 2, 0)
    assert Path(said.output.split("Answer: ")[1].strip().splitlines()[0]).is_file()


def test_a_field_that_has_to_be_empty_is_emptied(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, wrong_row(3))
    fill(out, tmp_path / "back.xlsx", {(2, FIELD_CODE): "（空）"})
    result = send_back(installation, tmp_path / "back.xlsx")
    run = installation.context.settings.runs / result.run
    (correction,) = pq.read_table(run / "corrections.parquet").to_pylist()
    assert (correction["old_value"], correction["new_value"], correction["by"]) == (WRONG, None, "示例经办")
    assert pq.read_table(run / "rows" / "000.parquet")["统一社会信用代码"].to_pylist() == [None]
    assert pq.read_table(run / "rows" / "000.sent")["统一社会信用代码"].to_pylist() == [WRONG]


def test_the_answer_names_cells_and_reasons_and_holds_no_value(installation: Installation, tmp_path: Path) -> None:
    out = published_with(installation, wrong_row(3), wrong_row(4))
    fill(out, tmp_path / "back.xlsx", {(2, FIELD_CODE): RIGHT, (3, FIELD_CODE): "仍然不对"})
    result = send_back(installation, tmp_path / "back.xlsx")
    told = answer(result)
    assert [(line[1], line[3]) for line in told["已采用"]] == [(3, "已通过，新入库"), (4, "仍有问题")]
    assert told["已采用"][0][4] is None
    assert told["已采用"][1][4]
    everything = str(told)
    assert RIGHT not in everything
    assert "仍然不对" not in everything
