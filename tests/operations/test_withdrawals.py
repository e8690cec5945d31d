"""Records that full dumps no longer hold, or that their department has revoked: proposed, never deleted."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.ledger.models import WithdrawalSighting
from pipelines.operations.reports import build_site
from pipelines.operations.withdrawals import withdrawals_of
from tests.operations import state
from tests.operations.small_feed import (
    AUTHORITY,
    AUTHORITY_CODE,
    FEED,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    Installation,
    changes,
    row,
    rows,
)

HELD = range(20)
GONE = "示市监罚〔2026〕7号"


def without(*numbers: int) -> list[dict[str, str]]:
    return rows(number for number in HELD if number not in numbers)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    made = Installation(tmp_path, {"dump": "full"})
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    return made


def proposed(installation: Installation, day: object) -> list[tuple[str | None, int, bool]]:
    found = withdrawals_of(installation.context, day)  # type: ignore[arg-type]
    return [(one.document_number, one.sightings, one.believed) for one in found]


def stored(installation: Installation) -> int:
    with installation.context.ledger.read() as session:
        return session.scalar(select(func.count()).select_from(WithdrawalSighting)) or 0


def test_absence_is_proposed_once_and_believed_the_second_time(installation: Installation) -> None:
    installation.publish(MONDAY, rows(HELD))
    assert proposed(installation, MONDAY) == []
    first = installation.publish(TUESDAY, without(7))
    assert (first.manifest or {})["dump"] == {"records": 20, "absent": 1, "broken": False, "without_key": 0}
    assert proposed(installation, TUESDAY) == [(GONE, 1, False)]
    installation.publish(WEDNESDAY, without(7))
    assert proposed(installation, WEDNESDAY) == [(GONE, 2, True)]
    assert proposed(installation, TUESDAY) == [(GONE, 1, False)]
    assert_listed(installation)
    shown = CliRunner().invoke(cli.app, ["trace", GONE], terminal_width=200)
    assert "UTC: source folder, place " in " ".join(shown.output.split())
    assert len(state.records(installation.context)["administrative_penalty"]) == len(HELD)

    assert installation.night(WEDNESDAY) is None
    assert installation.last_run(WEDNESDAY).state == "unchanged"
    assert (stored(installation), proposed(installation, WEDNESDAY)) == (2, [(GONE, 2, True)])

    broken = installation.publish(THURSDAY, without(7, 8, 9))
    assert changes(broken) == [("SRC-010", "已有 19 条记录，本批缺少 2 条")]
    assert [one["rule"] for one in installation.file_findings(broken)] == ["SRC-010"]
    assert proposed(installation, THURSDAY) == [(GONE, 2, True)]


def assert_listed(installation: Installation) -> None:
    shown = CliRunner().invoke(cli.app, ["withdrawals", "--date", WEDNESDAY.isoformat()], terminal_width=200)
    assert shown.exit_code == 0
    for word in (FEED, GONE, "absent", "2026-11-17", "2 of 2", "yes"):
        assert word in shown.output
    status = CliRunner().invoke(cli.app, ["status", "--date", WEDNESDAY.isoformat()])
    assert "1 withdrawals proposed, 1 of them believed" in " ".join(status.output.split())
    site = build_site(installation.context, WEDNESDAY)
    page = site.night.with_name(f"{FEED}.html").read_text(encoding="utf-8")
    for word in ("拟撤回记录", GONE, "已确认可撤回", "全量数据中已不见"):
        assert word in page
    sheet = openpyxl.load_workbook(site.workbooks[FEED])["拟撤回记录"]
    assert [line[0].value for line in sheet.iter_rows(min_row=3)] == [GONE]


COLUMNS_2016 = {
    "CF_WSH": "决定书文号",
    "CF_XDR_MC": "当事人名称",
    "CF_XDR_SHXYM": "统一社会信用代码",
    "CF_FR": "法定代表人",
    "CF_CFLB1": "处罚类别",
    "CF_JG": "处罚内容",
    "CF_JDRQ": "处罚决定日期",
    "CF_XZJG": "处罚机关",
}


def row_2016(number: int, status: str) -> dict[str, str]:
    """The same decision as the department writes it in edition 2016; status 1 means that it was revoked."""
    cells = row(number)
    more = {"CF_SY": "未标价", "CF_YJ": "《价格法》第十三条", "CF_JZQ": "2027/11/12", "CF_ZT": status}
    return {code: cells[column] for code, column in COLUMNS_2016.items()} | more


def test_a_row_that_says_itself_that_it_was_revoked_is_believed_at_once(tmp_path: Path) -> None:
    said = {"CF_WFXW": "未明码标价", "CF_CFJGDM": AUTHORITY_CODE, "CF_SJLY": AUTHORITY, "CF_SJLYDM": AUTHORITY_CODE}
    columns = {field: {"constant": text} for field, text in said.items()}
    installation = Installation(tmp_path, {"edition": 2016, "columns": columns}, whole=True)
    header = tuple(row_2016(0, "0"))
    first = installation.publish(MONDAY, [row_2016(1, "0"), row_2016(2, "0")], header)
    assert first.accepted == 2
    second = installation.publish(TUESDAY, [row_2016(1, "1"), row_2016(2, "0"), row_2016(3, "1")], header)
    assert (second.accepted, second.excluded) == (1, 2)
    found = withdrawals_of(installation.context, TUESDAY)
    assert {(one.document_number, one.reason, one.believed) for one in found} == {
        ("示市监罚〔2026〕1号", "revoked", True),
        (None, "revoked", True),
    }
    assert len(state.records(installation.context)["administrative_penalty"]) == 2

    # From Wednesday on the department writes edition 2018, which has no such status: it is not missed.
    given_up = {field: {"constant": ""} for field in ("CF_SY", "CF_YJ", "CF_YXQ")}
    installation.describe(edition=2018, columns=columns | given_up)
    third = installation.publish(WEDNESDAY, rows(range(1, 4)))
    assert ("SRC-002", "CF_ZT") in changes(third)


def test_a_row_in_trouble_is_no_absence(installation: Installation) -> None:
    """A quarantined row is still there; one whose subject was mistyped may be the record that seems to be gone."""
    installation.publish(MONDAY, rows(HELD))
    quarantined, mistyped = row(7, 处罚类别=""), row(8, 统一社会信用代码="91119900MA9", 当事人名称="示例市误写有限公司")
    run = installation.publish(TUESDAY, [*without(7, 8, 9), quarantined, mistyped, row(9, 决定书文号="")])
    assert run.quarantined == 3
    assert (run.manifest or {})["dump"] == {"records": 20, "absent": 1, "broken": False, "without_key": 1}
    assert proposed(installation, TUESDAY) == [("示市监罚〔2026〕9号", 1, False)]
