"""What the adapter makes of a database that refuses, breaks off or is busy, and what it never tells."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from cutting_proxy import Cut, CuttingProxy, commit_of
from delivery_shop import NAME, key
from exchange_accounts import PASSWORD
from front_end import CONTENT, FrontEnd, keys
from sqlalchemy import insert, text

from pipelines.delivery.exchange_table import ExchangeTableAdapter
from pipelines.delivery.replies import PackageRefusedError, Trouble
from pipelines.errors import DeliveryError

# Long enough for a thread to reach the lock that it has to wait for.
MOMENT = 0.3


class Cuts:
    """What the way to the database is to do with the next words of ours that contain some."""

    def __init__(self) -> None:
        self._next: tuple[bytes, Cut] | None = None

    def set(self, word: bytes, when: Cut) -> None:
        self._next = (word, when)

    def __call__(self, said: bytes) -> Cut | None:
        if self._next is None or self._next[0] not in said:
            return None
        when = self._next[1]
        self._next = None
        return when


@pytest.fixture
def cuts() -> Cuts:
    return Cuts()


@pytest.fixture
def through_proxy(front_end: FrontEnd, cuts: Cuts) -> Iterator[ExchangeTableAdapter]:
    assert front_end.url.port is not None
    proxy = CuttingProxy(front_end.url.port, cuts)
    with ExchangeTableAdapter(front_end.endpoint, front_end.url.set(port=proxy.port), PASSWORD) as opened:
        yield opened
    proxy.close()


def trouble(call: Callable[[], object]) -> Trouble:
    with pytest.raises(Trouble) as caught:
        call()
    return caught.value


def test_a_connection_lost_before_the_commit_has_done_nothing(
    front_end: FrontEnd, cuts: Cuts, through_proxy: ExchangeTableAdapter
) -> None:
    package = front_end.package("a")
    cuts.set(b"INSERT", "before")
    assert trouble(lambda: through_proxy.submit(package)).kind == "unreachable"
    assert front_end.rows() == []
    assert through_proxy.submit(package).received == 1


def test_a_commit_that_never_arrived_leaves_it_open_and_was_not_done(
    front_end: FrontEnd, cuts: Cuts, through_proxy: ExchangeTableAdapter
) -> None:
    package = front_end.package("a")
    cuts.set(commit_of(front_end.url), "before")
    assert trouble(lambda: through_proxy.submit(package)).kind == "ambiguous"
    assert through_proxy.inquire(package).state == "unknown"
    assert through_proxy.submit(package).received == 1
    assert len(front_end.rows()) == 1


def test_a_commit_whose_answer_is_lost_leaves_it_open_and_was_done(
    front_end: FrontEnd, cuts: Cuts, through_proxy: ExchangeTableAdapter
) -> None:
    package = front_end.package("a")
    cuts.set(commit_of(front_end.url), "after")
    assert trouble(lambda: through_proxy.submit(package)).kind == "ambiguous"
    assert through_proxy.inquire(package).state == "taken"
    assert through_proxy.submit(package).received == 1
    assert len(front_end.rows()) == 1


def test_a_row_taken_back_whose_answer_is_lost_is_told_when_asked_again(
    front_end: FrontEnd, cuts: Cuts, through_proxy: ExchangeTableAdapter
) -> None:
    package = front_end.package("a", "b")
    through_proxy.submit(package)
    cuts.set(commit_of(front_end.url), "after")
    assert trouble(lambda: through_proxy.retract(package, [key("a")])).kind == "ambiguous"
    assert through_proxy.retract(package, [key("a")]) == keys("a")


@pytest.mark.parametrize("constraint", [True, False], ids=["with constraint", "without constraint"])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_transaction_that_is_still_under_way_is_waited_for(front_end: FrontEnd, constraint: bool, ends: str) -> None:
    name = CONTENT if constraint else "QZK_NO_KEY"
    if not constraint:
        front_end.run(f'DROP TABLE IF EXISTS "{name}"', f'CREATE TABLE "{name}" AS SELECT * FROM "{CONTENT}"')
        front_end.grant("INSERT, SELECT, DELETE", name)
    described = front_end.described(tables={"administrative_penalty": name})
    package = front_end.package("a", "b")
    with (
        front_end.adapter(described) as lost,
        front_end.adapter(described) as adapter,
        lost._database.reading() as connection,
        ThreadPoolExecutor(1) as threads,
    ):
        lost._database.hold(connection, package.reference)
        rows = lost._rows(package)
        connection.execute(insert(lost._table(package.category, rows[0])), rows)
        second = threads.submit(adapter.submit, package)
        time.sleep(MOMENT)
        assert not second.done()
        connection.commit() if ends == "commit" else connection.rollback()
        # The lock of MariaDB belongs to the session, not to the transaction.
        connection.invalidate()
        connection.close()
        assert second.result().received == 2
    assert len(front_end.rows(name)) == 2


def test_a_transaction_that_does_not_end_is_busy(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    package = front_end.package("a")
    with front_end.adapter() as stuck, stuck._database.reading() as connection:
        stuck._database.hold(connection, package.reference)
        assert trouble(lambda: adapter.submit(package)).kind == "busy"
    assert front_end.rows() == []


class Reader:
    """The upper side in the middle of reading: its transaction holds the rows."""

    def __init__(self, front_end: FrontEnd, statement: str) -> None:
        self._connection = front_end.upper.connect()
        self._connection.execute(text(front_end.quoted(statement)))

    def end(self, *, commit: bool) -> None:
        self._connection.commit() if commit else self._connection.rollback()
        self._connection.close()


READING = {
    "marks": f'UPDATE "{CONTENT}" SET "READ_FLAG" = 1',
    "takes away": f'DELETE FROM "{CONTENT}"',
}


@pytest.mark.parametrize("reading", READING)
@pytest.mark.parametrize("commits", [True, False])
def test_a_reader_that_was_first_is_waited_for(front_end: FrontEnd, reading: str, commits: bool) -> None:
    package = front_end.package("a", "b")
    moves = reading == "takes away"
    with front_end.adapter(front_end.described(consumed_rows="move" if moves else "stay")) as adapter:
        adapter.submit(package)
        reader = Reader(front_end, READING[reading])
        with ThreadPoolExecutor(1) as threads:
            retracted: Future[frozenset[str]] = threads.submit(adapter.retract, package, [key("a")])
            time.sleep(MOMENT)
            assert not retracted.done()
            reader.end(commit=commits)
            assert retracted.result() == (set() if commits else keys("a"))


def test_a_reader_that_is_second_does_not_see_what_was_taken_back(
    front_end: FrontEnd, adapter: ExchangeTableAdapter
) -> None:
    package = front_end.package("a", "b")
    adapter.submit(package)
    with adapter._database.writing() as connection:
        connection.execute(
            text(front_end.quoted(f'DELETE FROM "{CONTENT}" WHERE "REC_ID" = :record')), {"record": key("a")}
        )
        with ThreadPoolExecutor(1) as threads:
            consumed = threads.submit(front_end.consumer.consume_once)
            time.sleep(MOMENT)
            assert not consumed.done()
            connection.commit()
            assert consumed.result() == 1
    assert [record.record_id for record in front_end.desk.held(package.category)] == [key("b")]


def test_rows_locked_for_too_long_are_busy(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    package = front_end.package("a")
    adapter.submit(package)
    reader = Reader(front_end, READING["marks"])
    assert trouble(lambda: adapter.retract(package, [key("a")])).kind == "busy"
    reader.end(commit=False)
    assert adapter.retract(package, [key("a")]) == keys("a")


@pytest.mark.parametrize(
    ("data", "column"),
    [
        ({"CF_XDR_MC": NAME * 50}, "CF_XDR_MC"),
        ({"CF_NR_FK": "12万"}, "CF_NR_FK"),
        ({"CF_JDRQ": "2026/02/30"}, "CF_JDRQ"),
        ({"CF_SY": None}, "CF_SY"),
        ({"CF_XDR_LB": "别的"}, ""),
    ],
    ids=["too long", "no number", "no date", "missing", "not allowed"],
)
def test_a_value_that_the_table_does_not_take_refuses_the_package(
    front_end: FrontEnd, data: dict[str, str | None], column: str
) -> None:
    front_end.run(
        'DROP TABLE IF EXISTS "QZK_STRICT"',
        """CREATE TABLE "QZK_STRICT" ("BATCH_NO" VARCHAR(64), "REC_ID" VARCHAR(64), "OP" CHAR(1),
        "CONTENT_HASH" VARCHAR(64), "WRITE_TIME" TIMESTAMP, "READ_FLAG" INT, "CF_XDR_MC" VARCHAR(200), "CF_JDRQ" DATE,
        "CF_NR_FK" NUMERIC(18, 6), "CF_SY" VARCHAR(20) NOT NULL,
        "CF_XDR_LB" VARCHAR(20), CONSTRAINT "CK_LB" CHECK ("CF_XDR_LB" <> '别的'))""",
    )
    front_end.grant("INSERT, SELECT, DELETE", "QZK_STRICT")
    good = {"CF_XDR_MC": NAME, "CF_JDRQ": "2026/11/12", "CF_NR_FK": "0.2", "CF_SY": "未公示", "CF_XDR_LB": "自然人"}
    described = front_end.described(tables={"administrative_penalty": "QZK_STRICT"})
    with front_end.adapter(described) as adapter:
        adapter.submit(front_end.package("a", data=good))
        with pytest.raises(PackageRefusedError) as caught:
            adapter.submit(front_end.package("b", reference="batch-2", data=good | data))
    told = str(caught.value)
    assert len(told) <= 40
    assert not any(value in told for value in data.values() if value)
    if front_end.upper.dialect.name != "postgresql" or data == {"CF_SY": None}:
        # PostgreSQL names the column of a missing value only.
        assert column in told
    assert len(front_end.rows("QZK_STRICT")) == 1


def test_a_character_that_the_receiver_cannot_store_refuses_the_package(
    front_end: FrontEnd, adapter: ExchangeTableAdapter
) -> None:
    with pytest.raises(PackageRefusedError, match="no valid Unicode"):
        adapter.submit(front_end.package("a", data={"CF_XDR_MC": "\ud800"}))
    if front_end.upper.dialect.name == "postgresql":
        with pytest.raises(PackageRefusedError, match="DataError"):
            adapter.submit(front_end.package("a", data={"CF_XDR_MC": "a\0b"}))
        return
    front_end.run(
        'DROP TABLE IF EXISTS "QZK_UTF8"',
        f'CREATE TABLE "QZK_UTF8" LIKE "{CONTENT}"',
        'ALTER TABLE "QZK_UTF8" CONVERT TO CHARACTER SET utf8mb3',
    )
    front_end.grant("INSERT, SELECT, DELETE", "QZK_UTF8")
    with (
        front_end.adapter(front_end.described(tables={"administrative_penalty": "QZK_UTF8"})) as narrow,
        pytest.raises(PackageRefusedError, match="1366 CF_XDR_MC"),
    ):
        narrow.submit(front_end.package("a", data={"CF_XDR_MC": "𠮷野家"}))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DeliveryError) as caught:
        call()
    told = str(caught.value)
    assert PASSWORD not in told
    assert NAME not in told
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return told


def test_a_right_that_is_missing_is_named(front_end: FrontEnd, adapter: ExchangeTableAdapter) -> None:
    package = front_end.package("a")
    front_end.revoke("SELECT", "QZK_HZ")
    try:
        told = refusal(lambda: adapter.receipts(package))
    finally:
        front_end.grant("SELECT", "QZK_HZ")
    assert "does not allow this" in told
    assert "QZK_XZCF" in told
    assert "docs/endpoints.md" in told


def test_a_table_or_column_that_is_missing_is_named(front_end: FrontEnd) -> None:
    with front_end.adapter(front_end.described(tables={"administrative_penalty": "NOWHERE"})) as adapter:
        told = refusal(lambda: adapter.submit(front_end.package("a")))
    assert "no table or column of that name" in told or "does not allow this" in told
    assert "NOWHERE" in told
    with front_end.adapter() as adapter:
        told = refusal(lambda: adapter.submit(front_end.package("a", data={"CF_NEW": NAME})))
    assert "no table or column of that name" in told


def test_a_server_that_is_down(front_end: FrontEnd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    package = front_end.package("a")
    with ExchangeTableAdapter(front_end.endpoint, front_end.url.set(port=port), PASSWORD) as adapter:
        for call in (lambda: adapter.submit(package), lambda: adapter.receipts(package)):
            assert trouble(call).kind == "unreachable"


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(front_end: FrontEnd) -> None:
    endpoint = front_end.endpoint.model_copy(update={"timeout_seconds": 2.0})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = front_end.url.set(port=silent.getsockname()[1])
        with ExchangeTableAdapter(endpoint, url, PASSWORD) as adapter:
            assert trouble(lambda: adapter.submit(front_end.package("a"))).kind == "unreachable"
