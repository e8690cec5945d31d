"""Values with a known answer: the standards' own examples, codes of public bodies, and the traps."""

from __future__ import annotations

from datetime import date

import pytest

from pipelines.engine.duck import session
from pipelines.identity.institution_certificate import institution_certificate_verdict
from pipelines.identity.organisation_code import organisation_code_verdict
from pipelines.identity.registration_number import registration_number_verdict
from pipelines.identity.resident_id import (
    is_resident_id,
    resident_id_15_to_18,
    resident_id_birth_date,
    resident_id_verdict,
)
from pipelines.identity.synthetic import synthetic_resident_id
from pipelines.identity.tax_registration import tax_registration_verdict
from pipelines.identity.uscc import uscc_check_character, uscc_verdict, uscc_warnings
from pipelines.identity.uscc_defect import uscc_defect

VALID = [
    "91350100M000100Y43",
    "91110108551385082Q",
    "91110000600037341L",
    "914403001922038216",
    "9144030071526726XG",
    "12100000400000624D",
    "12440600MB2C07549J",
    "11420000MB15291767",
    "91330282L07196379D",
    "91320105780688132K",
    "91110000101623741K",
    "911101066976941872",
    "91330100716105852F",
    "91330203674737244W",
    "92330206MA2EL62660",
    "92141127MA0KD1Y64A",
]

# Fujian pilot of 2015. The last one was published elsewhere than the codes from which the formula was found.
PILOT = [
    "91350203M0001QKT19",
    "91350211M0000XUF46",
    "91350100M0001TGQXM",
    "91350203M0001FUE2P",
    "91350211M00013FA1N",
    "91350203M0001QAY9B",
]

# Issued with Σ mod 31 in place of its complement: public registry entries of Hubei, Guangxi and Hubei.
COMPLEMENT_OMITTED = ["91420500747684391L", "91450900057501180N", "914203237068401915"]


@pytest.mark.parametrize("code", VALID)
def test_published_codes_are_valid(code: str) -> None:
    assert uscc_verdict(code) == "valid"
    assert uscc_warnings(code) == []
    assert organisation_code_verdict(code[8:17]) == "valid"
    assert uscc_defect(code) is None


@pytest.mark.parametrize("code", PILOT + COMPLEMENT_OMITTED)
def test_issued_codes_with_another_check_character_are_known(code: str) -> None:
    assert code[17] != uscc_check_character(code)
    assert uscc_verdict(code) == "issued_nonstandard"


@pytest.mark.parametrize(
    ("code", "verdict", "defect"),
    [
        ("362322198709086409", "person_number", None),  # passes the check of GB 32100 as well
        ("11010519491231002X", "person_number", None),
        ("310115400103311", "person_number", None),  # 15 digits, born 1940-01-03
        ("110105491231002", "invalid", "registration_number"),  # satisfies that check too: ambiguous
        ("00000000000000000X", "placeholder", None),
        ("000000000000000000", "invalid", "denied"),
        ("111111111111111111", "invalid", "denied"),
        ("123456789012345678", "invalid", "denied"),
        ("AAAAAAAAAAAAAAAAAA", "invalid", "denied"),
        ("91350200M00000000X", "invalid", "check_mismatch"),
        ("913502000000000000", "invalid", "denied"),
        ("91350100M000100Y4Z", "invalid", "excluded_letter"),  # a misprint of the standard's example
        ("9111000060003IOZSV", "invalid", "excluded_letter"),
        ("91110000600037341N", "invalid", "check_mismatch"),
        ("A1110000600037341L", "invalid", "check_mismatch"),
        ("911100006000370000", "invalid", "float_truncated"),
        ("9.13302E+17", "invalid", "scientific_notation"),
        ("911100********341L", "invalid", "masked"),
        ("110108000000016", "invalid", "registration_number"),
        ("3203222800250", "invalid", "registration_number"),
        ("55138508" + "2", "invalid", "organisation_code"),
        ("91110000600037341", "invalid", "wrong_length"),
        ("9111000060003734-L", "invalid", "foreign_character"),
        ("无", "invalid", "wrong_length"),
        ("", "invalid", "wrong_length"),
    ],
)
def test_traps(code: str, verdict: str, defect: str | None) -> None:
    assert (uscc_verdict(code), uscc_defect(code)) == (verdict, defect)


def test_every_single_error_and_swap_in_a_valid_code_is_noticed() -> None:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    for code in VALID:
        wrong = {code[:i] + c + code[i + 1 :] for i in range(18) for c in alphabet} - {code}
        wrong |= {code[:i] + code[i + 1] + code[i] + code[i + 2 :] for i in range(17)} - {code}
        verdicts = [uscc_verdict(other) for other in wrong]
        assert "valid" not in verdicts
        accepted_with_flag = verdicts.count("issued_nonstandard") / len(verdicts)
        assert accepted_with_flag < 0.06


def test_warnings_never_reject() -> None:
    for body, warnings in {
        "G1110000600037341": ["unknown_prefix"],
        "91770000600037341": ["unknown_region"],
        "91ABCDEF600037341": ["unknown_region"],
        "91110000600037349": ["organisation_code_check"],
        "GY770000600037349": ["unknown_prefix", "unknown_region", "organisation_code_check"],
        "91990000600037341": [],
        "12100000600037341": [],
        "A1110000600037341": [],
        "N2110000600037341": [],
        "54110000600037341": [],
    }.items():
        code = body + str(uscc_check_character(body))
        assert (uscc_verdict(code), uscc_warnings(code)) == ("valid", warnings)
    assert uscc_warnings("00000000000000000X") == []
    assert uscc_warnings("110105") == []


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("110108000000016", "valid"),
        ("440301103097413", "valid"),
        ("330100400015575", "valid"),
        ("310115400103310", "valid"),
        ("310115400103311", "person_number"),  # region and 1940-01-03, and no registration number
        ("110108000000017", "invalid"),
        ("3203222800250", "legacy"),
        ("320829NA000226X", "legacy"),
        ("9903222800250", "legacy"),
        ("0003222800250", "invalid"),
        ("000000000000000", "invalid"),
        ("A1B2C3D4E5F60718", "internal_number"),
        ("91110000600037341L", "valid"),
        ("362322198709086409", "person_number"),
        ("无", "invalid"),
    ],
)
def test_registration_numbers(number: str, verdict: str) -> None:
    assert registration_number_verdict(number) == verdict


@pytest.mark.parametrize(
    ("number", "verdict", "person"),
    [
        ("11010519491231002X", "valid", True),
        ("440524188001010014", "valid", False),  # the standard's example, born 1880
        ("110105194912310020", "invalid", False),
        ("11010519491231002x", "invalid", False),
        ("990105194912310021", "invalid", False),
        ("110105491231002", "legacy", False),
        ("110105490231002", "invalid", False),
        ("110105********002X", "masked", False),
        ("110105XXXXXXXX002X", "masked", False),
        ("E12345678", "invalid", False),
    ],
)
def test_resident_identity_numbers(number: str, verdict: str, person: bool) -> None:
    assert resident_id_verdict(number) == verdict
    assert is_resident_id(number) is person


def test_a_date_that_does_not_exist_is_no_birth_date() -> None:
    valid = synthetic_resident_id("110105", date(1996, 2, 29), 7)
    assert resident_id_verdict(valid) == "valid"
    assert resident_id_birth_date(valid) == date(1996, 2, 29)
    assert resident_id_birth_date(valid.replace("19960229", "19970229")) is None


def test_fifteen_digits_become_eighteen_only_when_the_century_is_certain() -> None:
    assert resident_id_15_to_18("110105491231002") == "11010519491231002X"
    assert resident_id_15_to_18("110105491231996") is None
    assert resident_id_15_to_18("110105490231002") is None
    assert resident_id_15_to_18("11010519491231002X") is None


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("110108551385082", "valid"),
        ("110108551385083", "invalid"),
        ("110105491231002", "person_number"),
        ("11010549123100212", "person_number"),
        ("11010519491231002X01", "person_number"),
        ("110105491231002A0050", "person_number"),
        ("110105491331002A0050", "invalid"),
        ("91110000600037341L", "valid"),
        ("91350203M0001QKT19", "issued_nonstandard"),
        ("1101055513850", "invalid"),
    ],
)
def test_tax_registration_numbers(number: str, verdict: str) -> None:
    assert tax_registration_verdict(number) == verdict
    with session() as duck:
        assert duck.one("SELECT tax_registration_verdict($number)", {"number": number}) == (verdict,)


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("事证第133000000123号", "valid"),
        ("133000000123", "valid"),
        ("12100000400000624D", "valid"),
        ("111111111111", "invalid"),
        ("13300000012", "invalid"),
        ("110105491231002", "person_number"),
    ],
)
def test_institution_certificates(number: str, verdict: str) -> None:
    assert institution_certificate_verdict(number) == verdict


def test_organisation_codes() -> None:
    assert organisation_code_verdict("71526726X") == "valid"
    assert organisation_code_verdict("715267260") == "invalid"
    assert organisation_code_verdict("71526726-X") == "invalid"
    assert organisation_code_verdict("000000000") == "invalid"
    assert organisation_code_verdict("5138508") == "invalid"
