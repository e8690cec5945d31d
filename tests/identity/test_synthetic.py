"""Synthetic codes are formally right, and parts that cannot make one are refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10

from pipelines.identity.organisation_code import organisation_code_verdict
from pipelines.identity.registration_number import registration_number_verdict
from pipelines.identity.resident_id import resident_id_verdict
from pipelines.identity.synthetic import (
    synthetic_organisation_code,
    synthetic_registration_number,
    synthetic_resident_id,
    synthetic_uscc,
)
from pipelines.identity.uscc import uscc_verdict, uscc_warnings

SERIAL = st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=8, max_size=8).filter(lambda s: len(set(s)) > 1)


@given(SERIAL)
def test_a_built_code_is_valid_and_python_stdnum_agrees(serial: str) -> None:
    code = synthetic_uscc("91", "340104", serial)
    assert uscc_verdict(code) == "valid"
    assert uscc_warnings(code) == []
    assert uscc.is_valid(code)
    assert organisation_code_verdict(synthetic_organisation_code(serial)) == "valid"


@given(st.dates(date(1984, 1, 1), date(2020, 12, 31)), st.integers(0, 999))
def test_a_built_identity_number_is_valid_and_python_stdnum_agrees(birth: date, serial: int) -> None:
    number = synthetic_resident_id("110105", birth, serial)
    assert resident_id_verdict(number) == "valid"
    assert ric.calc_check_digit(number) == number[17]


@given(st.integers(0, 10**8 - 1))
def test_a_built_registration_number_is_valid_and_python_stdnum_agrees(serial: int) -> None:
    number = synthetic_registration_number("110108", f"{serial:08d}")
    assert registration_number_verdict(number) == "valid"
    assert mod_11_10.is_valid(number)


@pytest.mark.parametrize(
    "parts", [("9", "3401040", "12345678"), ("91", "340104", "1234567"), ("91", "3401O4", "12345678")]
)
def test_wrong_parts_are_refused(parts: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match=r"serial|parts"):
        synthetic_uscc(*parts)


def test_wrong_regions_and_serials_are_refused() -> None:
    with pytest.raises(ValueError, match="region"):
        synthetic_resident_id("1101", date(2000, 1, 1), 1)
    with pytest.raises(ValueError, match="region"):
        synthetic_resident_id("110105", date(2000, 1, 1), 1000)
    with pytest.raises(ValueError, match="region"):
        synthetic_registration_number("110105", "1234567")
