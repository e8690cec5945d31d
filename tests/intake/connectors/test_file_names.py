"""Names at a source: every one can be read, and gives back its bytes."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.catalogue.sources import FolderSource
from pipelines.intake.connectors.file_names import NameRules, free_name, readable

DAY = date(2026, 11, 20)


@given(st.binary(min_size=1).filter(lambda raw: b"/" not in raw and b"\0" not in raw))
def test_every_name_can_be_read_and_gives_back_its_bytes(raw: bytes) -> None:
    name = readable(raw)
    assert name.raw == raw
    assert name.text.encode("utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_chinese_names_are_read_in_either_encoding(encoding: str) -> None:
    name = readable("行政处罚_20261120.xlsx".encode(encoding))
    assert (name.text, name.encoding) == ("行政处罚_20261120.xlsx", encoding)
    assert name.called("行政处罚.ok").raw == "行政处罚.ok".encode(encoding)


def test_markers_totals_and_what_was_taken_before_are_no_extracts() -> None:
    source = FolderSource.model_validate(
        {
            "path": "dept",
            "complete": {"marker": "{name}.ok"},
            "totals": {"file": "{stem}_汇总.txt", "rows": "([0-9]+)"},
            "afterwards": {"do": "rename", "suffix": ".done"},
        }
    )
    rules = NameRules(source, DAY)
    found = ["a.csv", "a.csv.ok", "a_汇总.txt", "a.csv.done", "b.csv.ok", "~$a.xlsx", ".a.csv.swp", "a.filepart"]
    assert [name for name in found if rules.is_extract(name)] == ["a.csv"]
    assert (rules.marker("a.b.csv"), rules.totals("a.b.csv")) == ("a.b.csv.ok", "a.b_汇总.txt")
    assert not rules.speaks_for_all("a.csv.ok")


def test_braces_in_a_name_are_not_filled_in() -> None:
    source = FolderSource.model_validate({"path": "dept", "complete": {"marker": "{stem}-{name}.ok"}})
    assert NameRules(source, DAY).marker("{stem}.csv") == "{stem}-{stem}.csv.ok"


def test_a_number_goes_before_the_extension() -> None:
    assert [free_name("a.b.csv", number) for number in range(3)] == ["a.b.csv", "a.b-2.csv", "a.b-3.csv"]
    assert free_name("处罚", 1) == "处罚-2"
