"""Golden cases: what goes in and what must come out (see ``data_samples/golden/cases.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_samples.golden.cases import case_name, expectations_of, golden_cases, run_case
from data_samples.golden.judging import SAMPLES
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.settings import Settings


def test_there_are_golden_cases_for_every_feed() -> None:
    covered = {case.parent.name for case in golden_cases()}
    assert covered >= set(load_catalogue(Settings()).feeds)
    assert all((SAMPLES / feed / "feed.yaml").exists() for feed in covered - set(load_catalogue(Settings()).feeds))


@pytest.mark.parametrize("case", golden_cases(), ids=case_name)
def test_golden_case(case: Path, tmp_path: Path) -> None:
    found, by_line = run_case(case, tmp_path), expectations_of(case)
    assert found.keys() == by_line.keys(), "every line needs an expectation"
    wrong = []
    for line, rows in by_line.items():
        verdict = found[line]
        outcome, reasons = rows[0]["outcome"], set(rows[0]["reasons"].split())
        if (verdict.outcome, verdict.reasons) != (outcome, reasons):
            wrong.append(f"{line}: {verdict.outcome} {sorted(verdict.reasons)}, expected {outcome} {sorted(reasons)}")
        wrong += [
            f"{line}: {row['field']} is {verdict.values[row['field']]!r}, expected {row['value']!r}"
            for row in rows
            if row["field"] and (verdict.values[row["field"]] or "") != row["value"]
        ]
    assert not wrong, "\n" + "\n".join(wrong)
