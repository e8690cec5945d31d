"""Verdicts on published codes: shares as measured in the field, and no organisation taken for a person."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.engine.duck import Session, literal, session
from pipelines.identity.regions import is_resident_region

# They satisfy the check of GB 32100 and are listed as such.
FILLERS = ("0" * 18, "123456789012345678")


@pytest.fixture(scope="module")
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


def _read(path: Path) -> str:
    return f"read_csv({literal(str(path))}, all_varchar = true, header = true, delim = ',', quote = '\"')"


def test_a_hundred_thousand_registered_codes(duck: Session, shared: Path) -> None:
    source = _read(shared / "real/registry/registry_orgs_100k.csv")
    duck.execute(f"CREATE OR REPLACE TABLE registered AS SELECT upper(trim(code_raw)) AS code FROM {source}")
    found = dict(duck.rows("SELECT uscc_verdict(code), count(*) FROM registered WHERE length(code) = 18 GROUP BY 1"))
    assert found == {"valid": 100_310, "issued_nonstandard": 2, "invalid": 1}
    warnings = dict(
        duck.rows(
            "SELECT unnest(uscc_warnings(code)) AS warning, count(*) FROM registered"
            " WHERE uscc_verdict(code) = 'valid' GROUP BY 1"
        )
    )
    assert warnings == {"organisation_code_check": 10}


def test_registration_numbers_of_the_registry(duck: Session, shared: Path) -> None:
    source = _read(shared / "real/registry/registry_code_anomalies_200.csv")
    rows = duck.rows(
        f"SELECT label_class, registration_number_verdict(upper(code_raw)), count(*) FROM {source} GROUP BY ALL"
    )
    found: dict[str, Counter[str]] = {}
    for label, verdict, count in rows:
        found.setdefault(label, Counter())[verdict] += count
    assert set(found["reg15_ok"]) == {"valid"}
    assert set(found["reg13"]) == {"legacy"}
    assert set(found["uscc_lower"]) == {"valid"}
    assert found["uscc_bad_check"] == {"issued_nonstandard": 3, "invalid": 1}
    assert set(found["other_len15"]) == {"legacy"}


def test_unusual_prefixes_are_valid(duck: Session, shared: Path) -> None:
    source = _read(shared / "real/registry/uscc_nonenterprise_prefix.csv")
    found = dict(duck.rows(f"SELECT uscc_verdict(code), count(*) FROM {source} GROUP BY 1"))
    assert set(found) == {"valid"}
    assert duck.one(f"SELECT count(*) FROM {source} WHERE list_contains(uscc_warnings(code), 'unknown_prefix')") == (0,)


def test_published_vectors(duck: Session, shared: Path) -> None:
    source = _read(shared / "real/reference/uscc_test_vectors.csv")
    rows = duck.rows(f"SELECT code, label_class, mod37_2i_36char_match, uscc_verdict(code) FROM {source}")
    for code, label, pilot, verdict in rows:
        if label == "uscc_ok":
            assert verdict == ("invalid" if code in FILLERS else "valid"), code
        elif label == "uscc_bad_check":
            assert verdict == ("issued_nonstandard" if pilot == "1" else "invalid"), code
        elif label.startswith(("other", "uscc_bad")):
            assert verdict == "invalid", code


def test_every_region_ever_listed_can_head_an_identity_number(shared: Path) -> None:
    for name, column in (("areacodes_history_1980_2024_CC0.csv", "代码"), ("mca_current_20260911.csv", "code")):
        with (shared / "real/reference" / name).open(encoding="utf-8-sig", newline="") as file:
            codes = [row[column] for row in csv.DictReader(file)]
        assert len(codes) > 3000
        assert [code for code in codes if not is_resident_region(code)] == []
