"""Peak memory of intake for a million and for ten million narrow rows (8 columns), each size in its own process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.engine.duck import literal, session
from pipelines.intake.landing import land
from pipelines.intake.reading import read_landed
from pipelines.settings import Settings

SIZES = (1_000_000, 10_000_000)
HEADER = "行政相对人名称,统一社会信用代码,行政处罚决定书文号,违法事实,处罚类别,罚款金额(万元),处罚决定日期,处罚机关\n"
_PIECE = 1_000_000


def write_rows(path: Path, rows: int) -> None:
    """Narrow penalty rows, one in a thousand with a quoted line break; per million a line with a cell too few."""
    piece = path.with_name("piece.csv")
    with session() as duck, path.open("wb") as file:
        file.write(HEADER.encode())
        for first in range(0, rows, _PIECE):
            duck.execute(
                f"""
                COPY (
                    SELECT '示例市样本商贸第' || i || '号有限公司',
                           '91119900MA' || lpad((i % 90000000)::VARCHAR, 8, '0'),
                           '示市监罚〔2026〕' || i || '号',
                           '经检查发现当事人经营的食品超过保质期' || CASE WHEN i % 1000 = 7 THEN chr(10) ELSE '，' END
                               || '货值金额' || hash(i) % 90000 || '元', '罚款', (hash(i, 1) % 500) / 100,
                           DATE '2026-11-19' - (hash(i, 2) % 90)::INTEGER, '示例市样本区市场监督管理局'
                    FROM range({first}, {min(first + _PIECE, rows)}) AS numbers(i)
                ) TO {literal(str(piece))} (FORMAT csv, HEADER false)
                """
            )
            file.write(piece.read_bytes() + "缺少一格\n".encode())
            piece.unlink()


def read(path: Path, folder: Path) -> None:
    """Take one file in and print seconds and peak memory of this process."""
    start = time.perf_counter()
    with session(threads=2) as duck:
        landed = [land(path, folder / "landing")]
        found = read_landed(duck, landed, None, load_catalogue(Settings()).categories["administrative_penalty"], folder)
    seconds = time.perf_counter() - start
    # The high-water mark of this program; ru_maxrss begins with that of the process which started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    print(json.dumps({"seconds": seconds, "peak_gb": int(peak[1]) / 1e6 if peak else 0.0, "rows": found.rows_decoded}))


def main(_: str, folder: str) -> None:
    root = Path(folder)
    seconds: dict[str, float] = {}
    peaks: list[float] = []
    for rows in SIZES:
        home = root / str(rows)
        home.mkdir(parents=True)
        write_rows(home / "rows.csv", rows)
        command = [sys.executable, "-m", "benchmarks.memory", "--read", str(home / "rows.csv"), str(home / "out")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, float] = json.loads(done.stdout)
        if found["rows"] != rows:
            raise SystemExit(f"{found['rows']} rows of {rows} came out")
        seconds[f"intake of {rows:,} narrow rows"] = found["seconds"]
        peaks.append(found["peak_gb"])
        (home / "rows.csv").unlink()
    growth = (peaks[-1] - peaks[0]) * 1000
    print(json.dumps({**seconds, "total": sum(seconds.values()), "peak_gb": peaks[-1], "growth_mb": growth}))


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        read(*map(Path, sys.argv[2:]))
    else:
        main(*sys.argv[1:])
