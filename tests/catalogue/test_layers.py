"""Defaults, department, feed, single extract: the most specific wins, and everybody can ask who decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.catalogue import catalogue as loading
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.feeds import Feed, feed_schedules
from pipelines.catalogue.layers import Decision, explain
from pipelines.catalogue.mappings import Column
from pipelines.errors import CatalogueError
from pipelines.settings import Settings

FEED = {
    "feed": "roads_penalty",
    "name_zh": "交通局行政处罚",
    "category": "administrative_penalty",
    "edition": 2018,
    "source": {"kind": "folder", "path": "roads_penalty/{date}"},
}
DEPARTMENT = {"department": "roads", "name_zh": "示例市交通局", "uscc": "11119900MA9900028H"}


class Layered:
    """A catalogue with one more department, whose layers a test writes itself."""

    def __init__(self, schemas: Path) -> None:
        self.schemas = schemas
        self.settings = Settings(root=schemas.parent)
        self.department = schemas / "departments" / "roads" / "department.yaml"
        self.feed_file = self.department.with_name("penalty.yaml")
        self.defaults = schemas / "defaults.yaml"
        self.department.parent.mkdir()

    def write(self, *, defaults: Any = None, department: Any = None, **feed: Any) -> None:
        if defaults is not None:
            _dump(self.defaults, defaults)
        _dump(self.department, {**DEPARTMENT, **({} if department is None else {"feeds": department})})
        _dump(self.feed_file, {**FEED, **feed})
        loading._load.cache_clear()

    def load(self) -> Feed:
        return load_catalogue(self.settings).feed("roads_penalty")

    def explain(self, field: str, **more: Any) -> list[Decision]:
        return explain(self.settings, "roads_penalty", field, **more)


def _dump(path: Path, data: Any) -> None:
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")


def line_of(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if text in line)


@pytest.fixture
def layered(schemas: Path) -> Layered:
    return Layered(schemas)


def test_the_most_specific_layer_wins_key_by_key(layered: Layered) -> None:
    layered.write(
        defaults={
            "schedule": "0 3 * * *",
            "format": {"encoding": "gb18030", "delimiter": "tab"},
            "columns": {"CF_SJLY": {"constant": "默认局"}, "CF_CFJG": {"constant": "默认机关"}},
            "values": {"CF_XDR_LB": {"A": "自然人", "B": "自然人"}},
            "volume": {"factor": 5, "batches": 4},
        },
        department={
            "format": {"delimiter": "semicolon", "archive": {"entries": "*.csv"}},
            "columns": {"CF_SJLY": {"constant": "交通局"}, "CF_SJLYDM": {"constant": "11119900MA9900028H"}},
            "values": {"CF_XDR_LB": {"B": "个体工商户"}},
            "volume": {"factor": 2},
            "endpoints": ["province_sandbox"],
        },
        format={"header_row": 2},
        columns={"CF_CFJG": "处罚单位"},
        values={"CF_XDR_LB": {"C": "法人及非法人组织"}},
    )
    feed = layered.load()
    assert feed.schedule == "0 3 * * *"
    assert (feed.format.encoding, feed.format.delimiter, feed.format.header_row) == ("gb18030", "semicolon", 2)
    assert feed.format.archive.entries == "*.csv"
    assert feed.column("CF_SJLY") == Column(constant="交通局")
    assert feed.column("CF_SJLYDM") == Column(constant="11119900MA9900028H")
    # The filling of a field is one thing: a constant of the defaults does not stay behind the feed's column.
    assert feed.column("CF_CFJG") == Column(column="处罚单位")
    assert feed.values["CF_XDR_LB"] == {"A": "自然人", "B": "个体工商户", "C": "法人及非法人组织"}
    assert (feed.volume.factor, feed.volume.batches) == (2, 4)
    assert feed.endpoints == ("province_sandbox",)
    assert feed_schedules(layered.settings)["roads_penalty"] == "0 3 * * *"


def test_lists_are_replaced_not_added_to(layered: Layered) -> None:
    exclusion = {"column": "程序", "values": ["简易"], "reason_zh": "简易程序"}
    layered.write(department={"endpoints": ["province_sandbox"], "exclude": [exclusion]}, endpoints=[])
    assert layered.load().endpoints == ()
    assert len(layered.load().exclude) == 1


def test_a_source_is_merged_only_with_one_of_its_kind(layered: Layered) -> None:
    shared = {
        "kind": "sftp",
        "host": "files.example",
        "user": "guiji",
        "password_variable": "SFTP_PASSWORD",
        "known_hosts_variable": "SFTP_KNOWN_HOSTS",
        "retries": {"attempts": 9, "first_seconds": 2},
    }
    layered.write(department={"source": shared}, source={"path": "out", "retries": {"attempts": 3}})
    source = layered.load().source
    assert source.kind == "sftp"
    assert (source.host, source.path, source.retries.attempts, source.retries.first_seconds) == (
        "files.example",
        "out",
        3,
        2,
    )
    layered.write(department={"source": shared}, source={"kind": "folder", "path": "in"})
    assert layered.load().source.kind == "folder"


def test_what_a_department_says_of_other_categories_does_not_reach_a_feed(layered: Layered) -> None:
    layered.write(
        department={
            "columns": {"CF_SJLY": {"constant": "交通局"}, "XK_LYDW": {"constant": "交通局"}},
            "values": {"XK_ZT": {"在用": "1"}, "CF_ZT": {"在用": "正常"}},
        }
    )
    feed = layered.load()
    assert set(feed.columns) == {"CF_SJLY"}
    assert feed.values == {}
    layered.write(columns={"XK_LYDW": {"constant": "交通局"}})
    with pytest.raises(CatalogueError, match="XK_LYDW is no field"):
        layered.load()


@pytest.mark.parametrize(
    ("layer", "said", "text"),
    [
        ("defaults", {"schedul": "0 3 * * *"}, "schedul"),
        ("defaults", {"format": {"encoding": "utf-16"}}, "encoding"),
        ("defaults", {"columns": {"CF_NICHTS": {"constant": "a"}}}, "CF_NICHTS"),
        ("department", {"name_zh": "甲"}, "name_zh: 甲"),
        ("department", {"category": "administrative_penalty"}, "category"),
        ("department", {"extracts": []}, "extracts"),
        ("department", {"format": {"delimeter": "tab"}}, "delimeter"),
        ("department", {"columns": {"CF_SJLY": {"join": ["甲"]}}}, "CF_SJLY"),
        ("department", {"values": {"CF_CFLB": {"甲": "乙"}}}, "甲"),
        ("department", {"edition": 1999}, "edition"),
        ("department", {"endpoints": ["nowhere"]}, "endpoints"),
    ],
)
def test_what_is_wrong_is_named_with_the_file_and_line_of_its_layer(
    layered: Layered, layer: str, said: Any, text: str
) -> None:
    layered.write(**{layer: said}, edition=2018)
    if "edition" in said:
        content = {key: value for key, value in FEED.items() if key != "edition"}
        _dump(layered.feed_file, content)
    with pytest.raises(CatalogueError) as wrong:
        layered.load()
    path = layered.defaults if layer == "defaults" else layered.department
    assert wrong.value.file == str(path)
    assert wrong.value.line is not None
    assert abs(wrong.value.line - line_of(path, text)) <= 1


def test_a_wrong_department_layer_value_stops_only_its_own_feeds(layered: Layered) -> None:
    layered.write(department={"format": {"delimiter": "komma"}})
    catalogue = load_catalogue(layered.settings)
    assert set(catalogue.broken_feeds) == {"roads_penalty"}
    assert feed_schedules(layered.settings)["roads_penalty"] == "0 1 * * *"


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"format": {"kind": "pdf"}}, "format"),
        ({"format": {"kaind": "csv"}}, "format"),
        ({"columns": {"CF_NICHTS": "甲"}}, "CF_NICHTS"),
        ({"values": {"CF_CFLB": {"甲": "乙"}}}, "乙"),
        ({"edition": 1999}, "1999"),
        ({"edition": 2016, "values": {"CF_ZT": {"在用": "0"}}}, "in words"),
    ],
)
def test_settings_of_single_extracts_are_checked_when_they_are_read(
    layered: Layered, own: dict[str, Any], words: str
) -> None:
    layered.write(extracts=[{"match": "*.csv"}, {"match": "*.xlsx", **own}])
    with pytest.raises(CatalogueError, match=words) as wrong:
        layered.load()
    assert wrong.value.file == str(layered.feed_file)
    assert (wrong.value.line or 0) >= line_of(layered.feed_file, "*.xlsx")


def test_every_layer_is_explained_the_most_specific_first(layered: Layered) -> None:
    layered.write(
        defaults={"columns": {"CF_SJLY": {"constant": "默认局"}}},
        department={"columns": {"CF_SJLY": {"constant": "交通局"}}},
        columns={"CF_SJLY": {"column": "来源", "constant": "本局"}},
        extracts=[{"match": "一*", "columns": {"CF_SJLY": "一"}}, {"match": "一月*", "columns": {"CF_SJLY": "一月"}}],
    )
    told = layered.explain("CF_SJLY", extract_name="一月.csv")
    assert [(d.layer, d.what) for d in told] == [
        ("extract", "column 一月 (extracts 一月*)"),
        ("extract", "column 一 (extracts 一*)"),
        ("feed", 'column 来源, "本局" where it is empty'),
        ("department", 'constant "交通局"'),
        ("defaults", 'constant "默认局"'),
        ("category", "a column called 数据来源单位, 来源单位, 数据来源"),
    ]
    assert [d.decides for d in told] == [True, *[False] * 5]
    assert [d.file for d in told[1:5]] == [layered.feed_file, layered.feed_file, layered.department, layered.defaults]
    assert told[3].line == line_of(layered.department, "CF_SJLY")
    assert told[1].line == line_of(layered.feed_file, "match: 一*") + 2
    assert [d.layer for d in layered.explain("数据来源单位", extract_name="二月.csv") if d.decides] == ["feed"]
    assert layered.explain("CF_SJLY")[0].layer == "feed"


def test_values_are_explained_one_by_one(layered: Layered) -> None:
    layered.write(
        department={"values": {"CF_XDR_LB": {"A": "自然人", "B": "自然人"}}}, values={"CF_XDR_LB": {"B": "个体工商户"}}
    )
    told = [(d.layer, d.what, d.decides) for d in layered.explain("CF_XDR_LB") if "means" in d.what]
    assert told == [
        ("department", "A means 自然人", True),
        ("feed", "B means 个体工商户", True),
        ("department", "B means 自然人", False),
    ]


def test_the_columns_of_an_extract_say_which_header_decided(layered: Layered) -> None:
    layered.write()
    (told,) = layered.explain("CF_XDR_MC", columns=("序号", "当事人"))
    assert (told.layer, told.what, told.decides) == (
        "category",
        "column 当事人 by a header that the category knows",
        True,
    )
    assert not any(d.decides for d in layered.explain("CF_XDR_MC", columns=("序号",)))


def test_an_older_edition_is_explained_by_its_own_codes(layered: Layered) -> None:
    layered.write(edition=2016)
    told = layered.explain("CF_XDR_ZZJG")
    assert told[0].layer == "edition"
    assert told[0].what == "edition 2016: CF_XDR_ZDM 行政相对人代码_2(组织机构代码) → CF_XDR_ZZJG"
    assert told[0].file.name == "administrative_penalty_2016.yaml"
    assert told[0].line == line_of(told[0].file, "CF_XDR_ZZJG: CF_XDR_ZDM")
    assert "CF_CFLB1 处罚类别1 + CF_CFLB2 处罚类别2 → CF_CFLB" in layered.explain("CF_CFLB")[0].what
    assert layered.explain("CF_ZT")[0].layer == "edition"
    assert any("ENUM-005" in d.what and d.decides for d in layered.explain("CF_XDR_ZJLX"))
    by_header = layered.explain("CF_XDR_GSZC", columns=("当事人", "工商注册号"))
    assert [d.layer for d in by_header if d.decides] == ["category"]


def test_settings_are_explained_too(layered: Layered) -> None:
    layered.write(department={"format": {"encoding": "gb18030"}}, format={"encoding": "utf-8"})
    told = layered.explain("format.encoding")
    assert [(d.layer, d.what, d.decides) for d in told] == [("feed", "utf-8", True), ("department", "gb18030", False)]


def test_an_unknown_field_is_refused(layered: Layered) -> None:
    layered.write()
    with pytest.raises(CatalogueError, match="CF_NICHTS"):
        layered.explain("CF_NICHTS")
    layered.write(kategory="administrative_penalty")
    with pytest.raises(CatalogueError, match="kategory"):
        layered.explain("CF_SJLY")
