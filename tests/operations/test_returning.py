"""Corrected workbooks that a department puts where its ``corrections:`` says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.errors import CatalogueError
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.operations.returning import take_in
from tests.operations.returned_workbook import fill, outcomes, workbook
from tests.operations.small_feed import MONDAY, TUESDAY, Installation, row

FIELD_CODE = "行政相对人代码_1(统一社会信用代码)"
RIGHT = synthetic_uscc("91", "119900", "MA900003")
WRONG = RIGHT[:-1] + ("0" if RIGHT[-1] != "0" else "1")


def comes_back_to(installation: Installation, **source: object) -> Path:
    path = installation.folder / "root" / "schemas" / "departments" / "dept" / "department.yaml"
    about = yaml.safe_load(path.read_text(encoding="utf-8"))
    about["corrections"] = {"kind": "folder", "path": "dept_back", "pattern": "*.xlsx", **source}
    path.write_text(yaml.safe_dump(about, allow_unicode=True), encoding="utf-8")
    installation.describe()
    folder = installation.folder / "inbox" / "dept_back"
    folder.mkdir(parents=True)
    return folder


def test_what_was_taken_is_moved_away_and_what_was_not_stays(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    folder = comes_back_to(installation, afterwards={"do": "move", "folder": "dept_done/{date}"})
    installation.publish(MONDAY, [row(1), row(3, 统一社会信用代码=WRONG)])
    fill(workbook(installation, MONDAY), folder / "更正.xlsx", {(3, FIELD_CODE): RIGHT})
    (folder / "别的.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    bad, good = take_in(installation.context, "dept", TUESDAY)
    assert (bad.name, bad.result) == ("别的.xlsx", None)
    assert bad.problem is not None
    assert good.result is not None
    assert good.result.applied == 1
    assert outcomes(installation, MONDAY) == {2: "accepted", 3: "accepted"}
    assert [path.name for path in folder.iterdir()] == ["别的.xlsx"]
    assert [path.name for path in (tmp_path / "inbox" / "dept_done").rglob("*.xlsx")] == ["更正.xlsx"]


def test_a_workbook_that_stays_is_passed_over_and_nothing_there_is_no_problem(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    folder = comes_back_to(installation)
    assert take_in(installation.context, "dept", MONDAY) == []
    installation.publish(MONDAY, [row(3, 统一社会信用代码=WRONG)])
    fill(workbook(installation, MONDAY), folder / "更正.xlsx", {(2, FIELD_CODE): RIGHT})
    (first,) = take_in(installation.context, "dept", MONDAY)
    run = installation.last_run(MONDAY).id
    (again,) = take_in(installation.context, "dept", TUESDAY)
    assert first.result is not None
    assert (again.result, again.problem) == (None, None)
    assert installation.last_run(MONDAY).id == run


def test_workbooks_have_no_control_totals(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    with pytest.raises(CatalogueError, match=r"department\.yaml.*neither a date column nor control totals"):
        comes_back_to(installation, dated_by="column", date_column="日期")
    with pytest.raises(CatalogueError):
        load_catalogue(installation.context.settings)
