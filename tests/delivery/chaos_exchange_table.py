"""How the chaos test reaches the sandbox over front-end tables, on PostgreSQL and on MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from chaos_protocols import Reached, subjects_in
from cutting_proxy import Cut, CuttingProxy, commit_of
from exchange_accounts import PASSWORD, grant_needed_rights, new_account, without_account
from sqlalchemy import URL

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.exchange_table import open_front_end, start_consumer
from pipelines.sandbox.misbehaviour import KINDS, Kind, Misbehaviour
from pipelines.sandbox.subjects import load_subjects
from tests.databases import new_mariadb_database, new_postgresql_database

DESCRIPTION = Path(__file__).parent / "endpoints" / "exchange_table.yaml"
# Nobody answers a call there, so nobody answers late, asks to come back, or looks at a certificate.
NOT_SHOWN: frozenset[Kind] = frozenset({"busy", "expired_certificate", "wrong_token"})
# What has no receipt by then is sent again: soon enough for a test.
PATIENCE_SECONDS = 0.4


@contextmanager
def on_postgresql(folder: Path, catalogue: Catalogue, misbehaviour: Misbehaviour) -> Iterator[Reached]:
    """The upper side on PostgreSQL."""
    with new_postgresql_database() as url, _consumed(url, folder, catalogue, misbehaviour) as reached:
        yield reached


@contextmanager
def on_mariadb(folder: Path, catalogue: Catalogue, misbehaviour: Misbehaviour) -> Iterator[Reached]:
    """The upper side on MariaDB."""
    with new_mariadb_database() as url, _consumed(url, folder, catalogue, misbehaviour) as reached:
        yield reached


@contextmanager
def _consumed(url: URL, folder: Path, catalogue: Catalogue, misbehaviour: Misbehaviour) -> Iterator[Reached]:
    store = folder / "sandbox.sqlite"
    desk = Desk(
        store,
        catalogue.categories,
        subjects=load_subjects(subjects_in(folder)),
        today=lambda: date(2026, 11, 20),
        misbehaviour=misbehaviour,
    )
    commit = commit_of(url)

    def decide(said: bytes) -> Cut | None:
        if commit not in said:
            return None
        if misbehaviour.takes("cut"):
            return "before"
        return "after" if misbehaviour.takes("lose_answer") else None

    assert url.port is not None
    upper = open_front_end(url)
    with new_account(upper) as user:
        endpoint = _described(user)
        assert endpoint.exchange_table is not None
        consumer = start_consumer(desk, endpoint, url, pause_seconds=0.05)
        grant_needed_rights(upper, user, endpoint.exchange_table)
        proxy = CuttingProxy(url.port, decide)
        address = without_account(url, proxy.port).render_as_string()
        try:
            yield Reached(
                endpoint,
                {"GUIJI_EXCHANGE_URL": address, "GUIJI_EXCHANGE_PASSWORD": PASSWORD},
                store,
                frozenset(KINDS) - NOT_SHOWN,
            )
        finally:
            consumer.stop()
            proxy.close()


def _described(user: str) -> Endpoint:
    described = parse(read(DESCRIPTION), Endpoint)
    section = described.exchange_table
    assert section is not None
    return described.model_copy(
        update={
            "endpoint": "province_sandbox",
            "receipt_patience_hours": PATIENCE_SECONDS / 3600,
            "exchange_table": section.model_copy(update={"user": user}),
        }
    )
