"""What a trace shows of a source row, and what it masks."""

from __future__ import annotations

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.feeds import ExtractSettings
from pipelines.catalogue.mappings import Column
from pipelines.ledger.models import Extract
from pipelines.operations.trace import feeds_of, restricted_columns
from pipelines.settings import Settings


def test_columns_of_restricted_fields_are_masked_whatever_they_are_called() -> None:
    catalogue = load_catalogue(Settings())
    feed = catalogue.feed("market_penalty")
    category = catalogue.category_of(feed)
    own = feed.model_copy(update={"columns": {**feed.columns, "CF_XDR_ZJHM": Column(column="编号二")}})
    columns = ["行政相对人名称", "编号二", "证件号码", "法定代表人身份证号", "处罚内容"]
    assert restricted_columns(own, category, columns) == {"编号二", "证件号码", "法定代表人身份证号"}
    assert "编号二" not in restricted_columns(feed, category, columns)


def test_columns_that_a_restricted_field_is_made_of_are_masked_too() -> None:
    catalogue = load_catalogue(Settings())
    feed = catalogue.feed("market_penalty")
    category = catalogue.category_of(feed)
    joined, split = (
        Column(join=("号码前段", "号码后段")),
        Column.model_validate({"column": "负责人", "split": {"by": ",", "part": 2}}),
    )
    own = feed.model_copy(update={"columns": {"CF_XDR_ZJHM": joined, "CF_FR_ZJHM": split, "CF_FRDB": "负责人"}})
    columns = ["号码前段", "号码后段", "负责人", "处罚内容"]
    assert restricted_columns(own, category, columns) == {"号码前段", "号码后段", "负责人"}


def test_a_mapping_that_holds_for_one_entry_of_an_archive_is_known() -> None:
    catalogue = load_catalogue(Settings())
    feed = catalogue.feed("market_penalty")
    own = ExtractSettings(match="乙.csv", columns={"CF_XDR_ZJHM": "编号二"})
    extract = Extract(sha256="0" * 64, name="报送.zip")
    names = ("报送.zip/甲.csv", "报送.zip/乙.csv")
    manifest = {"parts": [{"extract": "0" * 64, "extract_name": name} for name in names]}
    found = feeds_of(feed.model_copy(update={"extracts": (own,)}), manifest, extract)
    category = catalogue.category_of(feed)
    assert any("编号二" in restricted_columns(entry, category, ["编号二"]) for entry in found)
    assert not any("编号二" in restricted_columns(entry, category, ["编号二"]) for entry in feeds_of(feed, {}, extract))


def test_the_identity_column_of_an_older_edition_is_masked_whatever_the_feed_declares() -> None:
    catalogue = load_catalogue(Settings())
    feed = catalogue.feed("market_penalty")
    category = catalogue.category_of(feed)
    columns = ["CF_XDR_SFZ", "行政相对人代码_5", "CF_XDR_ZDM"]
    for edition in (2016, 2018):
        declared = feed.model_copy(update={"columns": {}, "edition": edition})
        assert "CF_XDR_SFZ" in restricted_columns(declared, category, columns[:1])
        assert "行政相对人代码_5" in restricted_columns(declared, category, columns[1:])
    assert restricted_columns(None, category, ["证件号码"]) == {"证件号码"}
