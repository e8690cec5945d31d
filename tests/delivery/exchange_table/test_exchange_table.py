"""What the adapter writes into a front-end database, once, and takes back."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from delivery_shop import key
from front_end import FrontEnd, keys

from pipelines.delivery.exchange_table import ExchangeTableAdapter

TODAY = datetime(2026, 11, 20, 10, 0, 0)  # noqa: DTZ001 - Chinese time, as in the table


def test_a_package_becomes_rows(front_end: FrontEnd) -> None:
    with front_end.adapter(now=lambda: TODAY) as adapter:
        assert adapter.submit(front_end.package("a", "b")).received == 2
    [row] = [row for row in front_end.rows() if row["REC_ID"] == key("a")]
    assert row["BATCH_NO"] == "batch-1"
    assert row["OP"] == "I"
    assert row["CONTENT_HASH"] == key("content of a")
    assert row["WRITE_TIME"] == TODAY
    assert (row["READ_FLAG"], row["READ_TIME"]) == (0, None)
    assert row["CF_WSH"] == "测市监〔2026〕a号"
    assert row["CF_JDRQ"] == "2026/11/12"
    assert row["CF_NR_FK"] == "0.2"
    # A field without a value is NULL, not an empty text.
    assert row["BEI_ZHU"] is None


def test_every_character_arrives_as_it_was(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    data = {"CF_XDR_MC": "𠮷野家（測試）ⅷ·㐂 ", "BZ": "第一行\n第二行\t'引号' \"双引号\" \\反斜杠 100% :name  "}
    adapter.submit(front_end.package("a", data=data))
    [row] = front_end.rows()
    assert (row["CF_XDR_MC"], row["BEI_ZHU"]) == (data["CF_XDR_MC"], data["BZ"])


def test_every_operation_has_its_code(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    asked = [
        ("new", None, "I"),
        ("update", None, "U"),
        ("withdraw", "revoked", "D"),
        ("withdraw", "error", "D"),
        ("withdraw", "repaired", "R"),
        ("objection_on", None, "O"),
        ("objection_off", None, "P"),
    ]
    for number, (operation, reason, _) in enumerate(asked):
        package = front_end.package("a", reference=f"batch-{number}", operation=operation, reason=reason)
        adapter.submit(package)
    written = {row["BATCH_NO"]: row["OP"] for row in front_end.rows()}
    assert written == {f"batch-{number}": code for number, (*_, code) in enumerate(asked)}


def test_a_package_submitted_again_is_there_once(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    package = front_end.package("a", "b")
    for _ in range(3):
        assert adapter.submit(package).received == 2
    assert len(front_end.rows()) == 2


def test_a_batch_whose_rows_are_gone_and_that_has_receipts_is_not_written_again(
    front_end: FrontEnd, adapter: ExchangeTableAdapter
) -> None:
    package = front_end.package("a")
    adapter.submit(package)
    front_end.answer("a", "1", "SJ1")
    front_end.run('DELETE FROM "QZK_XZCF"')
    assert adapter.inquire(package).state == "taken"
    assert adapter.submit(package).received == 1
    assert front_end.rows() == []


def test_inquiry(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    package = front_end.package("a")
    assert adapter.inquire(package).state == "unknown"
    adapter.submit(package)
    assert adapter.inquire(package).state == "taken"
    assert adapter.inquire(front_end.package("a", reference="batch-2")).state == "unknown"


def test_a_receiver_that_takes_rows_away_cannot_tell_that_it_never_had_them(front_end: FrontEnd) -> None:
    package = front_end.package("a")
    with front_end.adapter(front_end.described(consumed_rows="move")) as adapter:
        assert adapter.inquire(package).state == "unanswerable"
        adapter.submit(package)
        assert adapter.inquire(package).state == "taken"
        front_end.run('DELETE FROM "QZK_XZCF"')
        assert adapter.inquire(package).state == "unanswerable"
        front_end.answer("a", "1", "SJ1")
        assert adapter.inquire(package).state == "taken"


@pytest.mark.parametrize("round_", [0, 1, 12])
def test_a_batch_number_is_as_long_as_the_column_allows(front_end: FrontEnd, round_: int) -> None:
    category = front_end.catalogue.categories["administrative_penalty"]
    with front_end.adapter(front_end.described(batch_length=20)) as adapter:
        numbers = {
            adapter.reference(key(name), turn, category, "", TODAY, lambda _: [])
            for name in "ab"
            for turn in (round_, round_ + 1)
        }
    assert len(numbers) == 4
    assert {len(number) for number in numbers} == {20}


def test_the_receivers_own_names_and_types(front_end: FrontEnd) -> None:
    front_end.run(
        'CREATE TABLE "t 前置" ("批次" CHAR(80), "Key" CHAR(70), "op" CHAR(4), "h" CHAR(64), "w" CHAR(30), '
        '"已读" CHAR(1), "r" CHAR(30), "CF_XDR_MC" VARCHAR(200), "CF_JDRQ" DATE, "CF_NR_FK" NUMERIC(18, 6))'
    )
    front_end.grant("INSERT, SELECT, DELETE", "t 前置")
    section = front_end.endpoint.exchange_table
    assert section is not None
    columns = section.columns.model_copy(
        update={
            "batch": "批次",
            "record": "Key",
            "operation": "op",
            "content_hash": "h",
            "written_at": "w",
            "read": "已读",
            "read_at": "r",
        }
    )
    described = front_end.described(tables={"administrative_penalty": "t 前置"}, columns=columns)
    data = {"CF_XDR_MC": "甲", "CF_JDRQ": "2026/11/12", "CF_NR_FK": "0.2"}
    package = front_end.package("a", "b", data=data)
    with front_end.adapter(described, now=lambda: TODAY + timedelta(days=2)) as adapter:
        adapter.submit(package)
        adapter.submit(package)
        rows = front_end.rows("t 前置")
        assert [row["CF_JDRQ"] for row in rows] == [date(2026, 11, 12)] * 2
        assert adapter.retract(package, [key("a")]) == keys("a")
        front_end.run("""UPDATE "t 前置" SET "已读" = '1', "r" = '2026-11-20 10:00:00'""")
        assert adapter.retract(package, [key("b")]) == set()
        assert adapter.receipts(package).complete is False
    with front_end.adapter(described, now=lambda: TODAY + timedelta(days=4)) as adapter:
        assert adapter.receipts(package).complete is True


def test_rows_that_nobody_has_read_are_taken_back(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    package = front_end.package("a", "b", "c")
    adapter.submit(package)
    front_end.run('UPDATE "QZK_XZCF" SET "READ_FLAG" = 1 WHERE "REC_ID" = :record', record=key("b"))
    assert adapter.retract(package, [key("a"), key("b")]) == keys("a")
    assert {row["REC_ID"] for row in front_end.rows()} == keys("bc")


def test_a_row_that_was_taken_back_and_the_answer_lost_is_told_again(
    front_end: FrontEnd, adapter: ExchangeTableAdapter
) -> None:
    package = front_end.package("a", "b")
    adapter.submit(package)
    assert adapter.retract(package, [key("a")]) == keys("a")
    assert adapter.retract(package, [key("a")]) == keys("a")
    front_end.answer("b", "1", "SJ1")
    front_end.run('DELETE FROM "QZK_XZCF"')
    assert adapter.retract(package, [key("b")]) == set()


def test_a_row_that_the_receiver_has_taken_away_is_not_told_as_taken_back(front_end: FrontEnd) -> None:
    package = front_end.package("a", "b")
    with front_end.adapter(front_end.described(consumed_rows="move")) as adapter:
        adapter.submit(package)
        front_end.run('DELETE FROM "QZK_XZCF" WHERE "REC_ID" = :record', record=key("a"))
        assert adapter.retract(package, [key("a"), key("b")]) == keys("b")


def test_what_the_receiver_holds(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    penalties = front_end.catalogue.categories["administrative_penalty"]
    for name, state, objection in (("a", "1", False), ("b", "2", False), ("c", "1", True)):
        front_end.run(
            'INSERT INTO "QZK_XZCF_ZX" ("REC_ID", "CONTENT_HASH", "UPPER_ID", "STATE", "YY_BZ") '
            "VALUES (:record, :hash, :upper_id, :state, :objection)",
            record=key(name),
            hash=key(f"content of {name}"),
            upper_id=f"SJ{name}",
            state=state,
            objection=objection,
        )
    held = adapter.holdings(penalties)
    assert held is not None
    told = {line.upper_id: line for line in held}
    assert {upper: line.state for upper, line in told.items()} == {"SJa": "shown", "SJb": "withdrawn", "SJc": "shown"}
    assert {upper for upper, line in told.items() if line.objection} == {"SJc"}
    assert told["SJa"].record_key == key("a")
    assert told["SJa"].content_hash == key("content of a")


def test_a_receiver_without_such_a_view_cannot_be_asked(front_end: FrontEnd) -> None:
    with front_end.adapter(front_end.described(holdings=None)) as adapter:
        assert adapter.holdings(front_end.catalogue.categories["administrative_penalty"]) is None
