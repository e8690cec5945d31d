"""What makes a batch worth judging again, and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.catalogue import catalogue
from pipelines.operations.fingerprint import deciding_parts, differences, fingerprint_of, marks_of
from tests.operations.small_feed import FEED, Installation


def deciding(installation: Installation) -> dict[str, Any]:
    catalogue._load.cache_clear()
    context = installation.context
    return deciding_parts(context, context.catalogue.feed(FEED), ["a" * 64])


def edit_yaml(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def another_authority(root: Path) -> None:
    """Codes that a source left out are filled in from the dictionary."""
    one = {"name": "示例市水务局", "code": "11119900MA990077XH"}
    edit_yaml(root / "schemas" / "authorities.yaml", lambda content: content["authorities"].append(one))  # type: ignore[attr-defined]


def another_region(root: Path) -> None:
    """Rules ask whether the department may decide there."""
    path = root / "schemas" / "departments" / "dept" / "department.yaml"
    edit_yaml(path, lambda content: content.update(regions=["1199"]))


def another_set_rule(root: Path) -> None:
    path = root / "expectations" / "set_rules.json"
    suite = json.loads(path.read_text(encoding="utf-8"))
    suite["expectations"].pop()
    path.write_text(json.dumps(suite), encoding="utf-8")


def another_conflict(root: Path) -> None:
    path = root / "schemas" / "departments" / "dept" / "penalty.yaml"
    edit_yaml(path, lambda content: content.update(conflict="last_row"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (another_authority, "the dictionary of authorities"),
        (another_region, "regions of the department"),
        (another_set_rule, "rules and calendars: set_rules.json"),
        (another_conflict, "feed: conflict"),
    ],
)
def test_what_decides_a_result_is_part_of_it(tmp_path: Path, change: Callable[[Path], None], words: str) -> None:
    installation = Installation(tmp_path)
    before = deciding(installation)
    change(tmp_path / "root")
    after = deciding(installation)
    assert fingerprint_of(after) != fingerprint_of(before)
    assert differences(marks_of(before), marks_of(after)) == [words]


def another_golden_case(root: Path) -> None:
    path = root / "expectations" / "golden_cases.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def another_profile(root: Path) -> None:
    """Asked again before every delivery, and no business of the batch."""
    for path in (root / "expectations" / "acceptance").glob("*.json"):
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


@pytest.mark.parametrize("change", [another_golden_case, another_profile])
def test_what_decides_nothing_is_not(tmp_path: Path, change: Callable[[Path], None]) -> None:
    installation = Installation(tmp_path)
    before = deciding(installation)
    change(tmp_path / "root")
    assert deciding(installation) == before
