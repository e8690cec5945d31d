"""What the rules are told beside the rows: the dictionary of authorities, and where the department may decide."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from pipelines.catalogue.authorities import Authorities
from pipelines.engine.duck import Session

AUTHORITY_NAMES = "authority_names"
COVERED = "covered_regions"
JURISDICTION = "jurisdiction"


@dataclass(frozen=True)
class Reference:
    """``regions``: the first digits of the codes of the regions in which the department may decide; may be empty."""

    authorities: Authorities
    regions: tuple[str, ...] = ()


def create_reference(session: Session, reference: Reference) -> None:
    """Make the tables that :func:`~pipelines.quality.facts.create_facts` reads, empty where nothing is known.

    ``authority_names``: name, code, until DATE (first day on which a former name was wrong; NULL for present names and
    abbreviations). ``covered_regions`` and ``jurisdiction``: prefix.
    """
    names: list[tuple[str, str, object]] = []
    for one in reference.authorities.authorities:
        names += [(name, one.code, None) for name in (one.name, *one.short)]
        names += [(former.name, one.code, former.until) for former in one.former]
    columns = list(zip(*names, strict=True)) or [(), (), ()]
    types = (pa.string(), pa.string(), pa.date32())
    arrays = [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)]
    for relation, table in (
        (AUTHORITY_NAMES, pa.table(arrays, names=["name", "code", "until"])),
        (COVERED, pa.table([pa.array(reference.authorities.covers, pa.string())], names=["prefix"])),
        (JURISDICTION, pa.table([pa.array(reference.regions, pa.string())], names=["prefix"])),
    ):
        session.register("given", table)
        session.execute(f"CREATE OR REPLACE TEMP TABLE {relation} AS FROM given")


def has_reference(session: Session) -> bool:
    """Whether :func:`create_reference` was called in this session."""
    (found,) = session.one("SELECT count(*) FROM duckdb_tables() WHERE table_name = $name", {"name": AUTHORITY_NAMES})
    return bool(found)
