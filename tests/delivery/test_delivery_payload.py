"""What a record looks like on its way, and how long a sender waits."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from delivery_shop import PENALTY
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Endpoint, Retry
from pipelines.delivery.backoff import delay
from pipelines.delivery.packages import package_id
from pipelines.delivery.payload import PayloadError, record_data, renamed

PERSON = PENALTY | {"CF_XDR_ZJLX": "护照号", "CF_XDR_ZJHM": "E00000000"}


def test_all_values_become_text(catalogue: Catalogue, endpoint: Endpoint) -> None:
    data = record_data(PENALTY | {"BZ": "", "CF_GSJZQ": None}, catalogue.categories["administrative_penalty"], endpoint)
    assert data["CF_JDRQ"] == "2026/11/12"
    assert data["CF_YXQ"] == "2099/12/31"
    assert data["CF_NR_FK"] == "0.2"
    assert not {"BZ", "CF_GSJZQ"} & set(data)
    assert all(isinstance(value, str) for value in data.values())


def test_dates_follow_the_endpoint(catalogue: Catalogue, endpoint: Endpoint) -> None:
    other = endpoint.model_copy(update={"date_format": "%Y-%m-%d"})
    data = record_data(PENALTY, catalogue.categories["administrative_penalty"], other)
    assert data["CF_JDRQ"] == "2026-11-12"


def test_columns_that_are_no_fields_stay_at_home(catalogue: Catalogue, endpoint: Endpoint) -> None:
    data = record_data(PENALTY | {"record_key": "x"}, catalogue.categories["administrative_penalty"], endpoint)
    assert "record_key" not in data


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, True),
        ({"restricted_fields": "drop"}, False),
        ({"audience": "public"}, False),
    ],
    ids=["sharing platform", "sharing platform that wants none", "public"],
)
def test_restricted_fields_go_where_they_may(
    catalogue: Catalogue, endpoint: Endpoint, changes: dict[str, str], sent: bool
) -> None:
    data = record_data(PERSON, catalogue.categories["administrative_penalty"], endpoint.model_copy(update=changes))
    assert ("CF_XDR_ZJHM" in data) is sent


def test_no_description_sends_restricted_fields_to_the_public(endpoint: Endpoint) -> None:
    with pytest.raises(ValidationError, match="restricted_fields"):
        Endpoint.model_validate(endpoint.model_dump() | {"audience": "public"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("CF_JDRQ", "2026/11/12"),
        ("CF_JDRQ", datetime(2026, 11, 12)),  # noqa: DTZ001 - a day is wanted, not an instant
        ("CF_NR_FK", "0.2"),
        ("CF_NR_FK", 0.2),
        ("CF_NR_FK", Decimal("NaN")),
        ("CF_XDR_MC", 12),
    ],
)
def test_a_value_of_the_wrong_type_is_named_and_not_shown(
    catalogue: Catalogue, endpoint: Endpoint, field: str, value: object
) -> None:
    with pytest.raises(PayloadError, match=field) as caught:
        record_data(PENALTY | {field: value}, catalogue.categories["administrative_penalty"], endpoint)
    assert caught.value.field == field
    assert str(value) not in str(caught.value)


@given(st.decimals(min_value=0, max_value=10**11, places=6))
def test_amounts_keep_their_value_and_never_get_an_exponent(
    catalogue: Catalogue, endpoint: Endpoint, amount: Decimal
) -> None:
    data = record_data(PENALTY | {"CF_NR_FK": amount}, catalogue.categories["administrative_penalty"], endpoint)
    assert Decimal(data["CF_NR_FK"]) == amount
    assert "E" not in data["CF_NR_FK"].upper()


def test_fields_get_the_names_of_the_endpoint_per_category(catalogue: Catalogue, endpoint: Endpoint) -> None:
    penalty, licence = (catalogue.categories[f"administrative_{name}"] for name in ("penalty", "licence"))
    other = endpoint.model_copy(update={"fields": {"administrative_penalty": {"CF_WSH": "wsh"}}})
    data = {"CF_WSH": "1", "CF_SY": "2"}
    assert renamed(data, penalty, other) == {"wsh": "1", "CF_SY": "2"}
    assert renamed(data, licence, other) == data


def test_a_package_id_depends_on_what_is_inside_and_not_on_its_order() -> None:
    assert package_id(["a", "b"]) == package_id(["b", "a"])
    assert package_id(["a", "b"]) != package_id(["a", "c"])
    assert package_id(["ab"]) != package_id(["a", "b"])


def test_the_back_off_doubles_up_to_its_limit() -> None:
    retry = Retry(attempts=9, first_seconds=0.5, factor=2, longest_seconds=3)
    assert [delay(attempt, retry) for attempt in range(1, 6)] == [
        timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 3, 3)
    ]
    with pytest.raises(ValueError, match="from 1"):
        delay(0, retry)


@given(st.integers(1, 10**9), st.floats(1, 1e6), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_the_back_off_never_exceeds_its_limit_and_never_falls(
    attempt: int, factor: float, first: float, longest: float
) -> None:
    retry = Retry(first_seconds=first, factor=factor, longest_seconds=longest)
    assert timedelta() <= delay(attempt, retry) <= delay(attempt + 1, retry) <= timedelta(seconds=longest)
