"""A report points at the cell that a value came from, also where the value was joined, split or of an older edition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.feeds import Feed
from pipelines.engine.rows import RowsPart
from pipelines.reporting.run_files import RunFiles
from pipelines.reporting.source_columns import all_source_columns, source_columns_of_fields
from pipelines.settings import Settings

CATEGORY = load_catalogue(Settings()).categories["administrative_penalty"]


def feed(**said: Any) -> Feed:
    fixed = {"feed": "a_b", "name_zh": "测试", "category": "administrative_penalty", "edition": 2018}
    return Feed.model_validate({**fixed, "source": {"kind": "folder", "path": "a_b"}, **said})


def files(*parts: tuple[str, tuple[str, ...]]) -> RunFiles:
    return RunFiles(
        Path("run"),
        tuple(
            RowsPart("0" * 64, name, "", Path(f"{number}.parquet"), columns, number, 1, 2)
            for number, (name, columns) in enumerate(parts)
        ),
    )


def test_joined_split_and_reused_columns() -> None:
    said = feed(
        columns={
            "CF_CFLB": {"join": ["类别二", "类别一"]},
            "CF_CFJG": {"column": "机关", "split": {"by": "/", "part": 1}},
            "CF_SJLY": {"column": "机关", "constant": "甲局"},
            "CF_SJLYDM": {"constant": "11119900MA9900028H"},
        }
    )
    found = files(("一.csv", ("序号", "类别一", "类别二", "机关", "当事人")))
    assert source_columns_of_fields(said, CATEGORY, found) == {"CF_CFLB": 2, "CF_CFJG": 3, "CF_SJLY": 3, "CF_XDR_MC": 4}
    assert all_source_columns(said, CATEGORY, found)["CF_CFLB"] == (2, 1)


def test_an_older_edition_and_its_status() -> None:
    found = files(
        ("一.csv", ("序号", "CF_XDR", "行政相对人代码_2", "行政相对人代码_3", "CF_CFLB2", "CF_CFLB1", "CF_ZT"))
    )
    assert source_columns_of_fields(feed(edition=2016), CATEGORY, found) == {
        "CF_XDR_MC": 1,
        "CF_XDR_ZZJG": 2,
        "CF_XDR_GSZC": 3,
        "CF_CFLB": 5,
        "CF_ZT": 6,
    }


def test_extracts_with_columns_of_their_own() -> None:
    said = feed(
        columns={"CF_XDR_MC": "名称"}, extracts=[{"match": "二*", "columns": {"CF_XDR_MC": "企业", "BZ": "企业"}}]
    )
    found = files(("一.csv", ("名称", "备注")), ("二.csv", ("企业", "名称")))
    assert all_source_columns(said, CATEGORY, found) == {"CF_XDR_MC": (0, 2), "BZ": (1, 2)}
