"""The SQL macros and their Python twins give the same answer on a million values."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.duck import Session, session
from pipelines.identity import masking, regions
from pipelines.identity.institution_certificate import institution_certificate_verdict
from pipelines.identity.organisation_code import ALPHABET as GB11714_ALPHABET
from pipelines.identity.organisation_code import (
    VALUES,
    organisation_code_check_character,
    organisation_code_verdict,
)
from pipelines.identity.registration_number import has_registration_check, registration_number_verdict
from pipelines.identity.resident_id import (
    has_resident_id_form,
    is_legacy_resident_id,
    is_resident_id,
    resident_id_15_to_18,
    resident_id_birth_date,
    resident_id_check_character,
    resident_id_verdict,
)
from pipelines.identity.synthetic import (
    synthetic_organisation_code,
    synthetic_registration_number,
    synthetic_resident_id,
    synthetic_uscc,
)
from pipelines.identity.tax_registration import tax_registration_verdict
from pipelines.identity.uscc import ALPHABET, PILOT_WEIGHTS, PREFIXES, uscc_check_character, uscc_verdict, uscc_warnings
from pipelines.identity.uscc_defect import uscc_defect

TWINS: dict[str, Callable[[str | None], Any]] = {
    twin.__name__: twin
    for twin in (
        uscc_verdict,
        uscc_warnings,
        uscc_defect,
        uscc_check_character,
        organisation_code_verdict,
        organisation_code_check_character,
        has_registration_check,
        registration_number_verdict,
        has_resident_id_form,
        is_resident_id,
        is_legacy_resident_id,
        resident_id_verdict,
        resident_id_birth_date,
        resident_id_check_character,
        resident_id_15_to_18,
        tax_registration_verdict,
        institution_certificate_verdict,
        masking.mask_document_number,
        masking.mask_person_name,
        masking.mask_code,
        masking.mask_text,
    )
}

ODD_TEXT = [None, "", " ", "0", "X", "*", "\x00", "a\x00b", "9" * 10_000, "e\u0301" * 9, "ß" * 18, "１" * 18, "²" * 18]
ODD_CODES = [
    "9.13302E+17",
    "9E17",
    "91110000600037341",
    "91110000600037341LL",
    "91110000600037341l",
    "9111000060003IOZSV",
    "91110000600037000",
    "911100006000370000",
    "统一社会信用代码：91110000600037341L",
    "00000000000000000X",
    "123456789012345678",
    "110101********002X",
    "事证第133000000123号",
    "133000000123",
    "事证第000000000000号",
    "320829NA000226X",
    "0000000000000",
    "1111111111111",
    "00000000X",
    "123456785",
    "12345678-5",
    "A1B2C3D4E5F60718",
    "510000190002290019",
    "1900022919000229",
    "6666666666666666666",
    "110105194912310021(1/1)",
    "110105491231002AB",
    "11010549123100212",
    "91350203M0001QKT19",
    "91420500747684391L",
]
ODD_FILLERS = [
    *("11010519491231****", "110105194912310**X", "11010549123100*", "222222228", "AAAAAAAA7", "111111118"),
    *(synthetic_uscc("91", "110000", serial) for serial in ("00000000", "11111111", "AAAAAAAA")),
    *(synthetic_organisation_code(character * 8) for character in "0123ABZ"),
]
ODD_PROSE = [
    "卡6222021234567890128电话13812345678，身份证11010519491231002x\n8613912345678-110105491231002",
    "11010549123100\n",
    "110105491231002\n",
]
ODD = [*ODD_TEXT, *ODD_CODES, *ODD_FILLERS, *ODD_PROSE]


@pytest.fixture(scope="module")
def duck() -> Any:
    with session() as opened:
        yield opened


def _disagreements(duck: Session, name: str, values: list[str | None]) -> list[tuple[Any, Any, Any]]:
    duck.register("sample", pa.table({"position": range(len(values)), "value": pa.array(values, pa.string())}))
    found = duck.arrow(f"SELECT {name}(value) AS verdict FROM sample ORDER BY position").column("verdict").to_pylist()
    twin = TWINS[name]
    return [(v, f, twin(v)) for v, f in zip(values, found, strict=True) if f != twin(v)][:5]


def _mutated(draw: random.Random, code: str, alphabet: str) -> str:
    place = draw.randrange(len(code))
    return code[:place] + draw.choice(alphabet) + code[place + 1 :]


def _region(draw: random.Random) -> str:
    return draw.choice(KNOWN_REGIONS) + f"{draw.randrange(30):02d}"


KNOWN_REGIONS = sorted(regions.prefectures())
PREFIX_LIST = sorted(PREFIXES)
FIRST_BIRTH = date(1895, 1, 1)


def _uscc(draw: random.Random) -> str:
    return synthetic_uscc(draw.choice(PREFIX_LIST), _region(draw), "".join(draw.choices(ALPHABET, k=8)))


def _resident(draw: random.Random) -> str:
    birth = FIRST_BIRTH + timedelta(days=draw.randrange(58_000))
    return synthetic_resident_id(_region(draw), birth, draw.randrange(1000))


def _pilot(draw: random.Random) -> str:
    """A code as the Fujian pilot made it, in Fujian and elsewhere."""
    head = draw.choice(["91", "52"]) + draw.choice(["350203", "350100", "360203"])
    body = head + synthetic_organisation_code(draw.choice(["M0", "M0", "MA"]) + f"{draw.randrange(10**6):06d}")
    total = sum(VALUES[character] * weight for character, weight in zip(body, PILOT_WEIGHTS, strict=False))
    return body + (GB11714_ALPHABET + "*")[-total % 37]


def _other(draw: random.Random) -> str | None:
    kind = draw.randrange(9)
    if kind == 0:
        return synthetic_registration_number(_region(draw), f"{draw.randrange(10**8):08d}")
    if kind == 1:
        identity = _resident(draw)
        return identity[:6] + identity[8:17] + draw.choice(["", "", "01"])
    if kind == 2:
        return _resident(draw) + draw.choice(["01", "X", "*", " "])
    if kind == 3:
        return _region(draw) + synthetic_organisation_code("".join(draw.choices("0123456789ABCDEFGHIZ", k=8)))
    if kind == 4:
        return "".join(draw.choices("0123456789", k=draw.choice([9, 11, 12, 13, 15, 16, 17, 18, 19, 20])))
    if kind == 5:
        return "".join(draw.choices("0123456789X*ABEIOSVZ.+-", k=draw.randrange(25)))
    if kind == 6:
        text = "".join(draw.choices("在北京市的 ，\n12345678901234567890X", k=30))
        return text + draw.choice(["13812345678", "6222021234567890128", _resident(draw), ""]) + draw.choice("号。x\n")
    if kind == 7:
        return _pilot(draw)
    return draw.choice(ODD)


def _sample(size: int) -> list[str | None]:
    """Eight kinds of values: random text of the alphabet, right codes, right codes with one error, and odd ones."""
    draw = random.Random(32100)
    digits, share = "0123456789X", size // 8
    texts: list[str | None] = ["".join(draw.choices(ALPHABET, k=18)) for _ in range(share * 3)]
    codes = [_uscc(draw) for _ in range(share)]
    identities = [_resident(draw) for _ in range(share)]
    texts += codes + [_mutated(draw, code, ALPHABET) for code in codes]
    texts += identities + [_mutated(draw, identity, digits) for identity in identities]
    texts += [_other(draw) for _ in range(size - len(texts))]
    return texts


def test_the_verdict_on_a_million_codes_is_the_same_in_sql_and_python(duck: Session) -> None:
    values = _sample(1_000_000)
    assert len(values) == 1_000_000
    assert _disagreements(duck, "uscc_verdict", values) == []
    assert {uscc_verdict(value) for value in values[::50]} >= {
        None,
        "valid",
        "invalid",
        "issued_nonstandard",
        "person_number",
    }


@pytest.mark.parametrize("name", TWINS)
def test_every_macro_agrees_with_its_twin(duck: Session, name: str) -> None:
    values = _sample(24_000) + ODD
    assert _disagreements(duck, name, values) == []


@pytest.mark.parametrize("name", TWINS)
def test_any_text_gets_an_answer(duck: Session, name: str) -> None:
    @settings(max_examples=8, deadline=None, derandomize=True)
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=40))
    def check(values: list[str | None]) -> None:
        assert _disagreements(duck, name, values) == []

    check()


def test_the_region_tables_of_sql_and_python_are_the_same(duck: Session) -> None:
    heads = [f"{number:04d}" for number in range(10_000)]
    duck.register("heads", pa.table({"head": heads}))
    residents = duck.rows(
        "SELECT head FROM heads WHERE regexp_full_match(head || '00', resident_region_pattern()) ORDER BY head"
    )
    businesses = duck.rows("SELECT head FROM heads WHERE is_business_region(head || '00') ORDER BY head")
    assert [head for (head,) in residents] == [h for h in heads if regions.is_resident_region(h + "00")]
    assert [head for (head,) in businesses] == [h for h in heads if regions.is_business_region(h + "00")]


def test_the_prefix_tables_of_sql_and_python_are_the_same(duck: Session) -> None:
    pairs = [a + b for a in ALPHABET for b in ALPHABET]
    duck.register("pairs", pa.table({"pair": pairs}))
    known = duck.rows("SELECT pair FROM pairs WHERE is_known_prefix(pair)")
    assert {pair for (pair,) in known} == PREFIXES
