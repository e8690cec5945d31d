"""The report site of 50 feeds: 1,000 stored batches from nothing, then one more night.

The batches are synthetic: rows of the ledger, and run folders that share the files of one batch of 200 rows. A second
argument is the number of nights that are stored (default 20, at most 1,000).
"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import insert

from benchmarks.meter import Meter
from pipelines.engine.rows import RowsPart
from pipelines.ledger.database import migrate
from pipelines.ledger.models import Batch, Extract, Outbox, RuleCount, Run
from pipelines.ledger.quality_models import Fact, GateResult, Task
from pipelines.operations.context import Context, open_context
from pipelines.operations.reports import build_site, rule_texts
from pipelines.settings import PROJECT_ROOT, Settings

DEPARTMENTS, FEEDS_EACH = 10, 5
NIGHTS = 20
FIRST = date(2026, 11, 1)
ROWS, PROBLEMS, OWED = 200, 20, 20
NOTHING, ONE_NIGHT, AGAIN = "from nothing", "one more night", "nothing new"
CODES = ("REQ-CF_WSH", "REQ-CF_XDR_MC", "REQ-CF_JDRQ", "REQ-CF_CFJG")
FIELDS = ("CF_WSH", "CF_XDR_MC", "CF_JDRQ", "CF_CFJG")
COLUMNS = ("处罚文书号", "行政相对人名称", "处罚内容")
EXTRACT = "e" * 64


def describe(root: Path, departments: int = DEPARTMENTS) -> list[tuple[str, str]]:
    """Schemas of an installation with departments of five feeds each; (department, feed)."""
    shutil.copytree(PROJECT_ROOT / "schemas", root / "schemas", ignore=shutil.ignore_patterns("departments"))
    shutil.copytree(PROJECT_ROOT / "expectations", root / "expectations")
    endpoint = min((root / "schemas" / "endpoints").glob("*.yaml")).stem
    feeds = []
    for department in (f"department{number:02d}" for number in range(departments)):
        folder = root / "schemas" / "departments" / department
        folder.mkdir(parents=True)
        name = f"示例市第{int(department[-2:]) + 1}局（合成）"
        (folder / "department.yaml").write_text(
            f"department: {department}\nname_zh: {name}\nuscc: 11310000000000000X\ncontact: 法规科\n", encoding="utf-8"
        )
        for number in range(FEEDS_EACH):
            (folder / f"penalty{number}.yaml").write_text(
                f"feed: {department}_penalty{number}\nname_zh: {name[:-4]}行政处罚来源{number + 1}\n"
                "category: administrative_penalty\nedition: 2018\n"
                f"endpoints: [{endpoint}]\nsource: {{kind: folder, path: {department}}}\n",
                encoding="utf-8",
            )
            feeds.append((department, f"{department}_penalty{number}"))
    return feeds


def write_run_folder(folder: Path) -> RowsPart:
    """The files of one judged batch."""
    (folder / "rows").mkdir(parents=True)
    cells = {column: pa.array([f"{column}{row}" for row in range(ROWS)], pa.string()) for column in COLUMNS}
    pq.write_table(pa.table(cells), folder / "rows" / "000.parquet")
    where = [{"row_no": row, "extract": EXTRACT, "sheet": "", "line": row + 2} for row in range(ROWS)]
    accepted = {"outcome": "accepted", "change": "new", "version": 1, "excluded_reason": None}
    outcomes = [
        {**place, **accepted, "reasons": [], "record_key": f"{row:064d}"}
        if row >= PROBLEMS
        else {**place, **accepted, "outcome": "quarantined", "reasons": [CODES[row % 4]], "record_key": None}
        for row, place in enumerate(where)
    ]
    schema = pa.schema(
        [
            ("row_no", pa.int64()),
            ("extract", pa.string()),
            ("sheet", pa.string()),
            ("line", pa.int64()),
            ("outcome", pa.string()),
            ("change", pa.string()),
            ("version", pa.int32()),
            ("excluded_reason", pa.string()),
            ("reasons", pa.list_(pa.string())),
            ("record_key", pa.string()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(outcomes, schema), folder / "outcomes.parquet")
    findings = [
        {**where[row], "rule": CODES[row % 4], "severity": "block", "field": FIELDS[row % 4], "observed": ""}
        for row in range(PROBLEMS)
    ]
    pq.write_table(pa.Table.from_pylist(findings), folder / "findings.parquet")
    texts = ("extract", "extract_name", "sheet", "reason", "rule")
    rejects = pa.schema(
        [(name, pa.string()) for name in texts]
        + [("line", pa.int64()), ("expected_cells", pa.int64()), ("actual_cells", pa.int64()), ("bytes", pa.binary())]
    )
    pq.write_table(rejects.empty_table(), folder / "rejects.parquet")
    repairs = [
        {"row_no": row, "field": "CF_XDR_MC", "rule": "NAME-001", "old_value": "(", "new_value": "（"}
        for row in range(50)
    ]
    pq.write_table(pa.Table.from_pylist(repairs), folder / "repairs.parquet")
    for name, columns in (
        ("suggestions", ("field", "suggested", "kind", "evidence_zh", "evidence_en")),
        ("cases", ("case_key", "row_key", "rule", "field", "state")),
    ):
        empty = pa.schema([("row_no", pa.int64()), *((column, pa.string()) for column in columns)]).empty_table()
        pq.write_table(empty, folder / f"{name}.parquet")
    return RowsPart(EXTRACT, "penalty.csv", "", folder / "rows" / "000.parquet", COLUMNS, 0, ROWS, 2)


def add_night(context: Context, feeds: list[tuple[str, str]], day: date, template: Path, part: RowsPart) -> None:
    """One published batch of every feed; every fiftieth failed."""
    codes = sorted(rule_texts(context))
    endpoint = min(context.catalogue.endpoints)
    instant = datetime.combine(day, datetime.min.time()) + timedelta(hours=20)
    runs, counts, owed, facts, gates, extracts, tasks = [], [], [], [], [], [], []
    with context.ledger.write() as ledger:
        for number, (department, feed) in enumerate(feeds):
            failed = (number + day.day) % 50 == 0
            run = f"{feed}-{day:%Y%m%d}-001"
            batch = Batch(feed=feed, business_date=day, run=None if failed else run)
            ledger.add(batch)
            ledger.flush()
            rows = ROWS + (number * 7 + day.toordinal() * 13) % 90
            runs.append(
                {
                    "id": run,
                    "batch_id": batch.id,
                    "feed": feed,
                    "category": "administrative_penalty",
                    "business_date": day,
                    "attempt": 1,
                    "state": "failed" if failed else "published",
                    "stage": "pulling" if failed else "published",
                    "started_at": instant,
                    "finished_at": instant,
                    "rows_decoded": rows,
                    "accepted": rows - PROBLEMS,
                    "quarantined": PROBLEMS,
                    "new": rows - PROBLEMS,
                    "late": number % 3,
                    "repairs": 50,
                    "problem": "the source did not answer — look at the server" if failed else None,
                    "manifest": {"failure": "SourceError"} if failed else {"parts": [part.as_json()]},
                }
            )
            if failed:
                continue
            shutil.copytree(template, context.settings.runs / run, copy_function=os.link)
            failures = dict.fromkeys(CODES, PROBLEMS // 4)
            counts += [
                {"run": run, "rule": code, "severity": "block", "version": 1, "applied": rows}
                | {"failed": failures.get(code, 0), "waived": 0}
                for code in codes
            ]
            owed += [_owed(endpoint, feed, run, day, instant, position) for position in range(OWED)]
            facts += [
                {"department": department, "feed": feed, "category": "administrative_penalty", "business_date": day}
                | {"run": run, "profile": profile.profile, "figure": one.figure, "numerator": rows - PROBLEMS}
                | {"denominator": rows if one.denominator else None, "final": True}
                for profile in context.catalogue.profiles.values()
                for one in profile.figures
            ]
            gates += [
                {"run": run, "gate": f"GATE-{gate:03d}", "item": "", "outcome": "pass", "observed": 0.9, "usual": 0.9}
                | {"low": 0.8, "high": 1.0, "batches": 10}
                for gate in range(8)
            ]
            extracts.append(
                {"run": run, "position": 0, "sha256": EXTRACT, "name": "penalty.csv", "bytes": 100_000}
                | {"rows_decoded": rows, "lines_undecoded": 0, "manifest": {"encoding": "utf-8"}}
            )
            if day == FIRST:
                tasks += [_task(department, feed, run, day, number, code) for code in CODES]
        for table, lines in (
            (Run, runs),
            (RuleCount, counts),
            (Outbox, owed),
            (Fact, facts),
            (GateResult, gates),
            (Extract, extracts),
            (Task, tasks),
        ):
            if lines:
                ledger.execute(insert(table), lines)


def _owed(endpoint: str, feed: str, run: str, day: date, instant: datetime, position: int) -> dict[str, object]:
    return {
        "endpoint": endpoint,
        "category": "administrative_penalty",
        "feed": feed,
        "run": run,
        "record_key": f"{day:%Y%m%d}{position:04d}{feed}".ljust(64, "0")[:64],
        "version": 1,
        "content_hash": "c" * 64,
        "operation": "new",
        "business_date": day,
        "decision_date": day - timedelta(days=3),
        "deadline": day + timedelta(days=6),
        "deadline_provisional": False,
        "idempotency_key": f"{run}{position:04d}".ljust(64, "0")[-64:],
        "queued_at": instant,
        "sent_at": instant + timedelta(hours=1),
        "accepted_at": instant + timedelta(hours=2),
    }


def _task(department: str, feed: str, run: str, day: date, number: int, code: str) -> dict[str, object]:
    return {
        "reference": f"T-{number:03d}-{code[-7:]}",
        "department": department,
        "feed": feed,
        "category": "administrative_penalty",
        "rule": code,
        "rule_version": 1,
        "field": FIELDS[CODES.index(code)],
        "severity": "block",
        "owner": "department",
        "state": "open",
        "rows": number + 1,
        "rows_ever": number + 1,
        "first_seen": day,
        "last_seen": day,
        "run": run,
    }


def main(_csv: str, folder: str, nights: str = str(NIGHTS)) -> None:
    """Measure in ``folder``: the first build, the build after one more night, a build with nothing new."""
    place = Path(folder)
    shutil.rmtree(place, ignore_errors=True)
    feeds = describe(place / "root")
    settings = Settings(root=place / "root", home=place / "var", inbox=place / "inbox")
    settings.home_path.mkdir(parents=True)
    migrate(settings.ledger)
    context = open_context(settings)
    part = write_run_folder(place / "run")
    for back in range(int(nights)):
        add_night(context, feeds, FIRST + timedelta(days=back), place / "run", part)
    last = FIRST + timedelta(days=int(nights) - 1)
    meter = Meter()
    with meter.part(NOTHING):
        build_site(context, last)
    add_night(context, feeds, last + timedelta(days=1), place / "run", part)
    with meter.part(ONE_NIGHT):
        build_site(context, last + timedelta(days=1))
    with meter.part(AGAIN):
        build_site(context, last + timedelta(days=1))
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
