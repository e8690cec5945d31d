"""What masking hides and what it leaves."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.identity.masking import mask_code, mask_document_number, mask_person_name, mask_text
from pipelines.identity.synthetic import synthetic_resident_id

PERSON = "11010519491231002X"


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        (PERSON, "110105************"),
        ("110105491231002", "110105*********"),
        ("E12345678", "E12******"),
        ("AB", "**"),
        ("", ""),
        (None, None),
    ],
)
def test_document_numbers(number: str | None, masked: str | None) -> None:
    assert mask_document_number(number) == masked


@pytest.mark.parametrize(("name", "masked"), [("张三", "张*"), ("欧阳修", "欧**"), ("张", "*"), ("", ""), (None, None)])
def test_names(name: str | None, masked: str | None) -> None:
    assert mask_person_name(name) == masked


@pytest.mark.parametrize(
    ("code", "masked"),
    [
        ("91110000600037341L", "91110000600037341L"),
        ("91110000600037341N", "91110000600037341N"),  # a wrong code of an organisation has to stay readable
        ("914403001922038216", "914403001922038216"),
        ("00000000000000000X", "00000000000000000X"),
        (PERSON, "110105************"),
        ("110105194912310020", "110105************"),  # a wrong check still points at a person
        ("11010519491231002X01", "110105************"),
        ("110105491231002", "110105*********"),
        ("13812345678", "138********"),
        ("110108000000016", "110108000000016"),
        ("无", "无"),
        (None, None),
    ],
)
def test_codes(code: str | None, masked: str | None) -> None:
    assert mask_code(code) == masked


def test_free_text() -> None:
    text = f"当事人张三（身份证号：{PERSON.lower()}，电话13812345678），"
    text += "卡号6222021234567894，\n案号2024012345678，金额2000元"
    masked = mask_text(text)
    assert masked == (
        "当事人张三（身份证号：110105************，电话138********），"
        "卡号622202**********，\n案号2024012345678，金额2000元"
    )


def test_numbers_of_organisations_stay_in_free_text() -> None:
    text = "统一社会信用代码914403001922038216，注册号110108000000016，文号〔2024〕123456789012号"
    assert mask_text(text) == text


@given(
    before=st.text(st.characters(exclude_categories=["Cs", "Nd"]), max_size=20),
    after=st.text(st.characters(exclude_categories=["Cs", "Nd"], exclude_characters="Xx"), max_size=20),
    birth=st.dates(date(1900, 1, 1), date(2049, 12, 31)),
    serial=st.integers(0, 999),
)
def test_no_identity_number_survives_in_any_text(before: str, after: str, birth: date, serial: int) -> None:
    number = synthetic_resident_id("320106", birth, serial)
    masked = mask_text(before + number + after)
    assert masked == before + "320106************" + after
