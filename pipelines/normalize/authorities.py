"""Codes of authorities that the source left out, filled in from the dictionary by exact name."""

from __future__ import annotations

import pyarrow as pa

from pipelines.catalogue.authorities import Authorities
from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier, literal

FILLED = "ORG-001"
PLACEHOLDER = "00000000000000000X"
_CODES = "authority_codes"


def fill_authority_codes(session: Session, category: Category, authorities: Authorities) -> int:
    """Fill empty codes of the deciding authority and of the source unit in ``standard``; returns how many.

    Only the present name or a listed abbreviation, letter by letter, names an authority; the placeholder counts as
    empty (domain reference 8 no. 67). Every filled code is a line of ``repairs``.
    """
    named = [(name, one.code) for one in authorities.authorities for name in (one.name, *one.short)]
    if not named:
        return 0
    names, codes = zip(*named, strict=True)
    session.register(_CODES, pa.table({"name": pa.array(names), "code": pa.array(codes)}))
    roles = category.roles
    filled = 0
    for name, code in ((roles.authority, roles.authority_code), (roles.source_unit, roles.source_unit_code)):
        column = f"standard.{identifier(code)}"
        empty = (
            f"({column} IS NULL OR {column} = {literal(PLACEHOLDER)}) "
            f"AND standard.{identifier(name)} = {_CODES}.name AND standard.excluded_reason IS NULL"
        )
        found = session.count("repairs")
        session.execute(
            f"INSERT INTO repairs SELECT row_no, {literal(code)}, {literal(FILLED)}, {column}, {_CODES}.code "
            f"FROM standard JOIN {_CODES} ON {empty}"
        )
        if session.count("repairs") > found:
            filled += session.count("repairs") - found
            session.execute(f"UPDATE standard SET {identifier(code)} = {_CODES}.code FROM {_CODES} WHERE {empty}")
    return filled
