"""Many withdrawals at once: proposals that are believed, publication periods that are over; shown before they are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from sqlalchemy import select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import CatalogueError, RunConflictError
from pipelines.ledger.delivery_models import RecordAct
from pipelines.ledger.models import Outbox, Tombstone
from pipelines.operations.deliveries import consolidate_stores
from pipelines.operations.night import run_night
from pipelines.operations.record_acts import SET_ASIDE, store_act
from pipelines.operations.record_states import Decision
from pipelines.operations.withdrawals import withdrawals_of
from pipelines.operations.withdrawing import (
    believed_withdrawals,
    expired_withdrawals,
    require_moderate,
    withdraw_all,
)
from tests.operations.delivering import CATEGORY, ENDPOINT, Delivering, opened
from tests.operations.small_feed import COLUMNS, FEED, MONDAY, THURSDAY, TUESDAY, WEDNESDAY, Installation, row, rows

HELD = range(20)
SAID = ("信用办甲", "示例批示")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    made = Installation(tmp_path, {"dump": "full", "withdrawals": {"sightings": 2, "max_share": 0.1}})
    for name in ("root", "inbox", "home"):
        monkeypatch.setenv(f"GUIJI_{name.upper()}", str(tmp_path / name))
    return made


def without(*numbers: int) -> list[dict[str, str]]:
    return rows(number for number in HELD if number not in numbers)


def test_believed_proposals_are_withdrawn_and_proposed_no_more(installation: Installation) -> None:
    installation.publish(MONDAY, rows(HELD))
    for day in (TUESDAY, WEDNESDAY):
        installation.publish(day, without(7))
    installation.publish(THURSDAY, without(7, 8))
    context = installation.context
    (intended,) = believed_withdrawals(context, THURSDAY, *SAID)
    assert (intended.document_number, intended.feed) == ("示市监罚〔2026〕7号", FEED)
    assert intended.decision == Decision("withdraw", TUESDAY, *SAID, "error")
    with pytest.raises(CatalogueError, match="no believed withdrawal of 00000000"):
        believed_withdrawals(context, THURSDAY, *SAID, records=["0" * 8])
    with pytest.raises(RunConflictError, match="1 records would be withdrawn, and 0 were expected"):
        require_moderate(context, [intended], most=0)

    words = ["withdrawals", "confirm", "--date", str(THURSDAY), "--by", "信用办甲", "--note", "示例批示"]
    runner = CliRunner()
    shown = runner.invoke(cli.app, words)
    assert "1 records would be withdrawn. Nothing was stored" in shown.output
    assert opened(context, RecordAct) == []
    done = runner.invoke(cli.app, [*words, "--yes"])
    assert "1 records withdrawn" in done.output
    (act,) = opened(context, RecordAct)
    assert (act.kind, act.reason, act.effective_on, act.record_key) == (
        "withdraw",
        "error",
        TUESDAY,
        intended.record_key,
    )
    assert [(one.document_number, one.believed) for one in withdrawals_of(context, THURSDAY)] == [
        ("示市监罚〔2026〕8号", False)
    ]
    assert "There is nothing to withdraw." in runner.invoke(cli.app, [*words, "--yes"]).output


def test_too_many_withdrawals_at_once_are_refused(installation: Installation) -> None:
    installation.publish(MONDAY, rows(HELD))
    context = installation.context
    (proposed,) = _one_absent(installation)
    many = [proposed, proposed, proposed]
    with pytest.raises(RunConflictError, match="of 20 records of dept_penalty at most 2 are withdrawn at once"):
        require_moderate(context, many, None)
    require_moderate(context, many[:2], None)
    require_moderate(context, many, most=3)


def _one_absent(installation: Installation) -> list[object]:
    for day in (TUESDAY, WEDNESDAY):
        installation.publish(day, without(7))
    return list(believed_withdrawals(installation.context, WEDNESDAY, *SAID))


def test_records_whose_publication_is_over_are_withdrawn_since_the_day_after(installation: Installation) -> None:
    ends = {1: "2026/11/18", 2: "2026/11/19", 3: "2026/11/20", 4: ""}
    sent = [row(number) | {"公示截止期": end} for number, end in ends.items()]
    installation.publish(MONDAY, sent, (*COLUMNS, "公示截止期"))
    context = installation.context
    found = expired_withdrawals(context, date(2026, 11, 20), *SAID)
    assert [(one.document_number, one.decision.effective_on, one.decision.reason) for one in found] == [
        ("示市监罚〔2026〕1号", date(2026, 11, 19), "expired"),
        ("示市监罚〔2026〕2号", date(2026, 11, 20), "expired"),
    ]
    assert len(withdraw_all(context, found)) == 2
    assert expired_withdrawals(context, date(2026, 11, 20), *SAID) == []
    assert [one.reason for one in opened(context, Tombstone)] == ["expired", "expired"]


def test_a_record_that_two_feeds_report_is_withdrawn_once_and_from_both(small_shop: Delivering) -> None:
    """The receiver had it from the feed that survived; the other feed's report must never leave."""
    installation, context = small_shop.installation, small_shop.context
    second = {
        "feed": "dept_second",
        "name_zh": "示例局行政处罚二",
        "category": CATEGORY,
        "edition": 2018,
        "source": {"kind": "folder", "path": "dept/{date}", "pattern": "*"},
        "endpoints": [ENDPOINT],
        "priority": 200,
    }
    path = installation.folder / "root" / "schemas" / "departments" / "dept" / "second.yaml"
    path.write_text(yaml.safe_dump(second, allow_unicode=True), encoding="utf-8")
    installation.describe(endpoints=[ENDPOINT])
    context = small_shop.context = installation.context
    run_night(context, MONDAY, ["dept_second"])
    consolidate_stores(context)
    key = small_shop.key(1)
    stored = store_act(context, CATEGORY, key, Decision("withdraw", MONDAY, *SAID, "revoked"))
    assert stored.act.feed == FEED
    assert [(one.feed, one.family) for one in small_shop.owed(key)] == [
        (FEED, "content"),
        ("dept_second", "content"),
        (FEED, "withdrawal"),
    ]
    small_shop.deliver()
    assert key not in small_shop.shown()

    store_act(context, CATEGORY, key, Decision("reinstate", MONDAY, *SAID))
    small_shop.deliver()
    assert key in small_shop.shown()
    assert small_shop.owed(key)[-1].feed == FEED
    with context.ledger.read() as ledger:
        never_sent = ledger.scalars(select(Outbox).where(Outbox.feed == "dept_second", Outbox.sent_at.is_not(None)))
        assert list(never_sent) == []


def test_a_report_of_another_feed_that_was_not_compared_yet_is_set_aside_too(small_shop: Delivering) -> None:
    installation = small_shop.installation
    first = installation.folder / "root" / "schemas" / "departments" / "dept" / "penalty.yaml"
    other = yaml.safe_load(first.read_text("utf-8")) | {"feed": "dept_second", "priority": 200}
    first.with_name("second.yaml").write_text(yaml.safe_dump(other, allow_unicode=True), encoding="utf-8")
    installation.describe(endpoints=[ENDPOINT])
    small_shop.context = installation.context
    run_night(small_shop.context, MONDAY, ["dept_second"])
    key = small_shop.key(2)
    store_act(small_shop.context, CATEGORY, key, Decision("withdraw", MONDAY, *SAID, "revoked"))
    (second,) = [one for one in small_shop.owed(key) if one.feed == "dept_second"]
    assert second.withheld_reason == SET_ASIDE
    small_shop.deliver()
    assert key not in small_shop.shown()
