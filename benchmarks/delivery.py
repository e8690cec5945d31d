"""A REST delivery to the local receiver against a bare httpx loop that posts the same bodies to another one.

``deliver`` looks the records up, forms packages, keeps them in the ledger, sends them, fetches all receipts and settles
every record by them; the loop posts the bodies that ``deliver`` sent and asks for nothing. Both talk to a receiver in a
process of its own with an empty store. Both in turn, several rounds, the best of each.
"""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

import httpx
from sqlalchemy import insert

from benchmarks.meter import Meter
from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.delivery.deliver import deliver
from pipelines.delivery.rest import RestAdapter
from pipelines.ledger.database import Ledger, migrate, open_ledger
from pipelines.ledger.models import Batch, ConsolidatedRun, Outbox, Run
from pipelines.settings import Settings

DELIVERY = "delivery"
BARE = "bare httpx loop"
ROWS = 50_000
ROUNDS = 3
TOKEN = "benchmark-token"  # noqa: S105 - opens a receiver that lives for some seconds
FEED = "bench_penalty"
DAY = date(2026, 11, 20)
AT = datetime(2026, 11, 20, 2)  # noqa: DTZ001 - the ledger keeps UTC without zone

# Field code → column of the CSV.
TEXTS = {
    "CF_XDR_MC": "行政相对人名称",
    "CF_FRDB": "法定代表人",
    "CF_WFXW": "违法行为类型",
    "CF_SY": "违法事实",
    "CF_YJ": "处罚依据",
    "CF_NR": "处罚内容",
    "CF_CFJG": "处罚机关",
    "CF_SJLY": "数据来源单位",
}
SAME: dict[str, object] = {
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": "91350100M000100Y43",
    "CF_CFLB": "罚款",
    "CF_NR_FK": Decimal("0.200000"),
    "CF_JDRQ": date(2026, 11, 12),
    "CF_YXQ": date(2099, 12, 31),
    "CF_CFJGDM": "11350100M000100Y4X",
    "CF_SJLYDM": "11350100M000100Y4X",
}

VersionKey = tuple[str, str, int]
Records = dict[VersionKey, dict[str, object]]
Call = tuple[str, dict[str, str], bytes]
"""Path, headers and body of a submission."""


def read_records(path: Path, rows: int) -> Records:
    """The first rows of the penalty CSV as the record store gives them; what the receiver would refuse is mended."""
    records: Records = {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for number, row in enumerate(islice(csv.DictReader(file), rows)):
            texts = {code: (row[name] or "").replace("\ufffd", "") or "不详" for code, name in TEXTS.items()}
            key = hashlib.sha256(str(number).encode()).hexdigest()
            records[FEED, key, 1] = {**SAME, **texts, "CF_WSH": f"样市监罚〔2026〕{number}号"}
    return records


def make_ledger(path: Path, records: Records) -> Ledger:
    """A ledger with one published run that owes all records."""
    url = f"sqlite:///{path}"
    migrate(url)
    ledger = open_ledger(url)
    with ledger.write() as session:
        batch = Batch(feed=FEED, business_date=DAY)
        session.add(batch)
        session.flush()
        run = Run(id=FEED, batch_id=batch.id, feed=FEED, category="administrative_penalty", business_date=DAY)
        run.attempt, run.state, run.stage, run.started_at = 1, "published", "published", AT
        session.add(run)
        session.flush()
        session.add(ConsolidatedRun(run=FEED, at=AT))
        rows = [
            {
                "endpoint": "province_sandbox",
                "category": "administrative_penalty",
                "feed": FEED,
                "run": FEED,
                "record_key": key,
                "version": version,
                "content_hash": key,
                "operation": "new",
                "business_date": DAY,
                "decision_date": DAY,
                "deadline": DAY,
                "deadline_provisional": False,
                "idempotency_key": hashlib.sha256(f"{key} {version}".encode()).hexdigest(),
                "queued_at": AT,
            }
            for _feed, key, version in records
        ]
        session.execute(insert(Outbox), rows)
    return ledger


@contextmanager
def receiver(folder: Path) -> Iterator[str]:
    """A receiver with an empty store, in a process of its own; gives its address."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = folder / "port"
    command = [sys.executable, "-m", "pipelines.cli", "sandbox", "serve", "--port", "0", "--port-file", str(port)]
    command += ["--store", str(folder / "store.sqlite"), "--variable", "BENCHMARK_TOKEN"]
    environment = os.environ | {"BENCHMARK_TOKEN": TOKEN}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            limit = time.monotonic() + 60
            while not port.exists():
                if process.poll() is not None or time.monotonic() > limit:
                    raise RuntimeError("the receiver did not become ready")
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port.read_text().strip()}"
        finally:
            process.terminate()


def measure_delivery(url: str, ledger: Ledger, catalogue: Catalogue, records: Records) -> tuple[float, list[Call]]:
    """Seconds of one delivery of everything, and the submissions it made."""
    endpoint = catalogue.endpoints["province_sandbox"]
    adapter = RestAdapter(endpoint, url, TOKEN)
    calls: list[Call] = []

    def note(request: httpx.Request) -> None:
        if request.method == "POST":
            kept = {name: request.headers[name] for name in ("Authorization", "Content-Type", "Idempotency-Key")}
            calls.append((request.url.raw_path.decode(), kept, request.content))

    adapter._client.event_hooks["request"].append(note)

    def load(_category: str, keys: Sequence[VersionKey]) -> Records:
        return {key: records[key] for key in keys}

    start = time.perf_counter()
    result = deliver(ledger, endpoint, adapter, catalogue.categories, load)
    seconds = time.perf_counter() - start
    if result.accepted != len(records):
        raise RuntimeError(f"not everything was delivered: {result}")
    return seconds, calls


def measure_bare(url: str, calls: Sequence[Call]) -> float:
    """Seconds that it takes to post the same bodies one after the other."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        start = time.perf_counter()
        for path, headers, body in calls:
            client.post(url + path, headers=headers, content=body).raise_for_status()
        return time.perf_counter() - start


def main(csv_file: str, folder: str, rows: str = str(ROWS)) -> None:
    """Measure in ``folder`` with the first ``rows`` of the CSV."""
    place = Path(folder)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    catalogue = load_catalogue(Settings())
    records = read_records(Path(csv_file), int(rows))
    best = {DELIVERY: float("inf"), BARE: float("inf")}
    for number in range(ROUNDS):
        ledger = make_ledger(place / f"ledger-{number}.sqlite", records)
        with receiver(place / "ours") as url:
            seconds, calls = measure_delivery(url, ledger, catalogue, records)
        best[DELIVERY] = min(best[DELIVERY], seconds)
        ledger.engine.dispose()
        with receiver(place / "bare") as url:
            best[BARE] = min(best[BARE], measure_bare(url, calls))
    meter = Meter()
    meter.parts |= best
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
