"""How the chaos test reaches the sandbox over each protocol: one function per protocol that runs its receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from delivery_shop import CODE, NAME, TOKEN, Receiver
from sftp_partner import Partner, city_files

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.sandbox.misbehaviour import KINDS, Kind, Misbehaviour

DESCRIPTIONS = Path(__file__).with_name("endpoints")


@dataclass(frozen=True)
class Reached:
    """A receiver that runs: how it is described, what ``open_adapter`` needs to reach it, and its store.

    ``endpoint`` must be named ``province_sandbox`` and take both categories. ``environment`` holds its address and
    secret. ``store`` is the SQLite file of the sandbox's desk. ``kinds`` are those that this protocol can show.
    ``knows_our_keys``: the receiver is told our record key and content hash; else it knows numbers and names only.
    """

    endpoint: Endpoint
    environment: Mapping[str, str]
    store: Path
    kinds: frozenset[Kind]
    knows_our_keys: bool = True


Protocol = Callable[[Path, Catalogue, Misbehaviour], AbstractContextManager[Reached]]
"""Runs a receiver that keeps its files in a folder, knows the categories of a catalogue and misbehaves as told."""


@contextmanager
def rest(folder: Path, catalogue: Catalogue, misbehaviour: Misbehaviour) -> Iterator[Reached]:
    """JSON over HTTP; it cannot show an expired certificate without TLS."""
    with over_http(catalogue.endpoints["province_sandbox"], folder, catalogue, misbehaviour) as reached:
        yield reached


@contextmanager
def xml_service(folder: Path, catalogue: Catalogue, misbehaviour: Misbehaviour) -> Iterator[Reached]:
    """The national web service, over HTTP too."""
    described = parse(read(Path(__file__).with_name("endpoints") / "xml_service.yaml"), Endpoint)
    named = described.model_copy(update={"endpoint": "province_sandbox"})
    with over_http(named, folder, catalogue, misbehaviour) as reached:
        yield replace(reached, knows_our_keys=False)


@contextmanager
def over_http(endpoint: Endpoint, folder: Path, catalogue: Catalogue, misbehaviour: Misbehaviour) -> Iterator[Reached]:
    """The sandbox as a web server without TLS."""
    receiver = Receiver(folder, catalogue, subjects_in(folder))
    receiver.start(misbehaviour)
    environment = {str(endpoint.url_variable): receiver.url, endpoint.secret_variable: TOKEN}
    try:
        yield Reached(endpoint, environment, folder / "sandbox.sqlite", frozenset(KINDS) - {"expired_certificate"})
    finally:
        receiver.stop()


@contextmanager
def sftp_file(folder: Path, catalogue: Catalogue, misbehaviour: Misbehaviour) -> Iterator[Reached]:
    """Files over SFTP, which has no certificate that could expire."""
    partner = Partner(folder, catalogue, city_files(), misbehaviour=misbehaviour)
    with partner.receiver:
        yield Reached(
            partner.owed_to(),
            partner.environment,
            folder / "sandbox.sqlite",
            frozenset(KINDS) - {"expired_certificate"},
        )


def subjects_in(folder: Path) -> Path:
    """The subject base of the receiver, which knows the organisation that all records are about."""
    path = folder / "subjects.csv"
    path.write_text(f"code,name\n{CODE},{NAME}\n", encoding="utf-8")
    return path


PROTOCOLS: dict[str, Protocol] = {"rest": rest, "xml_service": xml_service, "sftp_file": sftp_file}
