"""Control totals: read off the department's file, and compared with what was read, exactly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import FolderSource, Totals
from pipelines.engine.duck import Session
from pipelines.errors import ExtractError
from pipelines.intake.connectors.contract import Declared, Pull, PullRequest
from pipelines.intake.connectors.file_totals import MOST_BYTES, declared_in
from pipelines.intake.connectors.folder import pull
from pipelines.intake.landing import land
from pipelines.intake.reading import IntakeResult, read_landed
from pipelines.intake.totals import check_totals
from pipelines.settings import Settings

DAY = date(2026, 11, 20)
HEAD = "行政相对人名称,行政处罚决定书文号,罚款金额（万元）\n"
COLUMN = "罚款金额(万元)"
BOTH = Totals(file="{name}.ok", rows=r"总条数[:：]\s*(\S+)", amount=r"总金额[:：]\s*(\S+)", amount_column=COLUMN)


# What the department says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_totals_are_read_in_the_encodings_that_departments_use(encoding: str) -> None:
    data = "报送日期：2026-11-20\r\n总条数：１，２３４\r\n总金额： 5,678.90\r\n".encode(encoding)
    declared = declared_in(data, BOTH, "a.csv.ok")
    assert (declared.rows, declared.amount, declared.amount_column) == (1234, Decimal("5678.90"), COLUMN)
    assert declared.where == "a.csv.ok"


def test_totals_in_json_are_found_by_their_expression() -> None:
    declared = declared_in(b'{"count": 12, "sum": -0.5}', Totals(file="{stem}.json", rows=r'"count":\s*([0-9]+)'), "x")
    assert (declared.rows, declared.amount) == (12, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("总条数：十二\n总金额：1\n", "source.totals.rows finds no number"),
        ("总条数：1.5\n总金额：1\n", "source.totals.rows finds no number"),
        ("总条数：-1\n总金额：1\n", "source.totals.rows finds no number"),
        ("总条数：12\n", "source.totals.amount finds no number"),
        ("总条数：12\n总金额：NaN\n", "source.totals.amount finds no number"),
        ("", "source.totals.rows finds no number"),
    ],
)
def test_a_figure_that_is_not_there_is_named(text: str, problem: str) -> None:
    with pytest.raises(ExtractError, match=rf"a\.csv\.ok: {problem}.*ask the department for complete control totals"):
        declared_in(text.encode(), BOTH, "a.csv.ok")


def test_what_is_no_totals_file_is_refused() -> None:
    with pytest.raises(ExtractError, match="neither UTF-8 nor GB18030"):
        declared_in(b"\xff\xff\xff", BOTH, "a.csv.ok")
    with pytest.raises(ExtractError, match="more than 65,536 bytes"):
        declared_in(b" " * (MOST_BYTES + 1), BOTH, "a.csv.ok")


# What was read ------------------------------------------------------------------------------------------------------


@pytest.fixture
def read(duck: Session, category: Category, feed: Callable[..., Feed], tmp_path: Path) -> Callable[..., IntakeResult]:
    """Read extracts of these texts as one batch."""

    def go(*texts: str) -> IntakeResult:
        landed = []
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.csv"
            path.write_text(HEAD + text, encoding="gb18030")
            landed.append(land(path, tmp_path / "landing"))
        return read_landed(duck, landed, feed(), category, tmp_path / "run")

    return go


def test_what_agrees_is_reported_with_both_figures(duck: Session, read: Callable[..., IntakeResult]) -> None:
    result = read('甲,1号,"1,234.50"\n乙,2号,０．１\n丙,3号, 0.2 \n丁,4号,\n')
    sha256 = result.extracts[0]["sha256"]
    declared = Declared("0.csv.ok", rows=4, amount=Decimal("1234.8"), amount_column=COLUMN)
    assert check_totals(duck, result, {sha256: declared}) == [
        {
            "extract": sha256,
            "where": "0.csv.ok",
            "rows_declared": 4,
            "rows_read": 4,
            "amount_column": COLUMN,
            "amount_declared": "1234.8",
            "amount_read": "1234.80",
        }
    ]


def test_amounts_are_added_exactly(duck: Session, read: Callable[..., IntakeResult]) -> None:
    # In floating point 0.1 added ten times is not 1, and decimal arithmetic keeps 28 digits unless told otherwise.
    large = 10**27
    result = read("甲,1号,0.1\n" * 10 + f"乙,2号,{large}.01\n丙,3号,-0.000001\n")
    exact = Decimal(f"{large + 1}.009999")
    [compared] = check_totals(duck, result, {"": Declared("x", amount=exact, amount_column=COLUMN)})
    assert compared["amount_read"] == str(exact)
    off = Decimal(f"{large + 1}.010000")
    with pytest.raises(
        ExtractError, match=r"declares 1,000,.*\.010000 in .*, the rows read add up to 1,000,.*\.009999"
    ):
        check_totals(duck, result, {"": Declared("x", amount=off, amount_column=COLUMN)})


def test_lines_that_could_not_be_decoded_count_as_rows(duck: Session, read: Callable[..., IntakeResult]) -> None:
    result = read("甲,1号,1\n乙,2号\n丙,3号,2\n")
    assert check_totals(duck, result, {"": Declared("x", rows=3)})[0]["rows_read"] == 3
    with pytest.raises(ExtractError, match=r"x: .* declares 5 in .*, the rows read add up to 3; 1 lines could not be"):
        check_totals(duck, result, {"": Declared("x", amount=Decimal(5), amount_column=COLUMN)})


def test_rows_that_are_missing_are_named_with_both_figures(duck: Session, read: Callable[..., IntakeResult]) -> None:
    result = read("甲,1号,1\n")
    with pytest.raises(ExtractError, match=r"x: the department declares 1,000 rows, 1 were read .* send the whole"):
        check_totals(duck, result, {"": Declared("x", rows=1000)})


def test_cells_that_hold_no_number_make_the_sum_incomparable(duck: Session, read: Callable[..., IntakeResult]) -> None:
    result = read("甲,1号,1\n乙,2号,壹万元\n丙,3号,—\n丁,4号,1E+5\n戊,5号,1.5\n")
    with pytest.raises(ExtractError, match="cannot be compared: 3 of its cells hold no number") as caught:
        check_totals(duck, result, {"": Declared("x", amount=Decimal(2), amount_column=COLUMN)})
    assert "壹万元" not in str(caught.value)
    with pytest.raises(ExtractError, match=r"the column 没收金额, whose sum .* is not in its rows"):
        check_totals(duck, result, {"": Declared("x", amount=Decimal(2), amount_column="没收金额")})


def test_extracts_with_the_same_bytes_count_as_often_as_they_were_sent(
    duck: Session, read: Callable[..., IntakeResult]
) -> None:
    result = read("甲,1号,1\n乙,2号,2\n", "甲,1号,1\n乙,2号,2\n", "丙,3号,4\n")
    total = Declared("x", rows=5, amount=Decimal(10), amount_column=COLUMN)
    assert check_totals(duck, result, {"": total})[0]["rows_read"] == 5
    same = str(result.extracts[0]["sha256"])
    assert check_totals(duck, result, {same: Declared("x", rows=2)})[0]["rows_read"] == 2
    only = Declared("x", rows=3, amount=Decimal(7), amount_column=COLUMN, of=(same, str(result.extracts[2]["sha256"])))
    assert check_totals(duck, result, {"": only})[0]["amount_read"] == "7"


# From the folder to the comparison ----------------------------------------------------------------------------------


@pytest.fixture
def pulled(tmp_path: Path, feed: Callable[..., Feed]) -> Callable[..., Pull]:
    def go(totals: dict[str, object]) -> Pull:
        settings = Settings(inbox=tmp_path / "inbox", home=tmp_path / "home")
        source = FolderSource.model_validate({"path": "dept", "totals": totals})
        (tmp_path / "workspace").mkdir(exist_ok=True)
        return pull(PullRequest(settings, feed(source=source), DAY, tmp_path / "workspace"))

    (tmp_path / "inbox" / "dept").mkdir(parents=True)
    return go


def test_each_extract_has_its_totals_file(tmp_path: Path, pulled: Callable[..., Pull]) -> None:
    dept = tmp_path / "inbox" / "dept"
    for name, rows in (("a", 1), ("b", 2)):
        (dept / f"{name}.csv").write_text(name)
        (dept / f"{name}.ok").write_text(f"共{rows}条", encoding="gb18030")
    found = pulled({"file": "{stem}.ok", "rows": "共([0-9]+)条"})
    assert [extract.name for extract in found.extracts] == ["a.csv", "b.csv"]
    assert {extract.name: found.declared[extract.sha256].rows for extract in found.extracts} == {"a.csv": 1, "b.csv": 2}


def test_one_totals_file_may_speak_for_all(tmp_path: Path, pulled: Callable[..., Pull]) -> None:
    dept = tmp_path / "inbox" / "dept"
    for name in ("a.csv", "b.csv"):
        (dept / name).write_text(name)
    (dept / "汇总_20261120.txt").write_text("共3条", encoding="gb18030")
    found = pulled({"file": "汇总_{day}.txt", "rows": "共([0-9]+)条"})
    assert (list(found.declared), found.declared[""].rows) == ([""], 3)
    assert found.declared[""].of == tuple(extract.sha256 for extract in found.extracts)


def test_missing_totals_are_waited_for_unless_the_feed_can_do_without(
    tmp_path: Path, pulled: Callable[..., Pull]
) -> None:
    (tmp_path / "inbox" / "dept" / "a.csv").write_text("a")
    with pytest.raises(ExtractError, match=r"a\.csv: the file is not finished: its control totals a\.ok are missing"):
        pulled({"file": "{stem}.ok", "rows": "(.+)"})
    found = pulled({"file": "{stem}.ok", "rows": "(.+)", "required": False})
    assert (len(found.extracts), found.declared) == (1, {})


def test_twins_with_different_totals_are_refused(tmp_path: Path, pulled: Callable[..., Pull]) -> None:
    dept = tmp_path / "inbox" / "dept"
    for name, rows in (("a", 1), ("b", 2)):
        (dept / f"{name}.csv").write_text("same")
        (dept / f"{name}.ok").write_text(str(rows))
    with pytest.raises(ExtractError, match=r"b\.ok: two files with the same bytes have different control totals"):
        pulled({"file": "{stem}.ok", "rows": "(.+)"})
