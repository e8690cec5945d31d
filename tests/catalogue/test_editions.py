"""Older editions are data; what is wrong in one is named, and a header is read by the declared edition only."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header, numbered_code, stated_unit
from pipelines.catalogue.origins import field_origins
from pipelines.errors import CatalogueError
from pipelines.settings import Settings
from tests.catalogue.conftest import edit

LICENCE, PENALTY = "administrative_licence", "administrative_penalty"

# The mapping of the domain reference, 1.5, written down once more.
FILLED_FROM = {
    PENALTY: {
        "CF_CFLB": ("CF_CFLB1", "CF_CFLB2"),
        "CF_SY": ("CF_SY",),
        "CF_NR": ("CF_JG",),
        "CF_XDR_ZZJG": ("CF_XDR_ZDM",),
        "CF_XDR_GSZC": ("CF_XDR_GSDJ",),
        "CF_XDR_SWDJ": ("CF_XDR_SWDJ",),
        "CF_XDR_ZJHM": ("CF_XDR_SFZ",),
        "CF_FRDB": ("CF_FR",),
        "CF_CFJG": ("CF_XZJG",),
        "CF_XDR_MC": ("CF_XDR_MC",),
    },
    LICENCE: {
        "XK_XKWS": ("XK_XMMC",),
        "XK_XKLB": ("XK_SPLB",),
        "XK_YXQZI": ("XK_JZQ",),
        "XK_XDR_ZZJG": ("XK_XDR_ZDM",),
        "XK_XDR_GSZC": ("XK_XDR_GSDJ",),
        "XK_XDR_SWDJ": ("XK_XDR_SWDJ",),
        "XK_XDR_ZJHM": ("XK_XDR_SFZ",),
        "XK_FRDB": ("XK_FR",),
        "XK_XKJG": ("XK_XZJG",),
        "XK_XDR_MC": ("XK_XDR",),
    },
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(Settings())


def feed(category: str, edition: int) -> Feed:
    said = {"feed": "a_b", "name_zh": "测试", "category": category, "edition": edition}
    return Feed.model_validate({**said, "source": {"kind": "folder", "path": "a_b"}})


@pytest.mark.parametrize("category", [PENALTY, LICENCE])
def test_edition_2016_fills_the_fields_of_2018(catalogue: Catalogue, category: str) -> None:
    edition = catalogue.categories[category].editions[2016]
    for field, codes in FILLED_FROM[category].items():
        how = edition.column(field)
        assert how is not None
        assert how.sources == codes
    assert [(state.code, state.means) for state in edition.status.states] == [
        ("0", "valid"),
        ("1", "revoked"),
        ("2", "withheld"),
        ("3", "withheld"),
    ]


@pytest.mark.parametrize("category", [PENALTY, LICENCE])
def test_every_column_of_2016_is_taken_dropped_or_shown(catalogue: Catalogue, category: str) -> None:
    """What nothing takes is reported as unmapped: only who may see a row and how bad it is, for a person to decide."""
    edition = catalogue.categories[category].editions[2016]
    taken = {source for field in edition.columns for source in (edition.column(field) or edition).sources}  # type: ignore[union-attr]
    left = set(edition.field_codes) - taken - set(edition.dropped) - {edition.timestamp, edition.status.column}
    assert left == ({"CF_SYFW", "CF_SXYZCD"} if category == PENALTY else {"XK_SYFW"})


@pytest.mark.parametrize(
    ("edition", "second", "third"), [(2016, "CF_XDR_ZZJG", "CF_XDR_GSZC"), (2018, "CF_XDR_GSZC", "CF_XDR_ZZJG")]
)
def test_the_number_alone_means_what_the_declared_edition_says(
    catalogue: Catalogue, edition: int, second: str, third: str
) -> None:
    columns = ["行政相对人代码＿2", "行政相对人代码3"]
    fields = field_origins(columns, feed(PENALTY, edition), catalogue.categories[PENALTY]).fields
    assert {code: origin.columns for code, origin in fields.items()} == {second: (columns[0],), third: (columns[1],)}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("CF_NR: CF_JG", "CF_NR: CF_JGG", "CF_JGG"),
        ("CF_NR: CF_JG", "CF_NRR: CF_JG", "CF_NRR"),
        ("dropped: [CF_CFMC,", "dropped: [CF_CFM,", "CF_CFM"),
        ("timestamp: SJC", "timestamp: SJCC", "SJCC"),
        ("  column: CF_ZT", "  column: CF_ZTT", "CF_ZTT"),
        ("means: valid", "means: good", "means"),
        (", rule: STATUS-002}", "}", "rule"),
        ("      reason_zh: 2016", "      reason_en: 2016", "reason_en"),
        ("  empty_rule: STATUS-003\n", "", "empty_rule"),
        ('{code: "2", name: 异议,', '{code: "1", name: 异议,', "spelling"),
        ("field: CF_XDR_LB", "field: CF_XDR_ZJLX", "two assumptions"),
        ("{field: CF_XDR_ZJLX,", "{field: CF_XDR_ZJLXX,", "CF_XDR_ZJLXX"),
        ("aliases: [处罚类别二]", "aliases: [处罚类别]", "处罚类别 belongs to"),
        ("edition: 2016", "edition: 2019", "later edition"),
        ("edition: 2016", "edition: 2015", "2015"),
        ("category: administrative_penalty", "category: penalties", "penalties"),
    ],
)
def test_what_is_wrong_in_an_edition_is_named(schemas: Path, old: str, new: str, words: str) -> None:
    path = schemas / "editions" / "administrative_penalty_2016.yaml"
    line = edit(path, old, new)
    with pytest.raises(CatalogueError, match=words) as wrong:
        load_catalogue(Settings(root=schemas.parent))
    assert wrong.value.file == str(path)
    assert wrong.value.line is not None
    assert wrong.value.line <= line + 1


def test_a_state_that_stands_is_written_as_its_field_wants_it(schemas: Path) -> None:
    edit(schemas / "editions" / "administrative_licence_2016.yaml", 'valid: "1"', 'valid: "0"')
    with pytest.raises(CatalogueError, match="not in the code list of XK_ZT"):
        load_catalogue(Settings(root=schemas.parent))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('values: {XK_ZT: {在用: "1"}}', "1 is no status of edition 2016"),
        ('values: {XK_ZT: {在用: "0"}}', "0 is no status of edition 2016"),
        ('columns: {XK_ZT: {constant: "1"}}', "1 is no status of edition 2016"),
        ("columns: {XK_ZT: {column: 状态, constant: 有效}}", "有效 is no status of edition 2016"),
        ("undeclared_status: quarantine", "always holds"),
        ("columns: {CF_ZT: 状态}", "CF_ZT is no field"),
        ('exclude: [{column: XK_ZT, values: ["1"], reason_zh: 撤销}]', "1 is no status of edition 2016"),
    ],
)
def test_numerals_of_a_status_are_not_declared_for_2016(schemas: Path, said: str, words: str) -> None:
    path = schemas / "departments" / "market" / "licence.yaml"
    text = path.read_text(encoding="utf-8").replace("edition: 2018", "edition: 2016")
    text = text.replace("undeclared_status: quarantine\n", "")
    path.write_text(f"{text}\n{said}\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match=words) as wrong:
        load_catalogue(Settings(root=schemas.parent)).feed("market_licence")
    assert wrong.value.line == text.count("\n") + 2


def test_a_feed_of_2016_may_name_the_status_that_is_no_field(schemas: Path) -> None:
    path = schemas / "departments" / "market" / "penalty.yaml"
    edit(path, "edition: 2018", "edition: 2016")
    edit(path, "columns:\n", "columns:\n  CF_ZT: 案件状态\n")
    edit(path, "values:\n", "values:\n  CF_ZT: {已结案: 正常}\n")
    loaded = load_catalogue(Settings(root=schemas.parent)).feed("market_penalty")
    assert loaded.values["CF_ZT"] == {"已结案": "正常"}


def test_headers_of_every_edition_are_known_to_whoever_looks_for_a_header_row(catalogue: Catalogue) -> None:
    known = catalogue.categories[PENALTY].all_headers()
    for header in ("CF_XDR_ZDM", "处罚截止期", "行政相对人代码_5(居民身份证号)", "处罚决定日期", "CF_NR_FK"):
        assert normalise_header(header) in known


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("行政相对人代码_2 (工商注册号)", ("2", "工商注册号")),
        ("行政相对人代码＿3（组织机构代码）", ("3", "组织机构代码")),
        ("代码_1", None),
        ("处罚机关代码(18位)", None),
    ],
)
def test_numbered_codes(header: str, found: tuple[str, str] | None) -> None:
    assert numbered_code(header) == found


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("罚没金额（元）", "元"),
        ("罚款金额 (万元)", "万元"),
        ("罚款金额(单位：人民币元)", "元"),
        ("罚款金额[元]", "元"),
        ("金额(千元)", "千元"),
        ("金额(亿元)", "亿元"),
        ("金额（美元）", "美元"),
        ("罚款金额", None),
        ("罚款(元)金额", None),
        ("罚款单元", None),
        ("处罚内容(含公元)", None),
    ],
)
def test_the_unit_that_a_header_states(header: str, unit: str | None) -> None:
    assert stated_unit(header) == unit
