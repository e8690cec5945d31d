"""A real front-end database on PostgreSQL and on MariaDB, and an account of ours that may do no more than it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from delivery_shop import CODE, NAME, Clock, Shop
from exchange_accounts import grant_needed_rights, new_account, without_account
from front_end import CONTENT, HELD, RECEIPTS, FrontEnd
from sqlalchemy import URL, inspect

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.exchange_table import ExchangeTableAdapter, beijing_now
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.exchange_table import Consumer, open_front_end
from pipelines.sandbox.subjects import load_subjects
from tests.databases import new_mariadb_database, new_postgresql_database

ENDPOINT = Path(__file__).parent.parent / "endpoints" / "exchange_table.yaml"
TABLES = (CONTENT, "QZK_XZXK", RECEIPTS, HELD, "QZK_XZXK_ZX")


@pytest.fixture(scope="session", params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Iterator[tuple[URL, str]]:
    """An empty database on each server, and the name of an account of ours without any right."""
    new_database = new_postgresql_database if request.param == "postgresql" else new_mariadb_database
    with new_database() as url, new_account(open_front_end(url)) as user:
        yield url, user


@pytest.fixture
def front_end(database: tuple[URL, str], tmp_path: Path, catalogue: Catalogue) -> FrontEnd:
    """Tables as the upper side makes them, empty; rights as docs/endpoints.md lists them."""
    url, user = database
    subjects = tmp_path / "subjects.csv"
    subjects.write_text(f"code,name\n{CODE},{NAME}\n", encoding="utf-8")
    described = parse(read(ENDPOINT), Endpoint)
    assert described.exchange_table is not None
    retry = described.retry.model_copy(update={"attempts": 3, "first_seconds": 0.01, "longest_seconds": 0.05})
    endpoint = described.model_copy(
        update={
            "exchange_table": described.exchange_table.model_copy(update={"user": user}),
            # The shop owes to this one.
            "endpoint": "province_sandbox",
            "package_size": 4,
            "retry": retry,
            "timeout_seconds": 4.0,
            "receipt_wait_seconds": 0.3,
        }
    )
    upper = open_front_end(url)
    desk = Desk(
        tmp_path / "sandbox.sqlite",
        catalogue.categories,
        subjects=load_subjects(subjects),
        today=lambda: date(2026, 11, 20),
    )
    consumer = Consumer(desk, upper, endpoint)
    is_new = not inspect(upper).get_table_names()
    consumer.create_tables()
    if is_new:
        grant_needed_rights(upper, user, described.exchange_table)
    ours = FrontEnd(upper, without_account(url), user, endpoint, catalogue, desk, consumer)
    ours.run(*(f'DELETE FROM "{table}"' for table in TABLES))
    return ours


@pytest.fixture
def adapter(front_end: FrontEnd) -> Iterator[ExchangeTableAdapter]:
    with front_end.adapter() as opened:
        yield opened


DeliverTables = Callable[..., DeliveryResult]


@pytest.fixture
def send(front_end: FrontEnd) -> DeliverTables:
    """Deliver what a shop owes; whenever the delivery waits, the upper side has its turn.

    ``hours_pass``: two days go by between any two looks at the clock.
    """

    def run(
        shop: Shop, *, consuming: bool = True, hours_pass: bool = False, consumed_rows: str = "stay"
    ) -> DeliveryResult:
        endpoint = front_end.described(consumed_rows=consumed_rows)
        consumer = Consumer(front_end.desk, front_end.upper, endpoint)
        clock = {"now": beijing_now()}

        def now() -> datetime:
            clock["now"] += timedelta(days=2 if hours_pass else 0)
            return clock["now"]

        def sleep(_seconds: float) -> None:
            if consuming:
                consumer.consume_once()

        return deliver(
            shop.ledger,
            endpoint,
            front_end.adapter(endpoint, now=now),
            front_end.catalogue.categories,
            shop.load,
            Clock(),
            sleep=sleep,
        )

    return run
