"""What the dictionary knows about the deciding authority of each row; a batch names few of them."""

from __future__ import annotations

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier
from pipelines.quality.reference import AUTHORITY_NAMES, COVERED, JURISDICTION, has_reference

ORGANS = "organs"
# State-wide codes of organs belong to no place.
NATIONAL_REGIONS = ("100000", "990000")


def create_organs(session: Session, category: Category, relation: str) -> None:
    """Make the table ``organs``, one row for each authority name and code of ``relation``, NULLs included.

    Columns: name, code, ``verdict`` of the code, ``standing`` (``known``; ``other_code``: the code is not that of the
    name; ``former``: the name was given up; ``other_name``: the code belongs to an authority of another name;
    ``unknown``: neither is in the dictionary though it covers the region; NULL where the dictionary says nothing),
    ``former_until`` DATE, ``outside`` BOOLEAN (the code's region is not one of the department's; NULL where no
    regions are declared or the code is not valid).
    """
    if not has_reference(session):
        session.execute(
            f"CREATE OR REPLACE TEMP TABLE {AUTHORITY_NAMES} (name VARCHAR, code VARCHAR, until DATE);"
            f"CREATE OR REPLACE TEMP TABLE {COVERED} (prefix VARCHAR);"
            f"CREATE OR REPLACE TEMP TABLE {JURISDICTION} (prefix VARCHAR)"
        )
    name, code = identifier(category.roles.authority), identifier(category.roles.authority_code)
    national = ", ".join(f"'{region}'" for region in NATIONAL_REGIONS)
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {ORGANS} AS
        WITH pairs AS (
            SELECT name, code, uscc_verdict(code) AS verdict, substring(code, 3, 6) AS region
            FROM (SELECT DISTINCT {name} AS name, {code} AS code FROM {identifier(relation)})
        ), placed AS (
            SELECT pairs.name, pairs.code, verdict, named.code AS named_code, named.until AS former_until,
                   verdict = 'valid' AND region NOT IN ({national}) AS has_place,
                   pairs.code IN (SELECT code FROM {AUTHORITY_NAMES}) AS is_listed,
                   EXISTS (SELECT 1 FROM {COVERED} WHERE starts_with(region, prefix)) AS is_covered,
                   (SELECT count(*) FROM {JURISDICTION}) > 0 AS has_jurisdiction,
                   EXISTS (SELECT 1 FROM {JURISDICTION} WHERE starts_with(region, prefix)) AS is_inside
            FROM pairs LEFT JOIN {AUTHORITY_NAMES} AS named ON named.name = pairs.name
        )
        SELECT name, code, verdict,
               CASE WHEN name IS NULL THEN NULL
                    WHEN former_until IS NOT NULL THEN 'former'
                    WHEN named_code IS NOT NULL AND verdict = 'valid' AND code <> named_code THEN 'other_code'
                    WHEN named_code IS NOT NULL THEN 'known'
                    WHEN is_listed THEN 'other_name'
                    WHEN has_place AND is_covered THEN 'unknown' END AS standing,
               former_until,
               CASE WHEN has_place AND has_jurisdiction THEN NOT is_inside END AS outside
        FROM placed
        """
    )


def organ_join(category: Category) -> str:
    """The join that gives each row of ``standard`` its authority."""
    name, code = identifier(category.roles.authority), identifier(category.roles.authority_code)
    return (
        f"LEFT JOIN {ORGANS} ON {ORGANS}.name IS NOT DISTINCT FROM standard.{name} "
        f"AND {ORGANS}.code IS NOT DISTINCT FROM standard.{code}"
    )
