"""The bulletin of a month, as a document and as a workbook, read back and opened by LibreOffice."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
import zipfile
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from docx import Document

from pipelines.errors import GuijiError
from pipelines.operations.bulletin import write_bulletin
from pipelines.operations.context import Context
from tests.reporting.figure_month import FIRST, LAST, Month

TODAY = date(2026, 11, 25)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Month(tmp_path_factory.mktemp("bulletin")).live_through()


@pytest.fixture(scope="module")
def files(context: Context, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("written")
    return write_bulletin(context, FIRST, LAST, context.catalogue.profile("national"), folder, TODAY)


def document_text(path: Path) -> list[str]:
    document = Document(io.BytesIO(path.read_bytes()))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return [paragraph.text for paragraph in document.paragraphs] + cells


def test_the_document_says_it_all_and_silence_first(files: list[Path]) -> None:
    text = document_text(files[0])
    headings = [line for line in text if line[1:2] == "、"]
    assert [heading.split("、")[1] for heading in headings] == [
        "未报送情况", "总体情况", "各部门情况", "各类信息情况",
        "主要问题", "整改测算", "疑似未报送（估计，非事实）", "指标口径",
    ]  # fmt: skip
    # Monday 16 and Tuesday 17 were the last days on which anything came; the bulletin covers the month up to the 24th.
    assert text.index("2026年11月16日") < text.index("2026年11月17日")
    # 14 of 16 in all, 11 of 12 and 3 of 4 by department.
    assert "87.50 %" in text and "91.67 %\n11/12" in text and "75.00 %\n3/4" in text
    assert any("87.50 %（14 ÷ 16）" in line for line in text)
    assert "通过校验的条数 ÷ 上报条数。声明不报送的行和同批重复行不算上报。" in text


def test_the_workbook_has_every_figure_with_its_numbers(files: list[Path]) -> None:
    book = openpyxl.load_workbook(files[1])
    assert book.sheetnames[0] == "未报送" and "疑似未报送（估计）" in book.sheetnames
    rows = [[cell.value for cell in row] for row in book["各部门"].iter_rows(min_row=2)]
    found = {(row[1], row[4]): (row[5], row[7], row[8]) for row in rows}
    assert found["示例局", "合规率"] == ("91.67 %", 11, 12)
    assert found["示例二局", "合规率"] == ("75.00 %", 3, 4)
    charts = book["走势"]._charts
    assert len(charts) >= 3


def test_the_same_month_gives_the_same_bytes(context: Context, files: list[Path], tmp_path: Path) -> None:
    # Both formats keep times with a precision of seconds.
    time.sleep(2.1)
    again = write_bulletin(context, FIRST, LAST, context.catalogue.profile("national"), tmp_path, TODAY)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]


def test_nothing_of_any_record_stands_in_it(files: list[Path]) -> None:
    for path in files:
        with zipfile.ZipFile(path) as package:
            content = b"".join(package.read(name) for name in package.namelist()).decode("utf-8", "replace")
        for word in ("示例王一", "样本第", "给予警告", "91119900MA9"):
            assert word not in content, (path.name, word)


def test_every_profile_has_its_bulletin(context: Context, tmp_path: Path) -> None:
    for profile in context.catalogue.profiles.values():
        document, _ = write_bulletin(context, FIRST, LAST, profile, tmp_path, TODAY)
        assert any(profile.name_zh in line for line in document_text(document))


def test_a_month_that_has_not_begun_has_none(context: Context, tmp_path: Path) -> None:
    with pytest.raises(GuijiError, match="the month 2026-12 has not begun"):
        write_bulletin(
            context, date(2026, 12, 1), date(2026, 12, 31), context.catalogue.profile("national"), tmp_path, TODAY
        )


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_libreoffice_opens_both(files: list[Path], tmp_path: Path) -> None:
    for path in files:
        profile = f"-env:UserInstallation=file://{tmp_path}/profile"
        command = ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
        pdf = tmp_path / f"{path.stem}.pdf"
        assert pdf.stat().st_size > 10_000
        pdf.unlink()
