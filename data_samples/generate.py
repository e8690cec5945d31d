"""Write the sample feeds of the synthetic city 示例市: ``python -m data_samples.generate [folder]``.

Deterministic: the same project gives the same bytes. For every feed it writes

* ``<feed>/2026-11-20/<extract>``: what the department drops on the business date,
* ``<feed>/2026-11-20.planted.csv``: which defect stands in which line, and what must become of that line,

and once ``subjects.csv``, the subject base of the sandbox receiver. Lines that the planted file does not name are
clean: nothing may be found in them. The planted files lie beside the inbox folders, never in them.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from random import Random

from data_samples.generator.city import BUSINESS_DATE, Subject, nonstandard_code, organisations
from data_samples.generator.feeds import FEEDS, Batch, batch_of, handed_over
from data_samples.generator.registry import KNOWN

SHARED_DECISIONS = 5
RENAMED = {"market_penalty": 1, "market_licence": 2, "ecology_penalty": 1, "housing_licence": 1}
PLANTED_COLUMNS = ("line", "defect", "number", "outcome", "reasons")


def generate(target: Path) -> None:
    """Write all samples below ``target``; existing files of the same names are replaced."""
    everybody = organisations(Random("guiji city"))
    companies = [subject for subject in everybody if subject.code.startswith("91")]
    renamed = companies[-sum(RENAMED.values()) :]
    usual = [subject for subject in everybody if subject not in renamed]
    waiting = list(renamed)
    batches: dict[str, Batch] = {}
    for feed in FEEDS:
        mine = [waiting.pop() for _ in range(RENAMED[feed.code])]
        shared = []
        if feed.code == "market_penalty":
            shared = [handed_over(row) for row in batches["ecology_penalty"].clean[:SHARED_DECISIONS]]
        batch = batches[feed.code] = batch_of(feed, usual, mine, shared)
        folder = target / feed.code / BUSINESS_DATE.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        lines = feed.write(folder / feed.file, batch.rows)
        _write_planted(folder.with_suffix(".planted.csv"), batch, lines)
    _write_subjects(target / "subjects.csv", everybody, renamed)


def _write_planted(path: Path, batch: Batch, lines: list[int]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PLANTED_COLUMNS)
        for line, row in zip(lines, batch.rows, strict=True):
            for name in row.planted:
                defect = KNOWN[name]
                writer.writerow((line, name, defect.number, defect.outcome, " ".join(defect.reasons)))


def _write_subjects(path: Path, everybody: list[Subject], renamed: list[Subject]) -> None:
    """What the receiver knows: everybody under both codes, the renamed ones by the name that they bear now."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("code", "name"))
        for subject in everybody:
            name = subject.name.replace("示例市样本", "示例市样本新名") if subject in renamed else subject.name
            for code in dict.fromkeys((subject.code, nonstandard_code(subject))):
                writer.writerow((code, name))


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    generate(target)
    print(f"样本已写入 {target}")


if __name__ == "__main__":
    main()
