"""A small installation with two departments, three feeds and one published batch, written by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.engine.duck import Session, session
from pipelines.engine.rows import RowsPart
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.ledger.models import Batch, DeliveryFinding, Extract, Outbox, Run
from pipelines.settings import PROJECT_ROOT, Settings

DAY = date(2026, 3, 5)
FEED = "shichang_penalty"
RUN = f"{FEED}-20260305-001"
INSTANT = datetime(2026, 3, 6, 1, 0, 0)  # noqa: DTZ001 - the ledger stores UTC without zone

# Every value here that is about a person; none may ever stand on a page.
PERSON = "欧阳测试甲"
PERSON_ID = "11010519491231002X"
PHONE = "13800138000"
REPAIRED = "只在修复后出现的名称"
COMPANY = "示例（合成）食品有限公司"
USCC = "91310000MA1FL00001"


@dataclass(frozen=True)
class RuleStub:
    """What reporting needs of a rule."""

    code: str
    field: str | None
    severity: str
    message_zh: str
    fix_zh: str
    owner: str = "department"
    message_en: str = "something is wrong"
    fix_en: str = "please correct it"
    source: str = "示例标准"
    family: str = "format"
    dimension: str = "validity"
    scope: str = "row"
    version: int = 1
    since: date = date(2018, 7, 25)
    until: date | None = None
    waivable: bool = True


RULES = {
    rule.code: rule
    for rule in (
        RuleStub("REQ-CF_WSH", "CF_WSH", "block", "“行政处罚决定书文号”没有填写", "请填写文号"),
        RuleStub("USCC-CF_XDR_SHXYM", "CF_XDR_SHXYM", "block", "统一社会信用代码校验不通过", "请核对代码"),
        RuleStub("CF-FINE-01", "CF_NR_FK", "warn", "罚款金额超过1亿元", "请核实单位 <b>万元</b>"),
        RuleStub("CF-INFO-01", "CF_NR", "info", "仅作记录", "无需处理"),
        RuleStub("DUP-003", None, "block", "同一决定的多行内容互相矛盾", "请只保留正确的一行"),
        RuleStub("TOMB-001", None, "block", "该记录已撤回", "请勿重复报送", "us"),
        RuleStub("LINE-001", None, "block", "本行无法解码", "请重新导出"),
        RuleStub("LINE-002", None, "block", "单元格个数与表头不符", "请检查分隔符"),
        RuleStub("SRC-001", None, "info", "出现新的列", "无需处理", "us"),
        RuleStub("SRC-002", None, "block", "列不见了", "请恢复该列"),
    )
}

COLUMNS = (
    "序号",
    "处罚文号",
    "行政相对人名称",
    "统一社会信用代码",
    "法定代表人身份证号",
    "处罚内容",
    "罚款金额",
    "备注",
)
LONG_DIGITS = "202603050000000012"
ROWS = (
    ("0001", "市监罚〔2026〕1号", COMPANY, USCC, PERSON_ID, "罚款", "0.50", None),
    ("0002", "", "=cmd|' /C calc'!A0", "031310000MA1FL0000", PERSON_ID, "第一行\n第二行", "007", PHONE),
    ("0003", None, PERSON, LONG_DIGITS, None, "<r><t>x</t></r>", "+1", "@SUM(A1)"),
    ("0004", "市监罚〔2026〕1号", COMPANY, USCC, PERSON_ID, "罚款", "0.50", None),
    ("0005", "市监罚〔2026〕5号", COMPANY, USCC, PERSON_ID, "甲 & 乙 <script>", "99999", " 前后有空格 "),
    ("0006", "市监罚〔2026〕6号", COMPANY, USCC, PERSON_ID, "内容互相矛盾", "1", None),
    ("0007", "市监罚〔2026〕7号", COMPANY, USCC, PERSON_ID, "简易程序", "1", None),
    ("0008", "市监罚〔2026〕8号", COMPANY, USCC, PERSON_ID, "已撤回", "1", None),
    ("0009", "市监罚〔2026〕9号", PERSON, None, PERSON_ID, "被接收方退回", "1", f"电话{PHONE}"),
    ("0010", "市监罚〔2026〕10号", COMPANY, USCC, PERSON_ID, "与上次相同", "1", None),
)
SECOND_COLUMNS = ("处罚文号", "行政相对人名称", "只在第二张表")
SECOND_ROWS = (("", COMPANY, "-5"),)

#           row outcome        reasons                                     key  change      deadline
OUTCOMES = (
    (0, "accepted", [], "k0", "new", date(2026, 3, 12), False),
    (1, "quarantined", ["REQ-CF_WSH", "USCC-CF_XDR_SHXYM", "CF-FINE-01"], None, None, None, None),
    (2, "quarantined", ["REQ-CF_WSH"], None, None, None, None),
    (3, "duplicate", ["DUP-001"], "k0", None, None, None),
    (4, "accepted", ["CF-FINE-01", "CF-INFO-01"], "k4", "changed", date(2026, 3, 2), False),
    (5, "quarantined", ["DUP-003"], "k5", None, None, None),
    (6, "excluded", ["REQ-CF_WSH", "EXCL-001"], None, None, None, None),
    (7, "blocked", ["TOMB-001"], "k7", None, None, None),
    (8, "accepted", [], "k8", "new", date(2027, 1, 4), True),
    (9, "accepted", [], "k9", "unchanged", date(2026, 2, 2), False),
    (10, "quarantined", ["REQ-CF_WSH"], None, None, None, None),
)
FINDINGS = (
    (1, "REQ-CF_WSH", "block", "CF_WSH"),
    (1, "USCC-CF_XDR_SHXYM", "block", "CF_XDR_SHXYM"),
    (1, "CF-FINE-01", "warn", "CF_NR_FK"),
    (2, "REQ-CF_WSH", "block", "CF_WSH"),
    (4, "CF-FINE-01", "warn", "CF_NR_FK"),
    (4, "CF-INFO-01", "info", "CF_NR"),
    (6, "REQ-CF_WSH", "block", "CF_WSH"),
    (10, "REQ-CF_WSH", "block", "CF_WSH"),
)
REJECTS = (
    ("a.csv", 12, "LINE-001", None, None, "0011,乱码\udcff".encode("utf-8", "surrogateescape")),
    ("a.csv", 14, "LINE-002", 8, 7, "0012,少一列,张某".encode("gb18030")),
)
EXTRACT, SECOND_EXTRACT = "a" * 64, "b" * 64
# A finding about a file, as the manifest of a run keeps it.
CHANGE = {
    "rule": "SRC-002",
    "observed": "处罚机关",
    "extract": EXTRACT,
    "extract_name": "x.csv",
    "sheet": "",
    "line": 1,
    "field": "CF_CFJG",
}


@dataclass
class Installation:
    """Settings, catalogue and ledger of the hand-written batch, and a session to report with."""

    settings: Settings
    catalogue: Catalogue
    ledger: Ledger
    session: Session

    @property
    def run_folder(self) -> Path:
        return self.settings.runs / RUN

    def add_run(self, run: Run, *, published: bool) -> None:
        with self.ledger.write() as ledger:
            batch = Batch(feed=run.feed, business_date=run.business_date, run=run.id if published else None)
            ledger.add(batch)
            ledger.flush()
            run.batch_id = batch.id
            ledger.add(run)


def make_run(feed: str, day: date, state: str, **values: object) -> Run:
    return Run(
        id=f"{feed}-{day:%Y%m%d}-001",
        feed=feed,
        category="administrative_penalty",
        business_date=day,
        attempt=1,
        state=state,
        stage="published" if state == "published" else "pulled",
        started_at=INSTANT,
        finished_at=INSTANT,
        **values,
    )


@contextmanager
def small_installation(tmp_path: Path) -> Iterator[Installation]:
    """Two departments with three feeds; one batch of one feed is published."""
    root = tmp_path / "root"
    for name in ("categories", "code_lists", "endpoints", "figures"):
        shutil.copytree(PROJECT_ROOT / "schemas" / name, root / "schemas" / name)
    shutil.copy(PROJECT_ROOT / "schemas" / "repairs.yaml", root / "schemas")
    endpoint = next((root / "schemas" / "endpoints").glob("*.yaml")).stem
    for department, name in (("shichang", "示例市市场监督管理局（合成）"), ("huanbao", "示例市生态环境局（合成）")):
        folder = root / "schemas" / "departments" / department
        folder.mkdir(parents=True)
        (folder / "department.yaml").write_text(
            f"department: {department}\nname_zh: {name}\nuscc: 11310000000000000X\ncontact: 法规处\n", encoding="utf-8"
        )
    for department, feed, extra in (
        ("shichang", "penalty", "columns: {CF_NR_FK: {column: 罚款金额, unit: 元}, CF_SJLY: {constant: 示例}}\n"),
        ("shichang", "second", ""),
        ("huanbao", "penalty", ""),
    ):
        (root / "schemas" / "departments" / department / f"{feed}.yaml").write_text(
            f"feed: {department}_{feed}\nname_zh: {department}处罚（{feed}）\ncategory: administrative_penalty\n"
            f"edition: 2018\nendpoints: [{endpoint}]\nsource: {{kind: folder, path: {department}}}\n{extra}",
            encoding="utf-8",
        )
    settings = Settings(root=root, home=tmp_path / "var", inbox=tmp_path / "inbox")
    settings.home_path.mkdir()
    migrate(settings.ledger)
    with session(settings.scratch) as opened:
        made = Installation(settings, load_catalogue(settings), open_ledger(settings.ledger), opened)
        write_run_folder(made.run_folder)
        write_ledger(made, endpoint)
        yield made


def write_run_folder(folder: Path) -> None:
    (folder / "rows").mkdir(parents=True)
    for number, (columns, rows) in enumerate(((COLUMNS, ROWS), (SECOND_COLUMNS, SECOND_ROWS))):
        cells = {column: pa.array([row[i] for row in rows], pa.string()) for i, column in enumerate(columns)}
        pq.write_table(pa.table(cells), folder / "rows" / f"{number:03d}.parquet")
    rows = [
        {
            "row_no": row_no,
            "extract": EXTRACT if row_no < len(ROWS) else SECOND_EXTRACT,
            "sheet": "" if row_no < len(ROWS) else "表二",
            "line": row_no + 2 if row_no < len(ROWS) else 4,
            "outcome": outcome,
            "reasons": reasons,
            "record_key": key,
            "content_hash": "c" * 64,
            "survivor": 0 if outcome == "duplicate" else None,
            "change": change,
            "version": 1 if change else None,
            "decision_date": date(2026, 2, 25) if change else None,
            "deadline": deadline,
            "deadline_provisional": provisional,
            "excluded_reason": "简易程序 <不报送>" if outcome == "excluded" else None,
        }
        for row_no, outcome, reasons, key, change, deadline, provisional in OUTCOMES
    ]
    schema = pa.schema(
        [
            ("row_no", pa.int64()),
            ("extract", pa.string()),
            ("sheet", pa.string()),
            ("line", pa.int64()),
            ("outcome", pa.string()),
            ("reasons", pa.list_(pa.string())),
            ("record_key", pa.string()),
            ("content_hash", pa.string()),
            ("survivor", pa.int64()),
            ("change", pa.string()),
            ("version", pa.int32()),
            ("decision_date", pa.date32()),
            ("deadline", pa.date32()),
            ("deadline_provisional", pa.bool_()),
            ("excluded_reason", pa.string()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "outcomes.parquet")
    by_row = {row["row_no"]: row for row in rows}
    findings = [
        {
            "row_no": row_no,
            **{name: by_row[row_no][name] for name in ("extract", "sheet", "line")},
            "rule": rule,
            "severity": severity,
            "field": field,
            "observed": PERSON_ID,
        }
        for row_no, rule, severity, field in FINDINGS
    ]
    pq.write_table(pa.Table.from_pylist(findings), folder / "findings.parquet")
    rejects = [
        {
            "extract": EXTRACT,
            "extract_name": name,
            "sheet": "",
            "line": line,
            "reason": "x",
            "rule": rule,
            "expected_cells": expected,
            "actual_cells": actual,
            "bytes": data,
        }
        for name, line, rule, expected, actual, data in REJECTS
    ]
    pq.write_table(pa.Table.from_pylist(rejects), folder / "rejects.parquet")
    repairs = [
        {"row_no": 0, "field": "CF_WSH", "rule": "NAME-001", "old_value": PERSON, "new_value": PERSON_ID},
        {"row_no": 1, "field": "CF_WSH", "rule": "NAME-001", "old_value": PERSON, "new_value": PERSON_ID},
        {"row_no": 0, "field": "CF_NR_FK", "rule": "AMT-003", "old_value": "5000", "new_value": "0.5"},
        {"row_no": 8, "field": "CF_CFJG", "rule": "TXT-005", "old_value": "名 称", "new_value": REPAIRED},
    ]
    pq.write_table(pa.Table.from_pylist(repairs), folder / "repairs.parquet")


def write_ledger(made: Installation, endpoint: str) -> None:
    parts = []
    for number, (extract, name, sheet, columns, count, offset, line) in enumerate(
        (
            (EXTRACT, "a.csv", "", COLUMNS, len(ROWS), 0, 2),
            (SECOND_EXTRACT, "b.xlsx", "表二", SECOND_COLUMNS, len(SECOND_ROWS), len(ROWS), 4),
        )
    ):
        path = made.run_folder / "rows" / f"{number:03d}.parquet"
        parts.append(RowsPart(extract, name, sheet, path, columns, offset, count, line).as_json())
    run = make_run(
        FEED,
        DAY,
        "published",
        rows_decoded=11,
        lines_undecoded=2,
        accepted=4,
        duplicate=1,
        quarantined=6,
        blocked=1,
        excluded=1,
        new=2,
        changed=1,
        unchanged=1,
        late=1,
        repairs=4,
        earliest_deadline=date(2026, 3, 12),
        manifest={"parts": parts, "unmapped_columns": ["只在第二张表"], "missing_fields": ["CF_YXQ"]},
    )
    made.add_run(run, published=True)
    with made.ledger.write() as ledger:
        for position, (sha, name, encoding, undecoded) in enumerate(
            ((EXTRACT, "a.csv", "gb18030", 2), (SECOND_EXTRACT, "b.xlsx", None, 0))
        ):
            ledger.add(
                Extract(
                    run=RUN,
                    position=position,
                    sha256=sha,
                    name=name,
                    bytes=1234,
                    rows_decoded=10 if position == 0 else 1,
                    lines_undecoded=undecoded,
                    manifest={"encoding": encoding},
                )
            )
        for key, deadline, provisional, facts in (
            ("k0", date(2026, 3, 12), False, {"sent_at": INSTANT, "accepted_at": INSTANT}),
            ("k4", date(2026, 3, 2), False, {"sent_at": INSTANT}),
            ("k8", date(2027, 1, 4), True, {"sent_at": INSTANT, "rejected_at": INSTANT}),
        ):
            owed = Outbox(
                endpoint=endpoint,
                category="administrative_penalty",
                feed=FEED,
                run=RUN,
                record_key=key,
                version=1,
                content_hash="c" * 64,
                operation="new",
                business_date=DAY,
                decision_date=date(2026, 2, 25),
                deadline=deadline,
                deadline_provisional=provisional,
                idempotency_key=key * 32,
                queued_at=INSTANT,
                **facts,
            )
            ledger.add(owed)
            ledger.flush()
            if key == "k8":
                ledger.add(
                    DeliveryFinding(
                        outbox_id=owed.id,
                        endpoint=endpoint,
                        feed=FEED,
                        record_key=key,
                        rule="1001",
                        field="CF_XDR_MC",
                        message=f"未查询到主体“欧阳 测试甲”（证件 {PERSON_ID}，电话 {PHONE}）{REPAIRED}",
                        found_at=INSTANT,
                    )
                )
