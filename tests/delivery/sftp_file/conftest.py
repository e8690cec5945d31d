"""The file exchange of the tests: its description, the receiver at work, our adapter, a package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sftp_partner import Partner, city_files, package

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.sftp_file import SftpFileAdapter


@pytest.fixture(scope="session", name="city_files")
def described_city_files() -> Endpoint:
    return city_files()


@pytest.fixture
def partner(tmp_path: Path, catalogue: Catalogue, city_files: Endpoint) -> Iterator[Partner]:
    with (made := Partner(tmp_path, catalogue, city_files)).receiver:
        yield made


@pytest.fixture
def penalty(catalogue: Catalogue) -> Category:
    return catalogue.categories["administrative_penalty"]


@pytest.fixture
def adapter(partner: Partner) -> Iterator[SftpFileAdapter]:
    with partner.adapter() as opened:
        yield opened


@pytest.fixture
def one(partner: Partner, penalty: Category) -> OutgoingPackage:
    return package(partner.endpoint, penalty)
