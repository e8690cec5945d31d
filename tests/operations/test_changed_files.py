"""A batch that is not like the one before it: noticed, and held where a column is lost."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import BatchHeldError
from pipelines.operations.check import check_file, render_check
from pipelines.operations.publishing import publish_batch
from pipelines.operations.reports import build_site, figures_of
from pipelines.operations.status import notices_of, problems_of
from pipelines.reporting.summary import summary_table
from tests.operations.small_feed import (
    COLUMNS,
    FEED,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    Installation,
    changes,
    row,
    rows,
)

RENAMED = tuple("处罚文件编码" if column == "决定书文号" else column for column in COLUMNS)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    made = Installation(tmp_path)
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    return made


def renamed(numbers: range) -> list[dict[str, str]]:
    return [row(number, 处罚文件编码=f"示市监罚〔2026〕{number}号") for number in numbers]


def test_a_lost_column_holds_the_batch_until_the_feed_is_mended(installation: Installation) -> None:
    first = installation.publish(MONDAY, rows(range(5)))
    assert changes(first) == []

    installation.send(TUESDAY, renamed(range(6)), RENAMED)
    problem = installation.night(TUESDAY)
    assert isinstance(problem, BatchHeldError)
    for word in (
        "penalty.csv, line 1",
        "决定书文号",
        "CF_WSH",
        "处罚文件编码",
        "'CF_WSH: 处罚文件编码'",
        "penalty.yaml",
    ):
        assert word in str(problem)
    held = installation.last_run(TUESDAY)
    assert (held.state, held.problem) == ("held", str(problem))
    assert changes(held) == [("SRC-003", "决定书文号 → 处罚文件编码（位置相同）")]
    with pytest.raises(BatchHeldError):
        publish_batch(installation.context, held.id)
    assert installation.last_run(TUESDAY).state == "held"
    assert_shown_as_held(installation)

    installation.describe(columns={"CF_WSH": "处罚文件编码"})
    assert installation.night(TUESDAY) is None
    mended = installation.published(TUESDAY)
    assert (mended.accepted, mended.new, mended.unchanged) == (6, 1, 5)
    assert changes(mended) == changes(held)
    assert not problems_of(installation.context, TUESDAY)

    after = installation.publish(WEDNESDAY, renamed(range(7)), RENAMED)
    assert changes(after) == []


def assert_shown_as_held(installation: Installation) -> None:
    context = installation.context
    ((feed, problem),) = problems_of(context, TUESDAY)
    assert feed == FEED
    assert problem.startswith("HELD: ")
    shown = CliRunner().invoke(cli.app, ["status", "--date", TUESDAY.isoformat()])
    assert shown.exit_code == cli.FEEDS_FAILED
    assert "HELD until somebody has looked" in " ".join(shown.output.replace("│", " ").split())
    rerun = CliRunner().invoke(cli.app, ["run", "--date", TUESDAY.isoformat()])
    assert rerun.exit_code == cli.FEEDS_FAILED
    assert f"{FEED} is held" in " ".join(rerun.stderr.split())
    (figures,) = figures_of(context, TUESDAY)
    assert figures.state == "held"
    site = build_site(context, TUESDAY)
    page = site.night.with_name(f"{FEED}.html").read_text(encoding="utf-8")
    assert "已暂停，等待核实" in page
    assert "决定书文号 → 处罚文件编码（位置相同）" in page
    assert "已暂停" in site.index.read_text(encoding="utf-8")


def test_a_field_that_is_no_longer_sent_can_be_given_up(installation: Installation) -> None:
    installation.publish(MONDAY, rows(range(3)))
    without = tuple(column for column in COLUMNS if column != "法定代表人")
    installation.describe(columns={"CF_FRDB": {"constant": ""}})
    assert changes(installation.publish(TUESDAY, rows(range(3)), without)) == [("SRC-002", "法定代表人")]


def test_a_column_that_the_feed_names_is_missed_from_the_first_batch_on(installation: Installation) -> None:
    installation.describe(columns={"CF_WSH": "处罚文件编码"})
    installation.send(MONDAY, rows(range(3)))
    problem = installation.night(MONDAY)
    assert isinstance(problem, BatchHeldError)
    assert "处罚文件编码" in str(problem)
    assert installation.last_run(MONDAY).state == "held"


def test_what_changes_without_a_loss_is_a_finding_of_the_published_batch(installation: Installation) -> None:
    installation.publish(MONDAY, rows(range(60)))
    columns = ("经办科室", *COLUMNS[1:], COLUMNS[0])
    sent = [row(number, 经办科室="一科") for number in range(3)]
    run = installation.publish(TUESDAY, sent, columns, "gb18030")
    assert changes(run) == [
        ("SRC-001", "经办科室"),
        ("SRC-004", "1 列换了位置：决定书文号"),
        ("SRC-006", "utf-8 → gb18030"),
        ("SRC-007", "本批 3 行；此前 1 批的中位数为 60 行"),
    ]
    found = installation.file_findings(run)
    assert [(one["row_no"], one["line"], one["rule"], one["severity"]) for one in found] == [
        (None, 1, "SRC-001", "info"),
        (None, 1, "SRC-004", "info"),
        (None, 1, "SRC-006", "warn"),
        (None, None, "SRC-007", "warn"),
    ]
    total = run.accepted + run.duplicate + run.quarantined + run.blocked + run.excluded
    assert run.rows_decoded + run.lines_undecoded == total == 3
    assert_shown_everywhere(installation)
    # Run again with other bytes, the date is compared with the one before it and not with itself.
    again = installation.publish(TUESDAY, sent[:2], columns, "gb18030")
    assert [rule for rule, _ in changes(again)] == ["SRC-001", "SRC-004", "SRC-006", "SRC-007"]
    assert changes(installation.publish(MONDAY, rows(range(61)))) == []


def assert_shown_everywhere(installation: Installation) -> None:
    context = installation.context
    notices = [notice for _, notice in notices_of(context, TUESDAY)]
    assert len(notices) == 4
    assert any(notice.startswith("SRC-006 penalty.csv: utf-8 → gb18030") for notice in notices)
    (figures,) = figures_of(context, TUESDAY)
    assert figures.reasons == ()
    assert summary_table([figures]).row_count == 1
    site = build_site(context, TUESDAY)
    page = site.night.with_name(f"{FEED}.html").read_text(encoding="utf-8")
    assert "文件情况" in page
    assert "本批 3 行；此前 1 批的中位数为 60 行" in page
    sheet = openpyxl.load_workbook(site.workbooks[FEED])["文件情况"]
    codes = [str(line[-1].value) for line in sheet.iter_rows(min_row=3)]
    assert codes == ["SRC-006", "SRC-007", "SRC-001", "SRC-004"]
    pages = {path: path.read_bytes() for path in (*site.pages, *site.workbooks.values())}
    build_site(context, TUESDAY)
    assert {path: path.read_bytes() for path in pages} == pages


def test_a_new_value_of_a_code_is_noticed_once_and_tells_of_nobody(installation: Installation) -> None:
    installation.publish(MONDAY, [row(0), row(1, 处罚类别="降低资质等级")])
    odd = [row(number, 处罚类别="通报批评") for number in range(5)] + [row(9, 处罚类别="张三")]
    run = installation.publish(TUESDAY, [*odd, row(1, 处罚类别="降低资质等级")])
    assert changes(run) == [("SRC-005", "处罚类别：2 个新值，共 6 行，其中：通报批评")]
    assert "张三" not in json.dumps(run.manifest, ensure_ascii=False)
    assert [one["field"] for one in installation.file_findings(run)] == ["CF_CFLB"]
    installation.describe(values={"CF_CFLB": {"通报批评": "其他-通报批评"}})
    mended = installation.publish(WEDNESDAY, odd)
    assert (changes(mended), mended.accepted) == ([], 5)


def test_the_first_batch_is_told_what_is_wrong_with_its_file(installation: Installation) -> None:
    installation.send(MONDAY, rows(range(2)))
    source = next((installation.folder / "inbox").rglob("*.csv"))
    source.rename(source.with_suffix(".xlsx"))
    assert installation.night(MONDAY) is None
    assert changes(installation.published(MONDAY)) == [("SRC-008", "扩展名与内容不符，实为 csv")]


def test_a_department_hears_of_changes_before_it_sends(
    installation: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    installation.publish(MONDAY, rows(range(3)))
    installation.send(TUESDAY, renamed(range(3)), RENAMED)
    result = check_file(installation.context, FEED, next((tmp_path / "inbox" / "dept").glob("*17/*")), TUESDAY)
    assert [change.rule for change in result.changes] == ["SRC-003"]
    render_check(result, Console(width=200))
    assert "列名疑似更改：决定书文号 → 处罚文件编码" in capsys.readouterr().out
