"""One small feed of a department in an installation of its own, and extracts for it that a test writes row by row."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from sqlalchemy import select

from pipelines.errors import GuijiError
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.ledger.models import Run
from pipelines.operations.attempts import published_run
from pipelines.operations.context import Context, open_context
from pipelines.operations.night import run_night
from pipelines.settings import PROJECT_ROOT, Settings

FEED = "dept_penalty"
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 11, day) for day in (16, 17, 18, 19))
AUTHORITY, AUTHORITY_CODE = "示例市市场监督管理局", "11119900MA990001XH"
COLUMNS = (
    "决定书文号", "当事人名称", "行政相对人类别", "统一社会信用代码", "法定代表人", "处罚类别", "处罚内容",
    "处罚决定日期", "处罚机关", "处罚机关统一社会信用代码",
)  # fmt: skip
# What the category of this feed keeps beside the fields that have a role: few fields have few rules.
OTHER_FIELDS = frozenset({"CF_CFLB", "CF_NR"})
SHARED_ROLES = {
    "subject_codes": ["CF_XDR_SHXYM"],
    "representative_id_type": "CF_XDR_ZJLX",
    "representative_id": "CF_XDR_ZJHM",
    "source_unit": "CF_CFJG",
    "source_unit_code": "CF_CFJGDM",
}
Rows = list[dict[str, str]]


def row(number: int, **cells: str) -> dict[str, str]:
    """A row that is accepted: the decision with this number."""
    values = (
        f"示市监罚〔2026〕{number}号",
        f"示例市样本第{number:04d}号有限公司",
        "法人及非法人组织",
        synthetic_uscc("91", "119900", f"MA9{number:05d}"),
        "示例王一",
        "警告",
        "给予警告。",
        "2026/11/13",
        AUTHORITY,
        AUTHORITY_CODE,
    )
    return dict(zip(COLUMNS, values, strict=True)) | cells


def rows(numbers: Iterable[int]) -> Rows:
    return [row(number) for number in numbers]


@dataclass
class Installation:
    """A root with one feed, its inbox and its home; the category is cut down to a few fields unless it is ``whole``."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    home: str = "home"
    whole: bool = False
    ledger_url: str | None = None

    def __post_init__(self) -> None:
        if (self.folder / "root").exists():
            return
        for part in ("schemas", "expectations"):
            shutil.copytree(PROJECT_ROOT / part, self.folder / "root" / part)
        schemas = self.folder / "root" / "schemas"
        for part in ("departments", "endpoints"):
            shutil.rmtree(schemas / part)
        if not self.whole:
            shutil.rmtree(schemas / "editions")
            self._cut_down(schemas / "categories" / "administrative_penalty.yaml")
        departments = schemas / "departments"
        (departments / "dept").mkdir(parents=True)
        about = {"department": "dept", "name_zh": "示例局", "uscc": AUTHORITY_CODE}
        (departments / "dept" / "department.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
        self.describe(**self.settings)

    def _cut_down(self, path: Path) -> None:
        category = yaml.safe_load(path.read_text(encoding="utf-8"))
        category["roles"] |= SHARED_ROLES
        roles = category["roles"].values()
        kept = {code for role in roles for code in ([role] if isinstance(role, str) else role)} | OTHER_FIELDS
        category["fields"] = [entry for entry in category["fields"] if entry["code"] in kept]
        category["templates"] = []
        path.write_text(yaml.safe_dump(category, allow_unicode=True), encoding="utf-8")
        suite = self.folder / "root" / "expectations" / "administrative_penalty.json"
        suite.write_text(json.dumps({"name": "administrative_penalty", "expectations": []}), encoding="utf-8")

    def describe(self, **settings: Any) -> Context:
        """Write the feed's YAML anew; the catalogue is loaded again as a new process would."""
        feed = {
            "feed": FEED,
            "name_zh": "示例局行政处罚",
            "category": "administrative_penalty",
            "edition": 2018,
            "source": {"kind": "folder", "path": "dept/{date}", "pattern": "*"},
            **settings,
        }
        path = self.folder / "root" / "schemas" / "departments" / "dept" / "penalty.yaml"
        path.write_text(yaml.safe_dump(feed, allow_unicode=True), encoding="utf-8")
        from pipelines.catalogue import catalogue

        catalogue._load.cache_clear()
        return self.context

    @property
    def context(self) -> Context:
        folders = {name: self.folder / name for name in ("root", "inbox")}
        return open_context(Settings(**folders, home=self.folder / self.home, ledger_url=self.ledger_url))

    def drop(self, day: date, data: bytes, name: str = "penalty.csv") -> None:
        """Put the only extract of a day into the inbox."""
        target = self.folder / "inbox" / "dept" / day.isoformat()
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / name).write_bytes(data)

    def send(self, day: date, sent: Rows, columns: Sequence[str] = COLUMNS, encoding: str = "utf-8") -> None:
        """Drop rows as a CSV with these columns; a column that a row does not have stays empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(sent)
        self.drop(day, text.getvalue().encode(encoding))

    def night(self, day: date) -> GuijiError | None:
        """Run the batch of a day; the problem that stopped it."""
        (result,) = run_night(self.context, day)
        return result.problem

    def publish(self, day: date, sent: Rows, columns: Sequence[str] = COLUMNS, encoding: str = "utf-8") -> Run:
        """Send rows, run the batch and return its run, which has to be published."""
        self.send(day, sent, columns, encoding)
        problem = self.night(day)
        assert problem is None, problem
        return self.published(day)

    def published(self, day: date) -> Run:
        with self.context.ledger.read() as session:
            run = published_run(session, FEED, day)
        assert run is not None
        return run

    def last_run(self, day: date) -> Run:
        query = select(Run).where(Run.feed == FEED, Run.business_date == day).order_by(Run.attempt.desc()).limit(1)
        with self.context.ledger.read() as session:
            return session.scalars(query).one()

    def file_findings(self, run: Run) -> list[dict[str, Any]]:
        """The findings of a run that belong to no row and to no line."""
        found = pq.read_table(self.context.settings.runs / run.id / "findings.parquet").to_pylist()
        return [finding for finding in found if finding["rule"].startswith("SRC-")]


def changes(run: Run) -> list[tuple[str, str]]:
    """What a run noticed about its files: rule and what was observed."""
    return [(change["rule"], change["observed"]) for change in (run.manifest or {})["changes"]]
