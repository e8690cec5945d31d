"""What a trace shows of a source row, and what it masks."""

from __future__ import annotations

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.mappings import Column
from pipelines.operations.trace import restricted_columns
from pipelines.settings import Settings


def test_columns_of_restricted_fields_are_masked_whatever_they_are_called() -> None:
    catalogue = load_catalogue(Settings())
    feed = catalogue.feed("market_penalty")
    category = catalogue.category_of(feed)
    own = feed.model_copy(update={"columns": {**feed.columns, "CF_XDR_ZJHM": Column(column="编号二")}})
    columns = ["行政相对人名称", "编号二", "证件号码", "法定代表人身份证号", "处罚内容"]
    assert restricted_columns(own, category, columns) == {"编号二", "证件号码", "法定代表人身份证号"}
    assert "编号二" not in restricted_columns(feed, category, columns)
