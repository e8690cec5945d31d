"""A real receiver, a real ledger (SQLite and, where one answers, PostgreSQL) and records to deliver."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from delivery_shop import CODE, NAME, TOKEN, Clock, Deliver, Receiver, Shop
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.deliver import DeliveryResult, deliver
from pipelines.delivery.rest import RestAdapter
from pipelines.ledger.database import migrate, open_ledger
from pipelines.settings import Settings

POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite ledger to copy: migrating is slow."""
    path = tmp_path_factory.mktemp("migrated") / "ledger.sqlite"
    url = f"sqlite:///{path}"
    migrate(url)
    with open_ledger(url).engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    open_ledger(url).engine.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_database() -> Iterator[str]:
    """The name of an empty PostgreSQL ledger to copy; its tests skip where no server answers."""
    try:
        _command("SELECT 1", connect_timeout=2)
    except OperationalError:
        pytest.skip("needs PostgreSQL at 127.0.0.1:5432 with trust authentication")
    name = f"guiji_template_{uuid4().hex}"
    _command(f"CREATE DATABASE {name}")
    try:
        migrate(POSTGRESQL + name)
        open_ledger(POSTGRESQL + name).engine.dispose()
        yield name
    finally:
        _command(f"DROP DATABASE {name} WITH (FORCE)")


def _command(statement: str, **connect: int) -> None:
    engine = create_engine(POSTGRESQL + "postgres", isolation_level="AUTOCOMMIT", connect_args=connect)
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def small_shop(tmp_path: Path, migrated_file: Path) -> Iterator[Shop]:
    """On SQLite only, for what does not depend on the database."""
    shutil.copy(migrated_file, tmp_path / "ledger.sqlite")
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield Shop(ledger)
    ledger.engine.dispose()


@pytest.fixture
def postgresql_shop(migrated_database: str) -> Iterator[Shop]:
    """On PostgreSQL, in a database of its own."""
    name = f"guiji_delivery_{uuid4().hex}"
    _command(f"CREATE DATABASE {name} TEMPLATE {migrated_database}")
    try:
        ledger = open_ledger(POSTGRESQL + name)
        yield Shop(ledger)
        ledger.engine.dispose()
    finally:
        _command(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["small_shop", "postgresql_shop"], ids=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest) -> Shop:
    """On both databases."""
    both: Shop = request.getfixturevalue(request.param)
    return both


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue(Settings())


@pytest.fixture(scope="session")
def endpoint(catalogue: Catalogue) -> Endpoint:
    """The endpoint as it is described, but with small packages and little patience."""
    described = catalogue.endpoints["province_sandbox"]
    retry = described.retry.model_copy(update={"attempts": 3, "first_seconds": 0.01, "longest_seconds": 0.05})
    return described.model_copy(
        update={"package_size": 4, "retry": retry, "timeout_seconds": 5.0, "receipt_wait_seconds": 0.3}
    )


@pytest.fixture
def receiver(tmp_path: Path, catalogue: Catalogue) -> Iterator[Receiver]:
    """Running; its subject base knows one organisation."""
    subjects = tmp_path / "subjects.csv"
    subjects.write_text(f"code,name\n{CODE},{NAME}\n", encoding="utf-8")
    running = Receiver(tmp_path, catalogue, subjects)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def send(endpoint: Endpoint, catalogue: Catalogue, receiver: Receiver) -> Deliver:
    """Deliver what a shop owes to the receiver; ``changes`` go to the endpoint's description."""

    def run(shop: Shop, *, token: str = TOKEN, **changes: object) -> DeliveryResult:
        return deliver(
            shop.ledger,
            changed := endpoint.model_copy(update=changes),
            RestAdapter(changed, receiver.url, token),
            catalogue.categories,
            shop.load,
            Clock(),
        )

    return run
