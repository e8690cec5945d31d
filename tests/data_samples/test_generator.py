"""The generator: the same bytes every time, subjects that formally exist, a mix as declared."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from data_samples.generate import RENAMED, generate
from data_samples.generator.feeds import FEEDS
from data_samples.generator.registry import KNOWN
from data_samples.generator.repairable import capital_numerals
from data_samples.golden.judging import SAMPLES
from pipelines.identity.uscc import uscc_verdict


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    generate(folder)
    return folder


def files(folder: Path) -> Iterator[Path]:
    yield from (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_samples_in_the_repository_are_what_the_generator_writes(again: Path) -> None:
    written = list(files(again))
    assert len(written) == 2 * len(FEEDS) + 1
    for path in written:
        assert content(SAMPLES / path) == content(again / path), path


def test_two_runs_give_the_same_bytes(again: Path, tmp_path: Path) -> None:
    generate(tmp_path)
    assert {path: (tmp_path / path).read_bytes() for path in files(tmp_path)} == {
        path: (again / path).read_bytes() for path in files(again)
    }


def content(path: Path) -> bytes | list[tuple[str, bytes]]:
    """Bytes; of a workbook its members, because machines may differ in how they compress."""
    if path.suffix != ".xlsx":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in sorted(archive.namelist())]


def test_the_mix_is_as_declared(again: Path) -> None:
    for feed in FEEDS:
        with (again / feed.code / "2026-11-20.planted.csv").open(encoding="utf-8", newline="") as file:
            counts = Counter(row["defect"] for row in csv.DictReader(file))
        exact, superseded, conflicting = feed.repeats
        declared = Counter(feed.plan) + Counter(
            exact_duplicate=exact,
            superseded=superseded,
            conflicting=2 * conflicting,
            renamed_subject=RENAMED[feed.code],
            content_missing=4,
        )
        assert counts == declared, feed.code


def test_every_known_defect_is_planted_somewhere() -> None:
    planted = {name for feed in FEEDS for name in feed.plan}
    assert set(KNOWN) - planted == {"exact_duplicate", "superseded", "conflicting", "renamed_subject"}


def test_subjects_have_valid_codes_and_visibly_synthetic_names() -> None:
    with (SAMPLES / "subjects.csv").open(encoding="utf-8", newline="") as file:
        subjects = list(csv.DictReader(file))
    verdicts = Counter(uscc_verdict(subject["code"]) for subject in subjects)
    assert set(verdicts) == {"valid", "issued_nonstandard"}
    assert all(subject["name"].startswith("示例市样本") for subject in subjects)
    assert sum("新名" in subject["name"] for subject in subjects if uscc_verdict(subject["code"]) == "valid") == sum(
        RENAMED.values()
    )


def test_the_business_date_is_the_edge_of_the_clock() -> None:
    from pipelines.deadlines.calendar import load_calendar
    from pipelines.deadlines.clock import deadline_table, load_policy
    from pipelines.settings import Settings

    settings = Settings()
    day = date(2026, 11, 11)
    table = deadline_table(load_calendar(settings), load_policy(settings), day, day).to_pylist()
    assert [row["deadline"] for row in table] == [date(2026, 11, 20)]


@pytest.mark.parametrize(
    ("yuan", "text"),
    [
        (500, "伍佰元整"),
        (5300, "伍仟叁佰元整"),
        (23040, "贰万叁仟零肆拾元整"),
        (100500, "壹拾万零伍佰元整"),
        (200000, "贰拾万元整"),
    ],
)
def test_capital_numerals(yuan: int, text: str) -> None:
    assert capital_numerals(yuan) == text
