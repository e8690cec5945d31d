"""The department workbook in other hands: LibreOffice opens and saves it, and clerks type what they like."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from reporting_batch import small_installation

from pipelines.catalogue.correction_form import META_SHEET
from pipelines.intake.corrected_workbook import CorrectedWorkbook, read_corrected

from test_workbook import write  # isort: skip

SOFFICE = shutil.which("soffice")
CODE_SHEET = "04 行政相对人代码_1(统一社会信用代码)"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workbook with two answers in it."""
    folder = tmp_path_factory.mktemp("filled")
    with small_installation(folder) as installation:
        write(installation, folder / "out.xlsx")
    book = openpyxl.load_workbook(folder / "out.xlsx")
    book["01 行政处罚决定书文号"]["I3"] = "市监罚〔2026〕2号"
    book["03 同一决定的多行内容互相矛盾"]["E3"] = "处罚内容"
    book["03 同一决定的多行内容互相矛盾"]["I3"] = "0012"
    book.save(folder / "filled.xlsx")
    return folder / "filled.xlsx"


@pytest.fixture(scope="module")
def convert(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str], Path]:
    """Open a file in LibreOffice and save it in another format."""
    if SOFFICE is None:
        pytest.skip("needs LibreOffice (soffice)")
    folder = tmp_path_factory.mktemp("office")

    def save(path: Path, kind: str) -> Path:
        target = folder / f"from-{path.suffix[1:]}"
        command = [SOFFICE or "", f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless"]
        subprocess.run(
            [*command, "--convert-to", kind, "--outdir", str(target), str(path)],
            check=True,
            capture_output=True,
            timeout=180,
        )
        return target / f"{path.stem}.{kind}"

    return save


def told(book: CorrectedWorkbook) -> list[tuple[object, ...]]:
    """All that matters of a workbook; blanks inside of cells are what programs change."""
    return [
        (
            *(s.sheet, s.rows, s.references, s.row_hashes, s.checks, s.field_codes, s.codes, s.fields, s.answers),
            *("".join(cell.split()) for column in s.cells for cell in column),
        )
        for s in book.sheets
    ]


def test_libreoffice_saves_it_in_every_format_and_nothing_is_lost(
    filled: Path, convert: Callable[[Path, str], Path]
) -> None:
    before = read_corrected(filled, filled.name)
    assert [answer for sheet in before.sheets for answer in sheet.answers if answer] == ["市监罚〔2026〕2号", "0012"]
    open_document = convert(filled, "ods")
    for path in (open_document, convert(open_document, "xlsx"), convert(filled, "xls")):
        after = read_corrected(path, path.name)
        assert after.meta == before.meta
        assert told(after) == told(before), path.name


def test_libreoffice_keeps_what_is_hidden_locked_and_offered(
    filled: Path, convert: Callable[[Path, str], Path]
) -> None:
    before = openpyxl.load_workbook(filled)
    after = openpyxl.load_workbook(convert(convert(filled, "ods"), "xlsx"))
    assert after.sheetnames == before.sheetnames
    assert [after[name].sheet_state for name in ("_代码", META_SHEET)] == ["hidden", "hidden"]
    sheet = after["03 同一决定的多行内容互相矛盾"]
    (rule,) = sheet.data_validations.dataValidation
    assert (str(rule.sqref), rule.type) == ("E3", "list")
    assert "_代码" in str(rule.formula1)
    assert sheet.protection.sheet
    assert [sheet[f"{letter}3"].protection.locked for letter in "EIFS"] == [False, False, True, True]
    hidden = [group for group in sheet.column_dimensions.values() if group.hidden]
    assert {place for group in hidden for place in range(group.min, group.max + 1)} == {15, 16, 17, 18}


def test_libreoffice_prints_it(filled: Path, convert: Callable[[Path, str], Path]) -> None:
    assert convert(filled, "pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("typed", "answer", "fault"),
    [
        (date(2026, 3, 5), "2026/03/05", None),
        (datetime(2026, 3, 5, 8, 30), "2026/03/05 08:30:00", None),  # noqa: DTZ001 - a cell has no zone
        (12, "12", None),
        (0.5, "0.5", None),
        ("  前后有空格 ", "前后有空格", None),
        ("007", "007", None),
        (911101051994123100, "9.11101051994123E+17", "digits"),
        ("=A1", "=A1", "formula"),
        ("#REF!", "#REF!", "error"),
    ],
)
def test_an_answer_is_read_as_it_shows(
    filled: Path, tmp_path: Path, typed: object, answer: str, fault: str | None
) -> None:
    book = openpyxl.load_workbook(filled)
    book[CODE_SHEET]["I3"] = typed  # type: ignore[assignment]
    book.save(tmp_path / "x.xlsx")
    (sheet,) = [sheet for sheet in read_corrected(tmp_path / "x.xlsx", "x.xlsx").sheets if sheet.sheet == CODE_SHEET]
    assert list(sheet.answers) == [answer]
    assert sheet.faults == ({} if fault is None else {0: fault})


def test_rows_in_another_order_filtered_and_sheets_deleted_are_read(filled: Path, tmp_path: Path) -> None:
    book = openpyxl.load_workbook(filled)
    sheet = book["01 行政处罚决定书文号"]
    lines = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=3)]
    for row, values in enumerate(reversed(lines), start=3):
        for place, value in enumerate(values, start=1):
            sheet.cell(row, place).value = value
    sheet.row_dimensions[4].hidden = True
    sheet.column_dimensions["O"].hidden = False
    sheet.column_dimensions["A"].width = 40
    for name in ("填写说明", "汇总", "02 行政相对人名称"):
        del book[name]
    book.save(tmp_path / "x.xlsx")
    before, after = read_corrected(filled, "a.xlsx"), read_corrected(tmp_path / "x.xlsx", "b.xlsx")
    assert [sheet.sheet[:2] for sheet in after.sheets] == ["01", "03", "04", "提示"]
    assert list(after.sheets[0].references) == list(reversed(before.sheets[0].references))
    assert list(after.sheets[0].answers) == list(reversed(before.sheets[0].answers))
