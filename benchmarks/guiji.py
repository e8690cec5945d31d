"""Our whole way: intake → normalize → dedupe → quality (scan and Great Expectations) → records.

Imports are not measured, on either side.
"""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path

from benchmarks.meter import Meter
from pipelines.operations import judging, publishing, pulling
from pipelines.operations.context import Context, open_context
from pipelines.quality import great_expectations_engine  # noqa: F401 - the library takes seconds to import
from pipelines.settings import PROJECT_ROOT, Settings

DAY = date(2026, 11, 20)
FEED = """
feed: bench_penalty
name_zh: 基准测试
category: administrative_penalty
edition: 2018
source: {kind: folder, path: bench}
conflict: last_row
"""


def install(csv: Path, folder: Path, more: str = "") -> Context:
    """An installation with one feed, described by :data:`FEED` and ``more``, and the rows in its inbox."""
    root, home, inbox = (folder / name for name in ("root", "home", "inbox"))
    shutil.copytree(PROJECT_ROOT / "schemas", root / "schemas")
    shutil.copytree(PROJECT_ROOT / "expectations", root / "expectations")
    department = root / "schemas" / "departments" / "bench"
    department.mkdir()
    (department / "department.yaml").write_text("department: bench\nname_zh: 基准\nuscc: 12100000400000624D\n")
    (department / "penalty.yaml").write_text(FEED + more)
    (inbox / "bench").mkdir(parents=True)
    (inbox / "bench" / "penalties.csv").hardlink_to(csv)
    return open_context(Settings(root=root, home=home, inbox=inbox))


def main(csv: str, folder: str) -> None:
    context = install(Path(csv), Path(folder))
    meter = Meter()
    with meter.part("intake (land, decode)"):
        run = pulling.pull_batch(context, "bench_penalty", DAY)
    with meter.part("normalize, dedupe, quality"):
        judging.judge_batch(context, run)
    with meter.part("publish (records, ledger)"):
        publishing.publish_batch(context, run)
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
