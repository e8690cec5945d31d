"""The catalogue loads whole, and a typo in any file is named with file and line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.feeds import feed_schedules
from pipelines.catalogue.headers import normalise_header
from pipelines.errors import CatalogueError
from pipelines.settings import Settings
from tests.catalogue.conftest import edit


def load(schemas: Path) -> None:
    catalogue = load_catalogue(Settings(root=schemas.parent))
    for feed in catalogue.feed_codes:
        catalogue.feed(feed)


def test_the_projects_own_catalogue_loads() -> None:
    catalogue = load_catalogue(Settings())
    assert len(catalogue.categories["administrative_licence"].fields) == 28
    assert len(catalogue.categories["administrative_penalty"].fields) == 30
    assert {len(t.columns) for c in catalogue.categories.values() for t in c.templates} == {24, 18, 26, 20}
    assert catalogue.feeds


@pytest.mark.parametrize(("category", "table"), [("licence", "fields_xk.csv"), ("penalty", "fields_cf.csv")])
def test_categories_say_what_the_field_tables_say(shared: Path, category: str, table: str) -> None:
    loaded = load_catalogue(Settings()).categories[f"administrative_{category}"]
    required = {"Y": "always", "C": "conditional", "N": "optional"}
    rows = list(csv.DictReader((shared / table).open(encoding="utf-8")))
    assert [field.code for field in loaded.fields] == [row["code"] for row in rows]
    for field, row in zip(loaded.fields, rows, strict=True):
        assert field.name_zh == row["name_zh"]
        assert field.required == required[row["required"]]
        if field.length is not None:
            assert str(field.length) == row["max_len"]


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("departments/market/penalty.yaml", "category: administrative_penalty", "category: penalties", "penalties"),
        ("departments/market/penalty.yaml", "edition: 2018", "edition: 2017", "2017"),
        ("departments/market/penalty.yaml", "  path:", "  pth:", "pth"),
        ("departments/market/penalty.yaml", "  path: ", "  path: ../", "below the inbox"),
        ("departments/market/penalty.yaml", "province_sandbox", "nowhere", "nowhere"),
        ("categories/administrative_penalty.yaml", "type: date", "type: day", "type"),
        ("categories/administrative_penalty.yaml", "code_list: penalty_class", "code_list: penalties", "penalties"),
        ("categories/administrative_licence.yaml", "  - code: XK_XDR_LB", "  - code: XK_XDR_MC", "twice"),
        ("code_lists/penalty_class.yaml", 'code: "1"', 'code: "0"', "two entries"),
        ("endpoints/province_sandbox.yaml", "protocol: rest", "protocol: carrier_pigeon", "protocol"),
        ("endpoints/province_sandbox.yaml", "url: http://", "url: ftp://", "begins with https://"),
        ("endpoints/province_sandbox.yaml", "url: http://", "url: http://me:hidden@", "user or password"),
        ("endpoints/province_sandbox.yaml", "/{package}/", "/{packet}/", "{packet}"),
        ("endpoints/province_sandbox.yaml", '"%Y/%m/%d"', '"%Y/%M/%d"', "%M"),
        ("endpoints/province_sandbox.yaml", "_variable: GUIJI_PROVINCE_TOKEN", "_variable: t0k-en", "variable"),
        ("endpoints/province_sandbox.yaml", 'accepted: ["1"]', 'accepted: ["4"]', "two meanings"),
        ("endpoints/province_sandbox.yaml", "package_size: 500", "fields: {x_licence: {}}", "x_licence"),
        ("code_lists/penalty_class.yaml", "title: 处罚类别", "title: '处罚' 类别", "not valid YAML"),
    ],
)
def test_a_typo_is_named_with_file_and_line(schemas: Path, file: str, old: str, new: str, words: str) -> None:
    line = edit(schemas / file, old, new)
    with pytest.raises(CatalogueError) as caught:
        load(schemas)
    assert caught.value.file == str(schemas / file)
    assert words in str(caught.value)
    assert caught.value.line is not None
    assert abs(caught.value.line - line) <= 1
    assert caught.value.remedy


def test_two_files_never_describe_one_endpoint(schemas: Path) -> None:
    path = schemas / "endpoints/province_sandbox.yaml"
    path.with_name("second.yaml").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(CatalogueError, match="describes the endpoint province_sandbox already"):
        load(schemas)


def test_a_day_that_is_in_no_calendar_is_named_with_its_line(schemas: Path) -> None:
    path = schemas / "endpoints/province_sandbox.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "since: [2026-06-30, {until: 2026-06-31}]\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match="mend the date") as caught:
        load(schemas)
    assert caught.value.line == text.count("\n") + 1


def test_a_field_that_a_feed_invents_is_named(schemas: Path) -> None:
    path = schemas / "departments/market/licence.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\nvalues:\n  XK_NOTHING: {a: b}\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match="XK_NOTHING"):
        load(schemas)


def test_a_repeated_key_is_an_error(schemas: Path) -> None:
    path = schemas / "departments/market/licence.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\nedition: 2018\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match="stands twice"):
        load(schemas)


def test_headers_are_compared_without_typing_habits() -> None:
    spellings = [
        "行政相对人代码_1 (统一社会信用代码)",
        "行政相对人代码＿1（统一社会信用代码）",
        " 行政相对人代码1(统一社会 信用代码）\n",
    ]
    assert len({normalise_header(text) for text in spellings}) == 1
    assert normalise_header("文,号") == normalise_header("文号")


def test_a_wrong_feed_file_stops_that_feed_only(schemas: Path) -> None:
    edit(schemas / "departments/market/penalty.yaml", "category:", "categori:")
    settings = Settings(root=schemas.parent)
    catalogue = load_catalogue(settings)
    assert "market_penalty" in catalogue.feed_codes
    assert set(catalogue.broken_feeds) == {"market_penalty"}
    assert catalogue.feed("market_licence").feed == "market_licence"
    assert feed_schedules(settings).keys() == set(catalogue.feed_codes)
