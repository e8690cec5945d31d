"""`guiji feeds`: a department is added without a line of Python, tried, explained and listed."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import yaml
from typer.testing import CliRunner

from pipelines import cli, cli_feeds
from pipelines.catalogue import catalogue
from pipelines.catalogue.feeds import Feed
from pipelines.errors import CatalogueError, ExtractError
from pipelines.ledger.models import Run
from pipelines.operations.context import Context, open_context
from pipelines.operations.feed_proposal import propose
from pipelines.operations.feed_text import feed_text
from pipelines.operations.feed_trial import find_feed, try_feed
from pipelines.operations.night import run_night
from pipelines.settings import PROJECT_ROOT, Settings
from tests.bad_inputs.bad_input import BadInput
from tests.bad_inputs.corpus import BAD_INPUTS
from tests.operations.conftest import FRIDAY, SAMPLES, golden
from tests.operations.feed_editing import flat, replace_lines

RUNNER = CliRunner()
EDITION_2016 = """\
序号,行政处罚决定书文号,处罚名称,处罚类别1,处罚类别2,处罚事由,处罚依据,行政相对人名称,行政相对人代码_1(统一社会信用代码),\
行政相对人代码_2(组织机构代码),法定代表人姓名,处罚结果,处罚决定日期,处罚机关,当前状态,地方编码,数据更新时间戳
1,示环罚〔2016〕1号,超标案,罚款,警告,超标排放,《水污染防治法》第七十四条,示例市样本化工有限公司,91119900MA9901012W,\
MA9901012,示例张一一,罚款2万元,2016-11-12,示例市生态环境局,0,119900,2016-11-13 09:00:00
2,示环罚〔2016〕2号,验收案,罚款,,未验先投,《建设项目环境保护管理条例》第二十三条,示例市样本建材有限公司,91119900MA99010042,\
MA9901004,示例李二二,罚款5万元,2016-11-14,示例市生态环境局,1,119900,2016-11-15 09:00:00
"""


def guiji(*arguments: str | Path, exit_code: int = 0) -> str:
    """Run a command as a process of its own would; returns what it printed."""
    catalogue._load.cache_clear()
    shown = RUNNER.invoke(cli.app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert shown.exit_code == exit_code, shown.output
    return shown.output


@pytest.mark.parametrize("command", ["new", "test", "explain", "list"])
def test_every_command_explains_itself(command: str) -> None:
    assert "Usage" in guiji("feeds", command, "--help")


@dataclass(frozen=True)
class Adopted:
    """A sample of a project's feed, and what a person does to the feed that is proposed for it."""

    feed: str
    file: str
    edits: str

    @property
    def sample(self) -> Path:
        (path,) = (SAMPLES / self.feed / FRIDAY.isoformat()).glob(self.file)
        return path


MARKET_PENALTY = Adopted(
    "market_penalty",
    "*.csv",
    """\
-  # CF_SJLY: {constant:
-  # CF_SJLYDM: {constant:
+  CF_SJLY: {constant: 示例市市场监督管理局}
+  CF_SJLYDM: {constant: 11119900MA990001XH}
-# values:
-#   CF_XDR_LB:
-#     "企业及其他组织": TODO
+values:
+  CF_XDR_LB: {企业及其他组织: 法人及非法人组织}
+  CF_CFLB: {降低资质等级: 其他-降低资质等级}
-# exclude:
-#   - column: 案件程序
-#     values:
-#     reason_zh:
+exclude:
+  - {column: 案件程序, values: [简易程序, 简易], reason_zh: 适用简易程序的行政处罚不属于双公示归集范围}
-# source_timestamp: 更新时间
-# conflict: latest_timestamp
+source_timestamp: 更新时间
+conflict: latest_timestamp
""",
)
MARKET_LICENCE = Adopted(
    "market_licence", "*.csv", "-# undeclared_status: quarantine\n+undeclared_status: quarantine\n"
)
HOUSING_LICENCE = Adopted(
    "housing_licence",
    "*.csv",
    """\
-  # XK_NR: 批准内容
-  # XK_ZT: 证照状态
+  XK_NR: 批准内容
+  XK_ZT: 证照状态
-  # XK_XKJG: {constant:
-  # XK_XKJGDM: {constant:
-  # XK_LYDW: {constant:
-  # XK_LYDWDM: {constant:
+  XK_XKJG: {constant: 示例市住房和城乡建设局}
+  XK_XKJGDM: {constant: 11119900MA9900036C}
+  XK_LYDW: {constant: 示例市住房和城乡建设局}
+  XK_LYDWDM: {constant: 11119900MA9900036C}
-# values:
+values:
+  XK_ZT: {在用: "1", 注销: "2"}
-#   XK_XDR_LB:
-#     "从业人员": TODO
-#     "企业单位": TODO
+  XK_XDR_LB: {从业人员: 自然人, 企业单位: 法人及非法人组织}
-#   XK_XKLB:
-#     "人员认可": TODO
-#     "行政审批": TODO
-#     "资质核准": TODO
+  XK_XKLB: {人员认可: 认可, 资质核准: 核准}
-# dump: full
+undeclared_status: quarantine
""",
)
ECOLOGY_PENALTY = Adopted("ecology_penalty", "*.xlsx", "-# dump: full\n+conflict: last_row\n")
ADOPTED = (MARKET_PENALTY, MARKET_LICENCE, HOUSING_LICENCE, ECOLOGY_PENALTY)


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Context, Context]:
    """The project's own installation, and one whose four feeds were proposed from the samples and edited as text."""
    place = tmp_path_factory.mktemp("adopted")
    for part in ("schemas", "expectations"):
        shutil.copytree(PROJECT_ROOT / part, place / "root" / part)
    for old in (place / "root/schemas/departments").glob("*/*.yaml"):
        if old.name != "department.yaml":
            old.unlink()
    settings = Settings(root=place / "root", home=place / "home", inbox=SAMPLES)
    with pytest.MonkeyPatch.context() as environment:
        for name in ("root", "home", "inbox"):
            environment.setenv(f"GUIJI_{name.upper()}", str(getattr(settings, name)))
        for one in ADOPTED:
            department, _, name = one.feed.partition("_")
            guiji("feeds", "new", one.sample, "--department", department, "--name", name)
            replace_lines(settings.schemas / "departments" / department / f"{name}.yaml", one.edits)
    catalogue._load.cache_clear()
    return open_context(Settings(home=place / "own", inbox=SAMPLES)), open_context(settings)


@pytest.mark.parametrize("one", [MARKET_PENALTY, HOUSING_LICENCE, ECOLOGY_PENALTY], ids=lambda one: one.feed)
def test_a_proposed_and_corrected_feed_judges_as_the_projects_own(
    one: Adopted, adopted: tuple[Context, Context]
) -> None:
    own, proposed = (
        try_feed(context, context.catalogue.feed(one.feed), one.sample, FRIDAY, rows=0) for context in adopted
    )
    assert proposed.outcomes == own.outcomes
    assert {(line.rule, line.count) for line in proposed.problems} == {(line.rule, line.count) for line in own.problems}
    assert proposed.outcomes["accepted"] > 500


def test_a_proposed_feed_runs_like_any_other(adopted: tuple[Context, Context]) -> None:
    _, context = adopted
    (result,) = run_night(context, FRIDAY, ["market_licence"])
    assert result.problem is None
    with context.ledger.read() as session:
        run = session.query(Run).one()
    assert (run.state, run.accepted > 500) == ("published", True)


def test_a_proposal_shows_nobodys_name_or_number(adopted: tuple[Context, Context], tmp_path: Path) -> None:
    """Neither the files nor the terminal hold a cell of a column with names, numbers or texts."""
    own, _ = adopted
    known = {"企业及其他组织", "企业单位", "从业人员", "资质核准", "人员认可", "行政审批", "备案", "简易程序", "简易"}
    known |= {"test"}  # a cell of the sample, and a word of the command
    for one in (MARKET_PENALTY, HOUSING_LICENCE):
        target = tmp_path / one.feed / "x.yaml"
        printed = guiji("feeds", "new", one.sample, "--department", "market", "--output", target)
        encoding = "gb18030" if one is MARKET_PENALTY else "utf-8"
        with one.sample.open(encoding=encoding, errors="replace", newline="") as file:
            _, *rows = csv.reader(file, delimiter=";" if one is HOUSING_LICENCE else ",")
        cells = {cell.strip() for row in rows for cell in row if len(cell.strip()) > 2} - known
        offices = {own.catalogue.departments["market"].name_zh, own.catalogue.departments["market"].uscc}
        listed = {entry.name for code_list in own.catalogue.code_lists.values() for entry in code_list.entries}
        shown = printed + target.read_text(encoding="utf-8")
        assert [cell for cell in cells - offices - listed if cell in shown] == []


def test_nothing_is_ever_replaced(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    path = context.settings.schemas / "departments/market/penalty.yaml"
    before = path.read_bytes()
    with pytest.raises(CatalogueError, match="such a file already") as caught:
        guiji("feeds", "new", MARKET_PENALTY.sample, "--department", "market")
    assert caught.value.exit_code == 2
    assert caught.value.file == str(path)
    assert path.read_bytes() == before
    assert sorted(file.stem for file in path.parent.iterdir()) == ["department", "licence", "penalty"]


def test_a_new_department_is_described_too(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    shown = guiji("feeds", "new", MARKET_LICENCE.sample, "--department", "water", "--name", "permits")
    folder = context.settings.schemas / "departments/water"
    assert sorted(path.name for path in folder.iterdir()) == ["department.yaml", "permits.yaml"]
    assert "guiji feeds test water_permits" in shown
    assert "water_permits" in guiji("feeds", "list")


@pytest.mark.parametrize(
    ("text", "options", "kind", "words"),
    [
        ("甲,乙\n1,2\n", [], CatalogueError, "no category convinces: administrative_"),
        ("甲,乙\n1,2\n", ["--category", "penalties"], CatalogueError, "unknown category penalties"),
        (EDITION_2016, ["--edition", "1999"], CatalogueError, "edition 1999"),
        (EDITION_2016, ["--department", "示例"], CatalogueError, "--department"),
        (EDITION_2016, ["--name", "Über"], CatalogueError, "--name"),
        ("", [], ExtractError, "empty"),
    ],
)
def test_what_cannot_be_proposed_is_said(
    tmp_path: Path,
    install: Callable[[Path], Context],
    text: str,
    options: list[str],
    kind: type[Exception],
    words: str,
) -> None:
    install(tmp_path / "home")
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    with pytest.raises(kind, match=words):
        guiji("feeds", "new", tmp_path / "x.csv", *options)


def test_a_skeleton_is_written_for_a_category_that_is_given(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    install(tmp_path / "home")
    (tmp_path / "x.csv").write_text("甲,乙\n一,二\n", encoding="utf-8")
    target = tmp_path / "proposals" / "x.yaml"
    guiji("feeds", "new", tmp_path / "x.csv", "--category", "administrative_penalty", "--output", target)
    text = target.read_text(encoding="utf-8")
    assert "# Columns that fill nothing: 甲, 乙" in text
    assert "# CF_WSH: {constant: TODO 行政处罚决定书文号}" in text
    assert yaml.safe_load(text)["feed"] == "new_department_penalty"


def test_the_edition_is_told_by_headers_that_only_it_has(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    install(tmp_path / "home")
    sample, target = tmp_path / "x.csv", tmp_path / "proposals" / "x.yaml"
    sample.write_text(EDITION_2016, encoding="utf-8")
    shown = guiji("feeds", "new", sample, "--department", "market", "--name", "old", "--output", target)
    assert "edition 2016" in shown
    assert yaml.safe_load(target.read_text(encoding="utf-8"))["edition"] == 2016
    shown = guiji(
        "feeds", "test", target, sample, "--date", "2026-11-20", "--json", exit_code=cli_feeds.FILE_HAS_PROBLEMS
    )
    trial = json.loads(shown)
    origins = {origin["field"]: origin["columns"] for origin in trial["origins"]}
    assert origins["CF_CFLB"] == ["处罚类别1", "处罚类别2"]
    assert trial["outcomes"] == {"quarantined": 1, "excluded": 1}, "1 means revoked there"
    assert trial["rows"][0]["fields"]["CF_FRDB"] == "示****"


def test_a_trial_says_everything_about_a_file(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    file = tmp_path / "报送.csv"
    file.write_bytes(golden("market_penalty") + b'"open,')
    shown = guiji(
        "feeds", "test", "market_penalty", file, "--date", FRIDAY.isoformat(), "--rows", "2",
        exit_code=cli_feeds.FILE_HAS_PROBLEMS,
    )  # fmt: skip
    plain = flat(shown)
    assert "csv,gb18030,comma" in plain
    assert "解析11行，无法解析1行" in plain
    assert "CF_XDR_LB行政相对人类别当事人类别11" in plain
    assert "常量“示例市市场监督管理局”" in plain
    assert "DATE-001统一日期分隔符并补零" in plain
    assert "REQ-CF_NR必须更正" in plain
    assert "LINE-004" in plain
    assert not list(context.settings.home_path.glob("landing/**/*"))
    with context.ledger.read() as session:
        assert session.query(Run).count() == 0


def as_zip(rows: list[dict[str, str]]) -> bytes:
    packed = io.BytesIO()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("2026/许可.csv", text.getvalue())
        archive.writestr("说明.txt", "本月报送说明")
    return packed.getvalue()


def as_xml(rows: list[dict[str, str]]) -> bytes:
    """With codes as names: XML has no brackets and blanks in names."""
    codes = {"行政相对人名称": "XK_XDR_MC", "行政许可决定文书号": "XK_WSH", "许可决定日期": "XK_JDRQ"}
    named = [{codes.get(name, name): escape(cell) for name, cell in row.items()} for row in rows]
    records = ["".join(f"<{name}>{cell}</{name}>" for name, cell in row.items()) for row in named]
    return f"<DATA><ROWS>{''.join(f'<ROW>{record}</ROW>' for record in records)}</ROWS></DATA>".encode()


def as_json(rows: list[dict[str, str]]) -> bytes:
    return json.dumps({"code": 0, "data": {"list": rows}}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("x.zip", as_zip, {"kind": "csv", "delimiter": "comma"}),
        ("x.xml", as_xml, {"kind": "xml", "row_path": "DATA/ROWS/ROW"}),
        ("x.json", as_json, {"kind": "json", "row_path": "data.list"}),
    ],
)
def test_every_format_is_proposed_and_tried_alike(
    tmp_path: Path,
    install: Callable[[Path], Context],
    name: str,
    write: Callable[[list[dict[str, str]]], bytes],
    said: dict[str, str],
) -> None:
    context = install(tmp_path / "home")
    text = (SAMPLES / "market_licence/golden_template/extract.csv").read_text(encoding="utf-8")
    plain = {"行政相对人代码_1 (统一社会信用代码)": "统一社会信用代码"}
    rows = [row for row in csv.DictReader(text.splitlines()) if None not in (*row, *row.values())]
    kept = [{plain.get(k, k): v for k, v in row.items() if "代码_" not in k or k in plain} for row in rows]
    (tmp_path / name).write_bytes(write(kept))
    target = tmp_path / "proposals" / "x.yaml"
    guiji("feeds", "new", tmp_path / name, "--department", "market", "--output", target)
    declared = yaml.safe_load(target.read_text(encoding="utf-8"))
    assert declared["format"] == said
    _, feed = find_feed(context, str(target))
    tried = try_feed(context, feed, tmp_path / name, FRIDAY, rows=1)
    assert tried.rows_decoded == len(kept)
    assert tried.outcomes["accepted"] > 0
    assert tried.rows[0].fields["XK_WSH"] == kept[0]["行政许可决定文书号"]


def test_a_status_that_nobody_declared_is_told_and_looked_past(
    tmp_path: Path, install: Callable[[Path], Context]
) -> None:
    install(tmp_path / "home")
    file = tmp_path / "x.csv"
    text = (SAMPLES / "market_licence/golden_template/extract.csv").read_text(encoding="utf-8")
    file.write_text(text.replace(",1,示例市市场", ",在办,示例市市场", 1), encoding="utf-8")
    target = tmp_path / "proposals" / "x.yaml"
    guiji("feeds", "new", file, "--department", "market", "--output", target)
    shown = guiji("feeds", "test", target, file, "--date", "2026-11-20", exit_code=cli_feeds.FILE_HAS_PROBLEMS)
    assert "held: x.csv" in shown
    assert "values that nobody declared" in shown
    assert "标准形式" in shown


def test_control_totals_beside_the_file_are_compared(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    path = context.settings.schemas / "departments/market/penalty.yaml"
    totals = 'pattern: "*.csv"\n  totals: {file: "{stem}.total", rows: "rows=([0-9]+)"}'
    path.write_text(path.read_text(encoding="utf-8").replace('pattern: "*.csv"', totals), encoding="utf-8")
    file = tmp_path / "x.csv"
    file.write_bytes(golden("market_penalty"))
    arguments = ("feeds", "test", "market_penalty", file, "--date", FRIDAY.isoformat(), "--rows", "0")
    problems = cli_feeds.FILE_HAS_PROBLEMS
    (tmp_path / "x.total").write_text("rows=12", encoding="utf-8")
    assert "declares 12 rows, 11 were read" in guiji(*arguments, exit_code=problems)
    (tmp_path / "x.total").write_text("rows=11", encoding="utf-8")
    assert "rows_declared 11, as read" in guiji(*arguments, exit_code=problems)


def test_persons_are_masked_in_a_trial(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    install(tmp_path / "home")
    text = (SAMPLES / "market_penalty/golden_persons/extract.csv").read_text(encoding="utf-8")
    file = tmp_path / "x.csv"
    file.write_bytes(text.encode("gb18030"))
    shown = flat(
        guiji("feeds", "test", "market_penalty", file, "--rows", "100", "--date", FRIDAY.isoformat(),
              exit_code=cli_feeds.FILE_HAS_PROBLEMS)
    )  # fmt: skip
    rows = [row for row in csv.DictReader(text.splitlines()) if None not in (*row, *row.values())]
    hidden = {row["自然人证件号码"] for row in rows} | {row["法定代表人身份证号码"] for row in rows}
    hidden |= {row["当事人名称"] for row in rows if row["当事人类别"] == "自然人"}
    hidden |= {row["法定代表人（负责人）"] for row in rows}
    telling = {value for value in hidden if len(value) > 1 and value not in {"无", "/"}}
    assert len(telling) > 5
    assert [value for value in telling if value in shown] == []


def test_a_feed_that_is_not_installed_is_tried_by_its_path(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    target = tmp_path / "proposals" / "any_name.yaml"
    guiji("feeds", "new", MARKET_LICENCE.sample, "--department", "water", "--output", target)
    assert "water" not in {path.name for path in (context.settings.schemas / "departments").iterdir()}
    _, feed = find_feed(context, str(target))
    assert (feed.feed, feed.department) == ("water_licence", "water")
    target.write_text(target.read_text(encoding="utf-8").replace("edition: 2018", "edition: 1918"), encoding="utf-8")
    with pytest.raises(CatalogueError, match="edition 1918") as caught:
        find_feed(context, str(target))
    assert caught.value.file == str(target)
    assert target.read_text(encoding="utf-8").splitlines()[(caught.value.line or 0) - 1].startswith("edition")


@pytest.mark.parametrize(
    ("feed", "file", "kind"),
    [
        ("market_penalty", "absent.csv", ExtractError),
        ("nobody", "x.csv", CatalogueError),
        ("absent.yaml", "x.csv", CatalogueError),
    ],
)
def test_a_trial_that_cannot_be_is_one_message(
    tmp_path: Path, install: Callable[[Path], Context], feed: str, file: str, kind: type[Exception]
) -> None:
    install(tmp_path / "home")
    (tmp_path / "x.csv").write_bytes(golden("market_penalty"))
    with pytest.raises(kind):
        guiji("feeds", "test", feed, tmp_path / file)


def test_an_explanation_names_the_layer_that_decides(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    path = context.settings.schemas / "departments/market/penalty.yaml"
    line = next(n for n, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if "CF_XDR_LB: 当" in text)
    shown = flat(guiji("feeds", "explain", "market_penalty", "CF_XDR_LB"))
    assert f"→feedschemas/departments/market/penalty.yaml:{line}" in shown
    assert "administrative_penalty.yaml" in shown
    assert flat(guiji("feeds", "explain", "market_penalty", "行政相对人类别")).endswith(shown.split("CF_XDR_LB", 1)[1])
    assert "defaults" in guiji("feeds", "explain", "market_licence", "conflict")


def test_an_explanation_with_a_file_names_the_column_that_is_read(
    tmp_path: Path, install: Callable[[Path], Context]
) -> None:
    install(tmp_path / "home")
    file = tmp_path / "x.csv"
    file.write_bytes(golden("market_penalty"))
    assert "column主要违法事实" in flat(guiji("feeds", "explain", "market_penalty", "CF_SY", "--extract", file))


def test_an_unknown_field_brings_the_nearest_names(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    install(tmp_path / "home")
    with pytest.raises(CatalogueError, match=r"did you mean .*\(CF_XDR_LB\)"):
        guiji("feeds", "explain", "market_penalty", "当事人的类别")


def test_the_list_names_what_is_broken(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    path = context.settings.schemas / "departments/market/penalty.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("edition:", "editon:"), encoding="utf-8")
    shown = flat(guiji("feeds", "list"))
    assert "market_licence示例市市场监督管理局administrative_licence2018folder101***increment" in shown
    assert "penalty.yaml,line" in shown
    assert "editon" in shown


@pytest.mark.parametrize("bad", BAD_INPUTS[::4], ids=lambda bad: bad.name)
def test_a_bad_input_is_refused_or_gets_a_proposal_that_loads(bad: BadInput, tmp_path: Path) -> None:
    known = catalogue.load_catalogue(Settings())
    (tmp_path / bad.name).write_bytes(bad.content())
    try:
        text = feed_text(propose(known, tmp_path / bad.name, category="administrative_penalty"), known)
    except ExtractError as error:
        assert error.remedy
        assert error.file is not None
    else:
        assert Feed.model_validate(yaml.safe_load(text)).category == "administrative_penalty"


REAL = {
    "samr_penalties.csv": {"CF_WSH": "doc_no", "CF_XDR_MC": "party_name", "CF_JDRQ": "decision_date_raw"},
    "nfra_penalties_100.csv": {"CF_XDR_MC": "当事人", "CF_CFLB": "处罚类型", "CF_NR_FK": "罚没金额（元）"},
    "env_penalties_mee2017.csv": {"CF_XDR_MC": "企业名称", "CF_NR": "处罚结果"},
    "ocr_fin_crime_org_a_masked.xlsx": {"CF_XDR_MC": "企让名称", "CF_WSH": "案号"},
    "tax_arrears_nanhai_2015Q2_masked.xls": {"CF_XDR_MC": "企业、单位名称", "CF_XDR_SWDJ": "纳税人识别号"},
    "registry_name_anomalies_gb18030.csv": {"CF_XDR_MC": "name", "CF_XDR_SHXYM": "code_raw"},
    "registry_orgs_100k.csv": {"CF_XDR_MC": "name", "CF_XDR_SHXYM": "code_raw"},
    "dishonest_transport_270.csv": {"CF_XDR_ZZJG": "组织机构代码", "CF_XDR_GSZC": "工商注册号"},
}


def test_every_real_file_gets_a_proposal_that_loads(shared: Path) -> None:
    known = catalogue.load_catalogue(Settings())
    folders = ("registry", "penalties", "lists", "messy")
    files = sorted(path for folder in folders for path in (shared / "real" / folder).iterdir())
    for file in files:
        text = feed_text(propose(known, file, category="administrative_penalty"), known)
        feed = Feed.model_validate(yaml.safe_load(text))
        for code, header in REAL.get(file.name, {}).items():
            column = feed.column(code)
            assert column is not None, (file.name, code)
            assert column.column == header
    assert {file.name for file in files} >= REAL.keys()


@pytest.mark.parametrize("name", ["registry_orgs_100k.csv", "dishonest_ecommerce_500.csv", "双公示月报表统计模板.xls"])
def test_what_is_no_list_of_decisions_convinces_nobody(
    shared: Path, name: str, tmp_path: Path, install: Callable[[Path], Context]
) -> None:
    install(tmp_path / "home")
    (file,) = (shared / "real").glob(f"*/{name}")
    with pytest.raises(CatalogueError, match=r"no category convinces: \w+ [0-9]+ of 100, \w+ [0-9]+ of 100"):
        guiji("feeds", "new", file)
