"""A hundred thousand registered names: the rules on names must not accuse what a register has printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.engine.duck import Session, literal, session

# Rules on names, as the suites ask them, and how many of the registered names they accuse.
ACCUSED = {
    "is_masked_name": 0,
    "is_garbled": 2,
    "has_lost_characters": 1,
    "has_special_characters": 0,
    "names_several": 0,
    "is_test_name": 0,
    "has_personal_data": 0,
}


@pytest.fixture(scope="module")
def registered(shared: Path) -> Iterator[Session]:
    """A session with the table ``registered``: name, code."""
    path = literal(str(shared / "real/registry/registry_orgs_100k.csv"))
    options = "all_varchar = true, header = true, delim = ',', quote = '\"'"
    with session() as opened:
        opened.execute(
            "CREATE TABLE registered AS SELECT name, upper(trim(code_raw)) AS code "
            f"FROM read_csv({path}, {options}) WHERE name IS NOT NULL"
        )
        yield opened


def test_rules_on_names_accuse_three(registered: Session) -> None:
    counts = ", ".join(f"count(*) FILTER ({rule}(name))" for rule in ACCUSED)
    assert registered.count("registered") == 100_598
    assert registered.one(f"SELECT {counts} FROM registered") == tuple(ACCUSED.values())


def test_every_name_can_be_compared(registered: Session) -> None:
    assert registered.one("SELECT count(*) FROM registered WHERE name_key(name) IS NULL") == (0,)


def test_what_is_no_unified_code_is_a_registration_number(registered: Session) -> None:
    found = registered.rows(
        "SELECT registration_number_verdict(code) IN ('valid', 'legacy') AS known, count(*) "
        "FROM registered WHERE length(code) <> 18 GROUP BY 1 ORDER BY 1"
    )
    assert found == [(False, 1), (True, 284)]
