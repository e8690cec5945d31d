"""``guiji audit verify`` over 10,000 runs, and what the ledger and the chain in it take of one run of 5,000 rows.

One small batch is run as always and then copied: ledger rows, entries, every file of its folder and of the Delta
tables, an extract of its own each. Files are copied, not linked, and read from the page cache as far as that reaches.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction
from sqlalchemy import event, insert, select

from benchmarks.guiji import FEED
from benchmarks.meter import Meter
from pipelines.intake.landing import landed_path
from pipelines.ledger import chain
from pipelines.ledger.models import Batch, Extract, Run
from pipelines.ledger.operation_models import ChainEntry
from pipelines.operations import publishing
from pipelines.operations.audit import verify
from pipelines.operations.context import Context, open_context
from pipelines.operations.night import run_batch
from pipelines.quality import great_expectations_engine  # noqa: F401 - the library takes seconds to import
from pipelines.settings import PROJECT_ROOT, Settings

RUNS, DAYS = 10_000, 25
SMALL, USUAL = 200, 5_000
BENCH = "bench_penalty"
FULL, QUICK = "audit verify", "audit verify --quick"
ONE_RUN, LEDGER, CHAIN = "one run of 5,000 rows", "the ledger in it", "the chain in it"


def run_of(context: Context, csv: Path, rows: int, day: date) -> str:
    """Run a batch of the first rows of the benchmark's file."""
    with csv.open("rb") as lines, (context.settings.inbox / "bench" / "penalties.csv").open("wb") as extract:
        extract.writelines(islice(lines, rows + 1))
    return run_batch(context, BENCH, day)


def measure_one(context: Context, csv: Path, meter: Meter) -> None:
    """A whole run, of it every statement of the ledger, and hashing and writing the entry; the three overlap."""
    seconds = {LEDGER: 0.0, CHAIN: 0.0}

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*values, **named)
            finally:
                seconds[part] += time.perf_counter() - start

        return call

    begun: list[float] = []
    event.listen(context.ledger.engine, "before_cursor_execute", lambda *_: begun.append(time.perf_counter()))
    event.listen(
        context.ledger.engine,
        "after_cursor_execute",
        lambda *_: seconds.update({LEDGER: seconds[LEDGER] + time.perf_counter() - begun.pop()}),
    )
    context.ledger.engine.dialect.do_commit = timed(LEDGER, context.ledger.engine.dialect.do_commit)  # type: ignore[method-assign]
    publishing.prepare_entry = timed(CHAIN, publishing.prepare_entry)
    publishing.append_run = timed(CHAIN, publishing.append_run)
    start = time.perf_counter()
    run_of(context, csv, USUAL, date(2026, 10, 31))
    meter.parts |= {ONE_RUN: time.perf_counter() - start, **seconds}


def fill(context: Context, original: str) -> None:
    """Copies of a published run until the chain has the wanted number of them."""
    home = context.settings.home_path
    with context.ledger.read() as ledger:
        run = ledger.get_one(Run, original)
        extract = ledger.scalars(select(Extract).where(Extract.run == original)).one()
        entry = ledger.scalars(select(ChainEntry).where(ChainEntry.subject == original)).one()
    bytes_of_extract = landed_path(context.settings.landing, extract.sha256).read_bytes()
    actions: dict[str, list[AddAction]] = {"records/administrative_penalty": [], "findings": []}
    tables: dict[type[Batch] | type[Run] | type[Extract], list[dict[str, Any]]] = {Batch: [], Run: [], Extract: []}
    contents: list[tuple[str, dict[str, Any]]] = []
    for number in range(RUNS - 2):
        feed, day = f"copy{number // DAYS:03d}", date(2026, 11, number % DAYS + 1)
        name = f"{feed}-{day:%Y%m%d}-001"
        sent = b"%d\n" % number + bytes_of_extract
        sha = hashlib.sha256(sent).hexdigest()
        text = entry.content.replace(original, name).replace(run.feed, feed).replace(extract.sha256, sha)
        text = text.replace(f"/{extract.sha256[:2]}/", f"/{sha[:2]}/").replace(f"{run.business_date}", f"{day}")
        content = json.loads(text)
        content["extracts"][0]["bytes"] = content["files"][0]["bytes"] = len(sent)
        for old, new in zip(json.loads(entry.content)["files"], content["files"], strict=True):
            target = home / new["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            if new["path"].startswith("landing/"):
                target.write_bytes(sent)
                continue
            shutil.copyfile(home / old["path"], target)
            for folder, added in actions.items():
                if new["path"].startswith(folder):
                    inner = Path(new["path"]).relative_to(folder).as_posix()
                    values = dict(part.split("=") for part in inner.split("/")[:-1])
                    added.append(AddAction(inner, new["bytes"], values, 0, True, "{}"))
        place = 1_000 + number
        tables[Batch].append({"id": place, "feed": feed, "business_date": day, "run": name})
        told = {"id": name, "batch_id": place, "feed": feed, "business_date": day, "publication": number % DAYS + 1}
        tables[Run].append(columns(run) | told)
        tables[Extract].append(columns(extract) | {"id": place, "run": name, "sha256": sha, "bytes": len(sent)})
        contents.append((name, content))
    for folder, added in actions.items():
        table = DeltaTable(str(home / folder))
        schema, by = pa.schema(table.schema().to_arrow()), table.metadata().partition_columns
        table.create_write_transaction(added, mode="append", schema=schema, partition_by=by)
    with context.ledger.write() as ledger:
        for model, rows in tables.items():
            ledger.execute(insert(model), rows)
        for name, content in contents:
            chain.append(ledger, chain.RUN, name, content, entry.at)


def columns(row: Run | Extract) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in type(row).__table__.columns}


def main() -> None:
    csv, folder = Path(sys.argv[1]), Path(sys.argv[2])
    root = folder / "root"
    for part in ("schemas", "expectations"):
        shutil.copytree(PROJECT_ROOT / part, root / part)
    department = root / "schemas" / "departments" / "bench"
    department.mkdir()
    (department / "department.yaml").write_text("department: bench\nname_zh: 基准\nuscc: 12100000400000624D\n")
    (department / "penalty.yaml").write_text(FEED)
    (folder / "inbox" / "bench").mkdir(parents=True)
    context = open_context(Settings(root=root, home=folder / "home", inbox=folder / "inbox"))
    small = run_of(context, csv, SMALL, date(2026, 11, 20))
    meter = Meter()
    measure_one(context, csv, meter)
    fill(context, small)
    for part, quick in ((FULL, False), (QUICK, True)):
        start = time.perf_counter()
        audit = verify(context, quick=quick)
        meter.parts[part] = time.perf_counter() - start
        if audit.problems or audit.runs != RUNS:
            raise RuntimeError(f"{audit.runs} runs, {len(audit.problems)} problems, such as {audit.problems[:1]}")
        print(f"{part}: {audit.files} files, {audit.bytes / 1e6:.0f} MB", file=sys.stderr)
    meter.print()


if __name__ == "__main__":
    main()
