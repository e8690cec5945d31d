"""What the adapter makes of the receipt table."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from delivery_shop import key
from front_end import FrontEnd, keys

from pipelines.delivery.exchange_receipts import CONTRADICTION, moment_of
from pipelines.delivery.exchange_table import ExchangeTableAdapter
from pipelines.delivery.replies import Receipts, Trouble

NINE = datetime(2026, 11, 20, 9)  # noqa: DTZ001 - Chinese time, as in the table
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def results(receipts: Receipts) -> dict[str, tuple[str, str, str | None]]:
    return {reply.record_id: (reply.result, reply.meaning, reply.upper_id) for reply in receipts.replies}


def test_receipts_are_told_as_they_come(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    package = front_end.package("a", "b", "c")
    adapter.submit(package)
    assert adapter.receipts(package) == Receipts([], complete=False)
    front_end.answer("a", "1", "SJ1")
    front_end.answer("b", "4", "SJ2")
    assert adapter.receipts(package).complete is False
    front_end.run(
        """INSERT INTO "QZK_HZ" VALUES ('batch-1', :record, '2', '1014', 'CF_SY', '处罚事由不能为空', NULL, :at)""",
        record=key("c"),
        at=NINE,
    )
    receipts = adapter.receipts(package)
    assert receipts.complete is True
    assert results(receipts) == {
        key("a"): ("1", "accepted", "SJ1"),
        key("b"): ("4", "duplicate", "SJ2"),
        key("c"): ("2", "rejected", None),
    }
    [refused] = [reply for reply in receipts.replies if reply.meaning == "rejected"]
    assert (refused.rule_code, refused.field, refused.message) == ("1014", "CF_SY", "处罚事由不能为空")
    assert refused.idempotency_key == package.messages[2].idempotency_key


def test_receipts_of_other_batches_and_records_are_passed_over(
    front_end: FrontEnd, adapter: ExchangeTableAdapter
) -> None:
    package = front_end.package("a")
    adapter.submit(package)
    front_end.answer("a", "1", "SJ1", batch="batch-2")
    front_end.answer("somebody", "1", "SJ2")
    assert adapter.receipts(package) == Receipts([], complete=False)


def test_a_receipt_given_twice_is_one(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    package = front_end.package("a")
    adapter.submit(package)
    front_end.answer("a", "1", "SJ1")
    front_end.answer("a", "1", "SJ1")
    front_end.answer("a", "1", "SJ1", at=NINE + HOUR)
    assert [reply.upper_id for reply in adapter.receipts(package).replies] == ["SJ1"]


@pytest.mark.parametrize(("first", "then", "meaning"), [("3", "1", "accepted"), ("3", "2", "rejected")])
def test_a_doubt_is_settled_by_a_later_receipt(
    front_end: FrontEnd, adapter: ExchangeTableAdapter, first: str, then: str, meaning: str
) -> None:
    package = front_end.package("a")
    adapter.submit(package)
    front_end.answer("a", first)
    receipts = adapter.receipts(package)
    assert (receipts.complete, [reply.meaning for reply in receipts.replies]) == (True, ["other"])
    front_end.answer("a", then, "SJ1", at=NINE + HOUR)
    assert [reply.meaning for reply in adapter.receipts(package).replies] == [meaning]


@pytest.mark.parametrize("other", [("2", None), ("1", "SJ2")])
def test_contradictions_of_one_moment_settle_nothing(
    front_end: FrontEnd, adapter: ExchangeTableAdapter, other: tuple[str, str | None]
) -> None:
    package = front_end.package("a", "b")
    adapter.submit(package)
    front_end.answer("a", "1", "SJ1")
    front_end.answer("a", *other)
    front_end.answer("b", "1", "SJ3")
    told = {reply.record_id: reply for reply in adapter.receipts(package).replies}
    assert (told[key("a")].meaning, told[key("a")].message) == ("other", CONTRADICTION)
    assert told[key("a")].upper_id is None
    assert told[key("b")].meaning == "accepted"


def test_an_upper_level_id_that_nobody_can_keep_is_no_answer(
    front_end: FrontEnd, adapter: ExchangeTableAdapter
) -> None:
    package = front_end.package("a")
    adapter.submit(package)
    front_end.run('DROP TABLE IF EXISTS "HZ_WIDE"')
    front_end.run('CREATE TABLE "HZ_WIDE" AS SELECT * FROM "QZK_HZ"', 'ALTER TABLE "HZ_WIDE" DROP COLUMN "UPPER_ID"')
    front_end.run('ALTER TABLE "HZ_WIDE" ADD COLUMN "UPPER_ID" VARCHAR(200)')
    front_end.grant("SELECT", "HZ_WIDE")
    front_end.run(
        """INSERT INTO "HZ_WIDE" ("BATCH_NO", "REC_ID", "RESULT", "UPPER_ID", "RECEIPT_TIME")
        VALUES ('batch-1', :record, '1', :upper_id, :at)""",
        record=key("a"),
        upper_id="9" * 101,
        at=NINE,
    )
    with front_end.adapter(front_end.described(receipts="HZ_WIDE")) as wide, pytest.raises(Trouble, match="longer"):
        wide.receipts(package)


def test_what_was_read_and_not_answered_in_time_is_lost(front_end: FrontEnd) -> None:
    package = front_end.package("a", "b")
    clock = {"now": NINE}
    with front_end.adapter(now=lambda: clock["now"]) as adapter:
        adapter.submit(package)
        clock["now"] = NINE + 30 * DAY
        assert adapter.receipts(package).complete is False, "nobody has read it yet"
        front_end.read(NINE + 20 * DAY)
        front_end.answer("b", "1", "SJ1")
        clock["now"] = NINE + 21 * DAY
        assert adapter.receipts(package).complete is False
        clock["now"] = NINE + 21 * DAY + timedelta(seconds=1)
        receipts = adapter.receipts(package)
        assert (receipts.complete, {reply.record_id for reply in receipts.replies}) == (True, keys("b"))


@pytest.mark.parametrize("read_at", [NINE - HOUR, NINE + 300 * DAY, None])
def test_a_wrong_clock_of_the_receiver_does_not_stretch_patience(front_end: FrontEnd, read_at: datetime | None) -> None:
    package = front_end.package("a")
    clock = {"now": NINE}
    with front_end.adapter(now=lambda: clock["now"]) as adapter:
        adapter.submit(package)
        front_end.run('UPDATE "QZK_XZCF" SET "READ_FLAG" = 1, "READ_TIME" = :at', at=read_at)
        clock["now"] = NINE + DAY
        assert adapter.receipts(package).complete is False
        clock["now"] = NINE + DAY + timedelta(seconds=1)
        assert adapter.receipts(package).complete is True


def test_rows_that_should_stay_and_are_gone_will_not_be_answered(
    front_end: FrontEnd, adapter: ExchangeTableAdapter
) -> None:
    package = front_end.package("a", "b")
    adapter.submit(package)
    front_end.answer("a", "1", "SJ1")
    front_end.run('DELETE FROM "QZK_XZCF"')
    receipts = adapter.receipts(package)
    assert (receipts.complete, len(receipts.replies)) == (True, 1)


def test_rows_that_were_taken_away_may_be_at_work(front_end: FrontEnd) -> None:
    # Formed at 01:02:03 UTC, which is 09:02:03 in China.
    package = front_end.package("a")
    clock = {"now": NINE + timedelta(minutes=2, seconds=3)}
    with front_end.adapter(front_end.described(consumed_rows="move"), now=lambda: clock["now"]) as adapter:
        adapter.submit(package)
        front_end.run('DELETE FROM "QZK_XZCF"')
        clock["now"] += DAY
        assert adapter.receipts(package).complete is False
        clock["now"] += timedelta(seconds=1)
        assert adapter.receipts(package).complete is True


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (NINE, NINE),
        ("2026-11-20 09:00:00", NINE),
        (" 2026-11-20T01:00:00Z", NINE),
        (datetime.fromisoformat("2026-11-20T02:00:00+01:00"), NINE),
        ("20/11", None),
        (None, None),
        (0, None),
    ],
)
def test_moments(value: object, moment: datetime | None) -> None:
    assert moment_of(value) == moment
