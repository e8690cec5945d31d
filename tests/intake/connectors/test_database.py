"""The database connector on a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from pipelines.catalogue.feeds import Feed
from pipelines.errors import ExtractError, SourceError
from pipelines.intake.connectors import database
from pipelines.intake.connectors.contract import Pull, PullRequest
from pipelines.intake.connectors.database_connection import open_database
from pipelines.intake.connectors.database_rows import rows_schema, write_rows
from pipelines.intake.connectors.database_selection import select_rows
from pipelines.intake.connectors.database_table import SourceTable
from pipelines.intake.connectors.database_values import answer_in_text
from pipelines.settings import Settings
from tests.databases import new_mariadb_database, new_postgresql_database
from tests.intake.connectors.failing_proxy import FailingProxy, failing_proxy

DAY = date(2026, 11, 20)
VARIABLE = "GUIJI_TEST_DATABASE"
ONCE = {"attempts": 1}


@dataclass
class Shop:
    """One empty database, its connector, and what the connector keeps."""

    url: URL
    engine: Engine
    home: Path
    environment: pytest.MonkeyPatch
    landed: list[dict[str, list[str | None]]] = field(default_factory=list)

    @property
    def is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def empty(self) -> None:
        if self.is_postgresql:
            self.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO PUBLIC")
        else:
            self.run(f"DROP DATABASE {self.url.database}", f"CREATE DATABASE {self.url.database} CHARACTER SET utf8mb4")

    def use(self, url: URL) -> None:
        self.environment.setenv(VARIABLE, url.render_as_string(hide_password=False))

    @property
    def address(self) -> tuple[str, int] | str:
        """Where a proxy finds the server: host and port, or the local socket of an embedded PostgreSQL."""
        folder = self.url.query.get("host")
        if folder is not None:
            return f"{folder}/.s.PGSQL.{self.url.port or 5432}"
        return self.url.host or "", self.url.port or 0

    def go_through(self, proxy: FailingProxy) -> None:
        self.use(self.url.set(host="127.0.0.1", port=proxy.port, query={}))

    def feed(self, dump: str = "increment", **source: Any) -> Feed:
        given = {"kind": "database", "url_variable": VARIABLE, "table": "penalty", "key": ["id"], **source}
        return Feed.model_validate(
            {
                "feed": "dept_penalty",
                "name_zh": "x",
                "category": "administrative_penalty",
                "edition": 2018,
                "dump": dump,
                "source": given,
            }
        )

    def request(self, feed: Feed, **parts: Any) -> PullRequest:
        workspace = self.home / "workspace"
        workspace.mkdir(exist_ok=True)
        return PullRequest(Settings(home=self.home), feed, parts.pop("day", DAY), workspace, **parts)

    def pull(self, feed: Feed, **parts: Any) -> Pull:
        return database.pull(self.request(feed, **parts))

    def settle(self, feed: Feed, pulled: Pull) -> None:
        assert pulled.receipt is not None
        database.settle(Settings(home=self.home), feed, pulled.receipt)

    @property
    def landing_files(self) -> list[Path]:
        return [path for path in (self.home / "landing").rglob("*") if path.is_file()]


def rows(pulled: Pull) -> list[dict[str, str | None]]:
    return [row for extract in pulled.extracts for row in pq.read_table(extract.path).to_pylist()]


def column(pulled: Pull, name: str) -> list[str | None]:
    return [row[name] for row in rows(pulled)]


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], URL]]:
    """One database on each kind of server that a test asks for."""
    with ExitStack() as databases:

        @lru_cache
        def database_on(kind: str) -> URL:
            make = {"postgresql": new_postgresql_database, "mariadb": new_mariadb_database}[kind]
            return databases.enter_context(make())

        yield database_on


@pytest.fixture
def open_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[URL], Shop]:
    def make(url: URL) -> Shop:
        shop = Shop(url, create_engine(url, poolclass=NullPool), tmp_path, monkeypatch)
        shop.use(url)
        return shop

    return make


@pytest.fixture
def shop_on(servers: Callable[[str], URL], open_shop: Callable[[URL], Shop]) -> Iterator[Callable[[str], Shop]]:
    """An empty database on a kind of server."""
    opened: list[Shop] = []

    def make(kind: str) -> Shop:
        opened.append(open_shop(servers(kind)))
        return opened[-1]

    yield make
    for shop in opened:
        shop.empty()


@pytest.fixture(params=["postgresql", "mariadb"])
def shop(request: pytest.FixtureRequest, shop_on: Callable[[str], Shop]) -> Shop:
    return shop_on(request.param)


@pytest.fixture
def postgresql(shop_on: Callable[[str], Shop]) -> Shop:
    return shop_on("postgresql")


@pytest.fixture
def mariadb(shop_on: Callable[[str], Shop]) -> Shop:
    return shop_on("mariadb")


@pytest.fixture
def many(shop: Shop) -> Shop:
    """A table of 3,000 rows of about 200 bytes."""
    shop.run("CREATE TABLE penalty (id BIGINT PRIMARY KEY, fact TEXT)")
    values = ", ".join(f"({number}, '{number} {'违法事实' * 15}')" for number in range(3000))
    shop.run(f"INSERT INTO penalty VALUES {values}")
    return shop


def test_every_type_of_postgresql_comes_out_as_the_text_it_means(postgresql: Shop) -> None:
    expected = {
        "a bigint": ("9223372036854775807", "9223372036854775807"),
        "b numeric": ("100.00", "100.00"),
        "c numeric(18,6)": ("0.300000", "0.300000"),
        "d double precision": ("9.13302e17", "913302000000000000"),
        "e double precision": ("0.1", "0.1"),
        "f double precision": ("1e-7", "0.0000001"),
        "g real": ("16777216", "16777216"),
        "h double precision": ("'NaN'", "NaN"),
        "i char(6)": ("'王 '", "王"),
        "j varchar(9)": ("' x '", " x "),
        "k date": ("'2026-11-20'", "2026-11-20"),
        "l date": ("'infinity'", "infinity"),
        "m date": ("'12026-01-01'", "12026-01-01"),
        "n timestamp": ("'2026-11-20 10:00:00.5'", "2026-11-20 10:00:00.5"),
        "o timestamptz": ("'2026-11-19 18:00:00+00'", "2026-11-20 02:00:00+08:00"),
        "p boolean": ("true", "true"),
        "q bytea": ("'\\x00ff'", "00ff"),
        "r jsonb": ("""'{"案号": [1, 2.50]}'""", '{"案号": [1, 2.50]}'),
        "s text[]": ("'{甲,乙}'", "{甲,乙}"),
        "t uuid": ("'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        "u bit(4)": ("B'0101'", "0101"),
        "v text": ("'𠮷野家😀\\n\"'", '𠮷野家😀\\n"'),
        "w text": ("''", None),
        "x text": ("NULL", None),
        "y interval": ("'1 day 02:03:04'", "1 day 02:03:04"),
        "z numeric": ("1e40", "1" + "0" * 40),
    }
    postgresql.run(
        f"CREATE TABLE penalty (id int PRIMARY KEY, {', '.join(expected)})",
        f"INSERT INTO penalty VALUES (1, {', '.join(value for value, _ in expected.values())})",
    )
    pulled = postgresql.pull(postgresql.feed())
    assert rows(pulled) == [{"id": "1", **{name.split()[0]: found for name, (_, found) in expected.items()}}]
    assert pulled.facts["inexact_numbers"] == {"d": 1}
    (extract,) = pulled.extracts
    assert pq.read_schema(extract.path).field("c").metadata == {b"source_type": b"NUMERIC(18, 6)"}


def test_every_type_of_mariadb_comes_out_as_the_text_it_means(mariadb: Shop) -> None:
    expected = {
        "a BIGINT UNSIGNED": ("18446744073709551615", "18446744073709551615"),
        "b DECIMAL(10,2)": ("100", "100.00"),
        "c DOUBLE": ("9.13302e17", "913302000000000000"),
        "d DOUBLE": ("0.1", "0.1"),
        "e DOUBLE": ("1e-7", "0.0000001"),
        "f FLOAT": ("16777216", "16777216"),
        "g FLOAT": ("0.1", "0.1"),
        "h CHAR(6)": ("'王 '", "王"),
        "i DATE": ("'0000-00-00'", "0000-00-00"),
        "j DATETIME": ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
        "k DATETIME(3)": ("'2026-11-20 10:00:00.5'", "2026-11-20 10:00:00.500"),
        "l TIMESTAMP NULL": ("'2026-11-19 18:00:00'", "2026-11-20 02:00:00+08:00"),
        "m TIME": ("'-838:59:59'", "-838:59:59"),
        "n YEAR": ("2026", "2026"),
        "o TINYINT(1)": ("true", "1"),
        "p BIT(1)": ("b'1'", "1"),
        "q BIT(6)": ("b'000101'", "000101"),
        "r BLOB": ("x'00ff'", "00ff"),
        "s VARBINARY(3)": ("'abc'", "616263"),
        "t JSON": ("""'{"案号": [1, 2.50]}'""", '{"案号": [1, 2.50]}'),
        "u INT(6) ZEROFILL": ("12", "000012"),
        "v TEXT": ("'𠮷野家😀'", "𠮷野家😀"),
        "w TEXT": ("'甲\\0乙'", "甲\0乙"),
        "x TEXT CHARACTER SET gbk": ("'行政处罚镕'", "行政处罚镕"),
        "y ENUM('甲','乙')": ("'乙'", "乙"),
        "z TEXT": ("NULL", None),
    }
    mariadb.run(
        "SET sql_mode = '', time_zone = '+00:00'",
        f"CREATE TABLE penalty (id INT PRIMARY KEY, {', '.join(expected)})",
        f"INSERT INTO penalty VALUES (1, {', '.join(value for value, _ in expected.values())})",
    )
    pulled = mariadb.pull(mariadb.feed())
    assert rows(pulled) == [{"id": "1", **{name.split()[0]: found for name, (_, found) in expected.items()}}]
    assert pulled.facts["inexact_numbers"] == {"c": 1}


def test_another_driver_that_makes_values_gives_the_same_texts(
    open_shop: Callable[[URL], Shop], tmp_path: Path
) -> None:
    shop = open_shop(URL.create("sqlite", database=str(tmp_path / "front.sqlite")))
    shop.run(
        "CREATE TABLE penalty (id INTEGER PRIMARY KEY, a REAL, b REAL, c BLOB, d CHAR(4), e DATETIME, f NUMERIC)",
        "INSERT INTO penalty VALUES (1, 9.13302e17, 100.0, x'00ff', '王  ', '2026-11-20 10:00:00.000000', 1e-7)",
        "INSERT INTO penalty VALUES (2, NULL, 0.1, NULL, '', '2026-11-21 10:00:00.000000', 5)",
    )
    pulled = shop.pull(shop.feed(watermark="e"), watermark="2026-11-20 09:59:59")
    assert rows(pulled)[0] == {
        "id": "1",
        "a": "913302000000000000",
        "b": "100",
        "c": "00ff",
        "d": "王",
        "e": "2026-11-20 10:00:00.000000",
        "f": "0.0000001",
    }
    assert pulled.watermark == "2026-11-21 10:00:00.000000"
    assert rows(shop.pull(shop.feed(watermark="e"), watermark=pulled.watermark)) == []


def test_the_same_rows_are_the_same_bytes_in_the_order_of_their_key(shop: Shop) -> None:
    shop.run("CREATE TABLE penalty (id INT, part INT, fact VARCHAR(9), PRIMARY KEY (id, part))")
    shop.run("INSERT INTO penalty VALUES (2, 1, 'c'), (1, 2, 'b'), (1, 1, 'a')")
    feed = shop.feed(key=["id", "part"])
    first = shop.pull(feed)
    shop.run("DELETE FROM penalty", "INSERT INTO penalty VALUES (1, 1, 'a'), (1, 2, 'b'), (2, 1, 'c')")
    second = shop.pull(feed)
    assert column(first, "fact") == ["a", "b", "c"]
    assert first.extracts == second.extracts
    assert first.extracts[0].name == "dept_penalty-2026-11-20.parquet"
    assert first.receipt is None and first.watermark is None


def test_names_may_hold_blanks_quotes_percent_signs_and_chinese(shop: Shop) -> None:
    names = ["罚款金额 (万元)", "a'b", "50% x"]

    def quote(name: str) -> str:
        return f'"{name}"' if shop.is_postgresql else f"`{name}`"

    written = ", ".join(f"{quote(name)} VARCHAR(9)" for name in names)
    shop.run(
        f"CREATE TABLE {quote('处罚 表')} ({quote('编号')} INT, {written})",
        f"INSERT INTO {quote('处罚 表')} VALUES (1, '甲', '乙', '丙')",
    )
    pulled = shop.pull(shop.feed(table="处罚 表", key=["编号"], columns=[names[2], names[0], names[1]]))
    assert rows(pulled) == [{names[2]: "丙", names[0]: "甲", names[1]: "乙", "编号": "1"}]
    assert list(rows(pulled)[0]) == [names[2], names[0], names[1], "编号"]


def test_a_database_without_encoding_is_decoded_value_by_value(open_shop: Callable[[URL], Shop]) -> None:
    with new_postgresql_database(encoding="SQL_ASCII") as url:
        shop = open_shop(url)
        shop.engine = create_engine(url.update_query_dict({"client_encoding": "utf8"}), poolclass=NullPool)
        shop.run("CREATE TABLE penalty (id int PRIMARY KEY, name text, flag char(1))")
        for number, name in enumerate(("王".encode(), "镕䶮".encode("gb18030"), b"\xff\xfe\x41")):
            escaped = "".join(f"\\{byte:03o}" for byte in name)
            shop.run(f"INSERT INTO penalty VALUES ({number}, convert_from('{escaped}'::bytea, 'SQL_ASCII'))")
        feed = shop.feed(read_flag={"column": "flag"})
        pulled = shop.pull(feed)
        shop.settle(feed, pulled)
        assert shop.ask("SELECT count(*) FROM penalty WHERE flag = '1'") == [(3,)]
    assert column(pulled, "name") == ["王", "镕䶮", "\ufffd\\xff\\xfeA"]
    assert pulled.facts["undecodable_values"] == {"name": 1}


def test_rows_after_the_watermark_are_taken_and_no_others(shop: Shop) -> None:
    shop.run("CREATE TABLE penalty (id INT PRIMARY KEY, seq BIGINT)")
    shop.run("INSERT INTO penalty VALUES (1, 10), (2, 30), (3, 20)")
    feed = shop.feed(watermark="seq")
    first = shop.pull(feed)
    assert (column(first, "id"), first.watermark) == (["1", "3", "2"], "30")
    shop.run("INSERT INTO penalty VALUES (4, 40), (5, 30)")
    second = shop.pull(feed, watermark=first.watermark)
    assert (column(second, "id"), second.watermark) == (["4"], "40")
    nothing = shop.pull(feed, watermark=second.watermark)
    assert (nothing.extracts, nothing.watermark) == ((), "40")


def test_overlap_finds_a_row_that_was_committed_late(shop: Shop) -> None:
    shop.run("CREATE TABLE penalty (id INT PRIMARY KEY, written TIMESTAMP NULL)")
    shop.run("INSERT INTO penalty VALUES (1, '2026-11-20 10:00:00'), (2, '2026-11-20 11:00:00')")
    first = shop.pull(shop.feed(watermark="written"))
    shop.run("INSERT INTO penalty VALUES (3, '2026-11-20 10:59:00'), (4, '2026-11-20 10:00:01')")
    late = shop.pull(shop.feed(watermark="written", overlap=120), watermark=first.watermark)
    assert column(late, "id") == ["3", "2"]
    assert late.watermark == first.watermark


def test_a_row_without_watermark_or_dated_in_the_future_hides_nothing(shop: Shop) -> None:
    kind = "TIMESTAMP" if shop.is_postgresql else "DATETIME"
    shop.run(f"CREATE TABLE penalty (id INT PRIMARY KEY, written {kind} NULL)")
    shop.run("INSERT INTO penalty VALUES (1, '2026-11-20 10:00:00'), (2, '9999-12-31 00:00:00'), (3, NULL)")
    feed = shop.feed(watermark="written")
    first = shop.pull(feed)
    assert first.watermark == "2026-11-20 10:00:00"
    assert sorted(map(str, column(first, "id"))) == ["1", "2", "3"]
    assert first.facts["rows_without_usable_watermark"] == 2
    shop.run("INSERT INTO penalty VALUES (4, '2026-11-20 10:00:01')")
    second = shop.pull(feed, watermark=first.watermark)
    assert sorted(map(str, column(second, "id"))) == ["2", "3", "4"]
    again = shop.pull(feed, watermark=None, earlier=first.extracts)
    assert again.extracts == first.extracts


def test_the_same_batch_again_ends_where_it_ended_before(shop: Shop) -> None:
    shop.run("CREATE TABLE penalty (id INT PRIMARY KEY, seq INT)", "INSERT INTO penalty VALUES (1, 9), (2, 10)")
    feed = shop.feed(watermark="seq")
    first = shop.pull(feed)
    shop.run("INSERT INTO penalty VALUES (3, 11)")
    again = shop.pull(feed, earlier=first.extracts)
    assert (again.extracts, again.watermark) == (first.extracts, "10")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("DATE", ("2026-11-19", "2026-11-20", "2026-11-21")),
        ("TIMESTAMP NULL", ("2026-11-19 23:59:59", "2026-11-20 23:59:59", "2026-11-21 00:00:00")),
        ("VARCHAR(19)", ("2026-11-19 08:00:00", "2026-11-20 08:00:00", "2026-11-2")),
    ],
)
def test_only_rows_of_the_business_date_are_taken(shop: Shop, kind: str, values: tuple[str, ...]) -> None:
    shop.run(f"CREATE TABLE penalty (id INT PRIMARY KEY, day {kind})")
    zone = "SET TIME ZONE 'Asia/Shanghai'" if shop.is_postgresql else "SET time_zone = '+08:00'"
    shop.run(zone, *(f"INSERT INTO penalty VALUES ({number}, '{value}')" for number, value in enumerate(values)))
    assert column(shop.pull(shop.feed(day_column="day")), "id") == ["1"]


def test_a_day_written_as_a_number_is_understood(shop: Shop) -> None:
    shop.run("CREATE TABLE penalty (id INT PRIMARY KEY, day INT)")
    shop.run("INSERT INTO penalty VALUES (1, 20261119), (2, 20261120)")
    assert column(shop.pull(shop.feed(day_column="day", day_format="%Y%m%d")), "id") == ["2"]


def flagged(shop: Shop, kind: str = "CHAR(1)") -> Feed:
    shop.run(
        "CREATE TABLE penalty (code BIGINT, part VARCHAR(9), fact VARCHAR(99), amount FLOAT, "
        f"read_flag {kind}, read_time TIMESTAMP NULL, PRIMARY KEY (code, part))",
        # Two codes that are the same number in floating point.
        "INSERT INTO penalty (code, part, fact, amount, read_flag) VALUES "
        "(913302301234567891, '甲', 'a', 0.1, '0'), (913302301234567892, '甲', 'b', 16777216, '0'), "
        "(913302301234567892, '乙', NULL, NULL, NULL), (1, '丙', 'read long ago', 1, '1'), (2, '丁', 'bad', 1, '2')",
    )
    return shop.feed(key=["code", "part"], read_flag={"column": "read_flag", "time_column": "read_time"})


def flags(shop: Shop) -> dict[tuple[int, str], tuple[str | None, bool]]:
    found = shop.ask("SELECT code, part, read_flag, read_time IS NOT NULL FROM penalty")
    return {(code, part): (None if flag is None else str(flag), bool(told)) for code, part, flag, told in found}


@pytest.mark.parametrize("kind", ["CHAR(1)", "INT"])
def test_read_flags_are_set_after_publication_only_and_for_what_was_taken(shop: Shop, kind: str) -> None:
    feed = flagged(shop, kind)
    before = flags(shop)
    pulled = shop.pull(feed)
    assert flags(shop) == before
    assert sorted(column(pulled, "fact"), key=str) == [None, "a", "b"]
    assert set(rows(pulled)[0]) == {"code", "part", "fact", "amount"}
    shop.run("INSERT INTO penalty (code, part, fact, read_flag) VALUES (3, '戊', 'written meanwhile', '0')")
    for _ in range(2):
        shop.settle(feed, pulled)
        assert flags(shop) == {
            (913302301234567891, "甲"): ("1", True),
            (913302301234567892, "甲"): ("1", True),
            (913302301234567892, "乙"): ("1", True),
            (1, "丙"): ("1", False),
            (2, "丁"): ("2", False),
            (3, "戊"): ("0", False),
        }
    assert column(shop.pull(feed), "fact") == ["written meanwhile"]


def test_flags_and_keys_may_be_chinese(shop: Shop) -> None:
    shop.run("CREATE TABLE penalty (id VARCHAR(9) PRIMARY KEY, state VARCHAR(9))")
    shop.run("INSERT INTO penalty VALUES ('甲', '未读'), ('乙', '已读'), ('丙''', '未读')")
    feed = shop.feed(read_flag={"column": "state", "unread": "未读", "read": "已读"})
    pulled = shop.pull(feed)
    assert len(rows(pulled)) == 2
    shop.settle(feed, pulled)
    assert shop.ask("SELECT DISTINCT state FROM penalty") == [("已读",)]


def test_a_row_that_was_changed_before_its_flag_was_set_stays_unread(shop: Shop) -> None:
    feed = flagged(shop)
    pulled = shop.pull(feed)
    shop.run("UPDATE penalty SET fact = 'corrected' WHERE fact = 'a'", "DELETE FROM penalty WHERE fact = 'b'")
    shop.settle(feed, pulled)
    assert flags(shop)[913302301234567891, "甲"] == ("0", False)
    assert column(shop.pull(feed), "fact") == ["corrected"]


def test_a_batch_pulled_again_holds_what_it_took_before_in_its_latest_state(shop: Shop) -> None:
    feed = flagged(shop)
    first = shop.pull(feed)
    shop.settle(feed, first)
    nothing_new = shop.pull(feed, earlier=first.extracts)
    assert (nothing_new.extracts, nothing_new.receipt) == (first.extracts, None)
    shop.run(
        "UPDATE penalty SET fact = 'corrected', read_flag = '0' WHERE fact = 'a'",
        "INSERT INTO penalty (code, part, fact, read_flag) VALUES (3, '戊', 'new', '0')",
    )
    second = shop.pull(feed, earlier=first.extracts)
    assert len(second.extracts) == 1
    assert sorted(column(second, "fact"), key=str) == [None, "b", "corrected", "new"]
    shop.settle(feed, second)
    assert column(shop.pull(feed), "fact") == []


def test_a_batch_whose_landing_was_lost_is_not_made_smaller(shop: Shop) -> None:
    feed = flagged(shop)
    first = shop.pull(feed)
    with pytest.raises(SourceError, match="no longer in the landing"):
        shop.pull(feed, lost=(first.extracts[0].name,))


def test_settling_without_the_landed_rows_says_what_to_do(shop: Shop) -> None:
    feed = flagged(shop)
    pulled = shop.pull(feed)
    pulled.extracts[0].path.unlink()
    with pytest.raises(SourceError, match="no longer in the landing"):
        shop.settle(feed, pulled)
    assert database.settle(Settings(home=shop.home), shop.feed(), {"sha256": ["0"]}) != ()


def test_an_account_that_may_only_read_and_set_the_flag_is_enough(shop: Shop) -> None:
    feed = flagged(shop)
    user = f"guiji_reader_{shop.url.database}"[-31:]
    host = "" if shop.is_postgresql else "@'%'"
    shop.run(
        f"CREATE USER {user}{host} {'PASSWORD' if shop.is_postgresql else 'IDENTIFIED BY'} 'geheim'",
        f"GRANT SELECT ON penalty TO {user}{host}",
        f"GRANT UPDATE (read_flag, read_time) ON penalty TO {user}{host}",
    )
    try:
        shop.use(shop.url.set(username=user, password="geheim"))
        pulled = shop.pull(feed)
        shop.settle(feed, pulled)
        assert len(rows(pulled)) == 3
        assert column(shop.pull(feed), "fact") == []
        shop.run(f"REVOKE SELECT ON penalty FROM {user}{host}")
        with pytest.raises(SourceError, match=r"may not do this|no such table") as caught:
            shop.pull(feed)
        assert "geheim" not in str(caught.value) and user not in str(caught.value)
    finally:
        if shop.is_postgresql:
            shop.run(f"DROP OWNED BY {user}")
        shop.run(f"DROP USER {user}{host}")


def test_rows_written_while_reading_belong_to_the_next_batch(many: Shop, tmp_path: Path) -> None:
    source = many.feed().source
    with open_database(source) as connection:
        found = SourceTable(connection, source, "here")
        answer_in_text(connection, found.names, "here")
        many.run("INSERT INTO penalty VALUES (9000, 'before the first row was read')")
        statement = select_rows(connection, found, DAY, None, None).statement
        reading = connection.execution_options(yield_per=100).execute(statement).partitions()
        assert len(next(reading)) == 100
        many.run("INSERT INTO penalty VALUES (9001, 'x')", "DELETE FROM penalty WHERE id = 2999")
        rest = [row[0] for block in reading for row in block]
    numbers = [int(number) for number in rest]
    assert 2999 in numbers and 9001 not in numbers
    assert tmp_path.exists()


@pytest.mark.parametrize("good_bytes", [0, 3, 60, 400, 3_000, 9_000, 40_000, 333_333])
def test_a_server_that_dies_in_the_middle_leaves_nothing_behind(many: Shop, good_bytes: int) -> None:
    with failing_proxy(many.address, good_bytes=good_bytes) as proxy:
        many.go_through(proxy)
        with pytest.raises(SourceError, match=r"reached|broke") as caught:
            many.pull(many.feed(retries=ONCE, fetch_rows=500, timeout_seconds=5))
    assert caught.value.remedy
    assert many.landing_files == []
    assert list((many.home / "workspace").iterdir()) == []


def test_a_connection_that_breaks_once_is_tried_again_from_the_beginning(many: Shop) -> None:
    undisturbed = many.pull(many.feed(fetch_rows=500))
    with failing_proxy(many.address, good_bytes=100_000, failures=2) as proxy:
        many.go_through(proxy)
        told: list[str] = []
        pulled = many.pull(
            many.feed(fetch_rows=500, retries={"attempts": 4, "first_seconds": 0.01}), progress=told.append
        )
    assert pulled.extracts == undisturbed.extracts
    assert pulled.facts["attempts"] == 3
    assert len(told) == 2


@pytest.mark.parametrize("failure", ["freeze", "drip"])
def test_a_server_that_hangs_or_drips_is_cut_off(many: Shop, failure: Any) -> None:
    with failing_proxy(many.address, good_bytes=100_000, failure=failure) as proxy:
        many.go_through(proxy)
        start = time.monotonic()
        with pytest.raises(SourceError, match=r"within 1 seconds|broke off"):
            many.pull(many.feed(retries=ONCE, fetch_rows=500, timeout_seconds=1))
    assert time.monotonic() - start < 6
    assert many.landing_files == []


def test_what_is_too_large_is_not_read_to_its_end(many: Shop) -> None:
    many.run("INSERT INTO penalty SELECT a.id * 3000 + b.id + 3000, a.fact FROM penalty a, penalty b WHERE b.id < 30")
    start = time.monotonic()
    with pytest.raises(SourceError, match="more than 100,000 bytes"):
        many.pull(many.feed(max_bytes=100_000, fetch_rows=100))
    assert time.monotonic() - start < 5
    assert many.landing_files == []


def test_a_wrong_password_is_tried_once_and_never_told(postgresql: Shop, mariadb: Shop) -> None:
    told: list[str] = []
    mariadb.use(mariadb.url.set(username="root", password="geheim"))
    with pytest.raises(SourceError, match="does not let us in") as caught:
        mariadb.pull(mariadb.feed(), progress=told.append)
    assert told == []
    assert "geheim" not in str(caught.value) and VARIABLE in caught.value.remedy
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "address of the database is missing"),
        ("geheim", "no SQLAlchemy URL"),
        ("postgresql+nodriver://geheim@127.0.0.1/x", "driver"),
        ("postgresql+psycopg://geheim:geheim@127.0.0.1:1/x", "cannot be reached"),
        ("mysql+pymysql://geheim:geheim@127.0.0.1:1/x", "cannot be reached"),
    ],
)
def test_an_address_that_is_of_no_use_is_explained(
    open_shop: Callable[[URL], Shop], monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    shop = open_shop(URL.create("sqlite"))
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(SourceError, match=message) as caught:
        shop.pull(shop.feed(retries={"attempts": 2, "first_seconds": 0.01}))
    assert "geheim" not in str(caught.value)


def test_what_the_table_does_not_have_is_named(shop: Shop) -> None:
    with pytest.raises(SourceError, match="no such table"):
        shop.pull(shop.feed())
    shop.run("CREATE TABLE penalty (id INT PRIMARY KEY, Fact VARCHAR(9))")
    with pytest.raises(SourceError, match="no column CF_NR, BZ"):
        shop.pull(shop.feed(columns=["FACT", "CF_NR", "BZ"]))
    assert shop.pull(shop.feed(columns=["FACT"])).extracts == ()


def test_an_empty_table_is_an_empty_increment_but_no_full_dump(shop: Shop) -> None:
    shop.run("CREATE TABLE penalty (id INT PRIMARY KEY)")
    assert shop.pull(shop.feed()).extracts == ()
    with pytest.raises(ExtractError, match="table is empty"):
        shop.pull(shop.feed(dump="full"))


def test_a_table_may_lie_in_a_schema_and_its_columns_in_domains(postgresql: Shop) -> None:
    postgresql.run(
        "CREATE DOMAIN public.flag_like AS boolean",
        "CREATE SCHEMA front",
        "CREATE TABLE front.penalty (id int PRIMARY KEY, closed public.flag_like)",
        "INSERT INTO front.penalty VALUES (1, true)",
    )
    pulled = postgresql.pull(postgresql.feed(table_schema="front"))
    postgresql.run("DROP SCHEMA front CASCADE")
    assert rows(pulled) == [{"id": "1", "closed": "true"}]


def test_a_view_is_read_like_a_table(shop: Shop) -> None:
    shop.run(
        "CREATE TABLE raw (id INT PRIMARY KEY, fact VARCHAR(9))",
        "INSERT INTO raw VALUES (1, 'a')",
        "CREATE VIEW penalty AS SELECT id, fact FROM raw",
    )
    assert rows(shop.pull(shop.feed())) == [{"id": "1", "fact": "a"}]


def test_blocks_are_fetched_one_after_another(many: Shop, tmp_path: Path) -> None:
    source = many.feed().source
    with open_database(source) as connection:
        found = SourceTable(connection, source, "here")
        answer_in_text(connection, found.names, "here")
        columns = found.texts(found.selected)
        schema = rows_schema(columns, found.type_name)
        statement = select_rows(connection, found, DAY, None, None).statement
        path = tmp_path / "x.parquet"
        written = write_rows(
            connection, statement, columns, schema, path, fetch_rows=700, seconds=9, max_bytes=1 << 30, place="here"
        )
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(group).num_rows for group in range(groups.num_row_groups)] == [700, 700, 700, 700, 200]
    assert written.rows == 3000
