"""Which cell a correction of a field overwrites, and which fields no cell can mend."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.correctable import Target, correction_targets
from pipelines.catalogue.feeds import Feed
from pipelines.settings import Settings

CATEGORY = load_catalogue(Settings()).categories["administrative_penalty"]


def feed(**said: Any) -> Feed:
    fixed = {"feed": "a_b", "name_zh": "测试", "category": "administrative_penalty", "edition": 2018}
    return Feed.model_validate({**fixed, "source": {"kind": "folder", "path": "a_b"}, **said})


@pytest.mark.parametrize(
    ("columns", "said", "field", "target"),
    [
        (("当事人名称",), {"columns": {"CF_XDR_MC": "当事人名称"}}, "CF_XDR_MC", Target("当事人名称")),
        (("名称",), {}, "CF_WSH", Target(None, "absent")),
        (("名称",), {"columns": {"CF_SJLY": {"constant": "甲局"}}}, "CF_SJLY", Target(None, "constant")),
        (("机关",), {"columns": {"CF_CFJG": {"column": "机关", "constant": "甲局"}}}, "CF_CFJG", Target("机关")),
        (("一", "二"), {"columns": {"CF_NR": {"join": ["一", "二"]}}}, "CF_NR", Target(None, "joined")),
        (
            ("机关",),
            {"columns": {"CF_CFJG": {"column": "机关", "split": {"by": "/", "part": 1}}}},
            "CF_CFJG",
            Target(None, "split"),
        ),
        (
            ("机关",),
            {"columns": {"CF_CFJG": {"column": "机关", "split": {"by": "/", "part": 1}}, "CF_SJLY": "机关"}},
            "CF_SJLY",
            Target(None, "shared"),
        ),
        (("罚款",), {"columns": {"CF_NR_FK": {"column": "罚款", "unit": "元"}}}, "CF_NR_FK", Target("罚款", unit="元")),
        (("罚款(元)",), {"columns": {"CF_NR_FK": "罚款(元)"}}, "CF_NR_FK", Target("罚款(元)", unit="元")),
    ],
)
def test_the_cell_of_a_field(columns: tuple[str, ...], said: dict[str, Any], field: str, target: Target) -> None:
    assert correction_targets(columns, feed(**said), CATEGORY)[field] == target


def test_the_status_of_an_older_edition_can_be_corrected() -> None:
    targets = correction_targets(("CF_XDR", "CF_ZT"), feed(edition=2016), CATEGORY)
    assert targets["CF_ZT"] == Target("CF_ZT")
