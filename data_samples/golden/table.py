"""Which golden case breaks which rule, found by running every case.

A rule about whole batches, a history or an endpoint is broken by no file alone: ``tests/golden_tests.yaml`` names the
test that breaks it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import yaml

from data_samples.golden.cases import case_name, golden_cases, run_case
from pipelines.quality.golden_cases import GOLDEN_CASES
from pipelines.settings import PROJECT_ROOT, Settings

GOLDEN_TESTS = PROJECT_ROOT / "tests" / "golden_tests.yaml"
NOTE = "Written by running every golden case: python -m data_samples.golden"


def golden_tests() -> dict[str, tuple[str, ...]]:
    """Code → the test functions that break the rule, ``<file>::<function>``."""
    named = yaml.safe_load(GOLDEN_TESTS.read_text(encoding="utf-8"))
    return {str(code): tuple(tests) for code, tests in named.items()}


def golden_table() -> dict[str, list[str]]:
    """Code → the cases that break the rule, then the tests; sorted by code."""
    found: dict[str, list[str]] = {}
    for case in golden_cases():
        with tempfile.TemporaryDirectory() as scratch:
            verdicts = run_case(case, Path(scratch))
        for code in {code for verdict in verdicts.values() for code in verdict.reasons}:
            found.setdefault(code, []).append(case_name(case))
    for code, tests in golden_tests().items():
        found.setdefault(code, []).extend(tests)
    return dict(sorted(found.items()))


def table_text(table: dict[str, list[str]]) -> str:
    """The table as the file holds it."""
    return json.dumps({"notes": NOTE, "rules": table}, ensure_ascii=False, indent=1) + "\n"


def write_table() -> Path:
    """Write ``expectations/golden_cases.json`` anew."""
    path = Settings().expectations / GOLDEN_CASES
    path.write_text(table_text(golden_table()), encoding="utf-8")
    return path
