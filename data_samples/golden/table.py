"""Which golden case breaks which rule, found by running every case.

A rule about whole batches, a history or an endpoint is broken by no file alone: ``tests/golden_tests.yaml`` names the
test that breaks it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

from data_samples.golden.cases import case_name, golden_cases, run_case
from data_samples.golden.judging import Verdict
from pipelines.quality.golden_cases import GOLDEN_CASES
from pipelines.settings import PROJECT_ROOT, Settings

GOLDEN_TESTS = PROJECT_ROOT / "tests" / "golden_tests.yaml"
NOTE = "Written by running every golden case: python -m data_samples.golden"


def golden_tests() -> dict[str, tuple[str, ...]]:
    """Code → the test functions that break the rule, ``<file>::<function>``."""
    named = yaml.safe_load(GOLDEN_TESTS.read_text(encoding="utf-8"))
    return {str(code): tuple(tests) for code, tests in named.items()}


def golden_table(run: Callable[[Path], dict[int, Verdict]]) -> dict[str, list[str]]:
    """Code → the cases that break the rule, then the tests; sorted by code. ``run`` gives the verdicts of a case."""
    found: dict[str, list[str]] = {}
    for case in golden_cases():
        for code in {code for verdict in run(case).values() for code in verdict.reasons}:
            found.setdefault(code, []).append(case_name(case))
    for code, tests in golden_tests().items():
        found.setdefault(code, []).extend(tests)
    return dict(sorted(found.items()))


def table_text(table: dict[str, list[str]]) -> str:
    """The table as the file holds it."""
    return json.dumps({"notes": NOTE, "rules": table}, ensure_ascii=False, indent=1) + "\n"


def run_aside(case: Path) -> dict[int, Verdict]:
    """The verdicts of a case; leaves nothing behind."""
    with tempfile.TemporaryDirectory() as scratch:
        return run_case(case, Path(scratch))


def write_table() -> Path:
    """Write ``expectations/golden_cases.json`` anew."""
    path = Settings().expectations / GOLDEN_CASES
    path.write_text(table_text(golden_table(run_aside)), encoding="utf-8")
    return path
