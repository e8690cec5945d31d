"""Write ``golden_every_rule`` of each category: one clean row per kind of subject, then one row per row rule.

The rows are those of ``tests/quality/cases/``, typed by hand as a clean row and the cells that break a rule. In a file
some of them have to be written in another way, because normalize would mend them: ``sent`` gives those cells, and
``also_sent`` completes the reasons of the row where they differ from ``also``.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import yaml

from data_samples.golden.judging import SAMPLES
from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Category
from pipelines.quality.suite import load_suite
from pipelines.settings import PROJECT_ROOT, Settings

DEVIATIONS = PROJECT_ROOT / "tests" / "quality" / "cases"
# The document number of a row that is not about document numbers: its own, so that no two rows are one decision.
NUMBER = "〔2026〕15号"
CASE = "golden_every_rule"
# The column of the feed that says when a row was changed last; the rules call it source_timestamp.
TIMESTAMP = "更新时间"
EXPECTED = ("line", "outcome", "reasons", "field", "value")


def write_every_rule(catalogue: Catalogue) -> list[Path]:
    """Write the cases anew; returns their folders."""
    return [_write(catalogue, catalogue.categories[path.stem]) for path in sorted(DEVIATIONS.glob("*.yaml"))]


def _write(catalogue: Catalogue, category: Category) -> Path:
    suite = load_suite(Settings(), category, catalogue.code_lists)
    described = yaml.safe_load((DEVIATIONS / f"{category.category}.yaml").read_text(encoding="utf-8"))
    bases: dict[str, dict[str, str]] = described["bases"]
    rows = [(base, set[str]()) for base in bases.values()]
    for entry in described["cases"]:
        changed = {**entry["set"], **entry.get("sent", {})}
        row = {**bases[entry.get("base", "organisation")], **{code: _cell(value) for code, value in changed.items()}}
        rows.append((row, {entry["rule"], *entry.get("also_sent", entry.get("also", ()))}))
    folder = SAMPLES / category.category.replace("administrative", "standard") / CASE
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "extract.csv").open("w", encoding="utf-8", newline="") as extract,
        (folder / "expected.csv").open("w", encoding="utf-8", newline="") as expected,
    ):
        sent, wanted = csv.writer(extract, lineterminator="\n"), csv.writer(expected, lineterminator="\n")
        sent.writerow([*(field.name_zh for field in category.fields), TIMESTAMP])
        wanted.writerow(EXPECTED)
        line = 2
        for row, reasons in rows:
            cells = [_numbered(row.get(code), line) for code in (*category.field_codes, "source_timestamp")]
            sent.writerow(cells)
            blocked = any(suite.rule(code).blocking for code in reasons)
            wanted.writerow([line, "quarantined" if blocked else "accepted", " ".join(sorted(reasons)), "", ""])
            line += 1 + sum(cell.count("\n") for cell in cells)
    return folder


def _numbered(cell: str | None, line: int) -> str:
    return (cell or "").replace(NUMBER, f"〔2026〕{line}号")


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        text, times = value["repeat"]
        return str(text) * int(times)
    return "" if value is None else str(value)
