"""Whatever the receiver does and whenever the delivery is killed: every record is accepted exactly once.

The short form runs with all tests, the long one with ``make chaos``. The seed is printed; it decides what is queued,
when a delivery dies and how the receiver misbehaves, though not what the operating system does in between.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from chaos import Extent, chaos
from chaos_exchange_table import on_mariadb, on_postgresql
from chaos_protocols import PROTOCOLS
from delivery_shop import Shop

from pipelines.catalogue.catalogue import Catalogue

PROTOCOLS |= {"exchange_table_postgresql": on_postgresql, "exchange_table_mariadb": on_mariadb}


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_every_record_is_accepted_exactly_once(
    protocol: str, small_shop: Shop, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    survive(protocol, small_shop, catalogue, tmp_path, capsys)


def test_the_same_with_a_ledger_in_postgresql(
    postgresql_shop: Shop, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    survive("rest", postgresql_shop, catalogue, tmp_path, capsys)


def survive(protocol: str, shop: Shop, catalogue: Catalogue, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extent = Extent.of_environment()
    with chaos(PROTOCOLS[protocol], shop, catalogue, extent, folder) as worst:
        try:
            worst.run()
            worst.check()
        finally:
            with capsys.disabled():
                sys.stdout.write(f"\n{protocol}: {extent}, {worst.course}\n")
    assert worst.course.kills >= extent.kills
