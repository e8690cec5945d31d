"""The scan and Great Expectations count the same, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.dedupe.keys import add_keys
from pipelines.engine.duck import Session, session
from pipelines.errors import ConservationError
from pipelines.quality import conservation
from pipelines.quality.compile import judge
from pipelines.quality.great_expectations_bridge import validate_with_great_expectations
from pipelines.quality.rules import RuleCount

from .mutations import mutated_rows
from .rows import BUSINESS_DATE, CATEGORIES, catalogue, standard_table, suite


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("seed", [1, 20261122])
def test_both_judges_count_the_same(category: str, seed: int, tmp_path: Path) -> None:
    schema = catalogue().categories[category]
    with session() as duck:
        standard_table(duck, schema, mutated_rows(category, 2500, seed))
        add_keys(duck, schema)
        _remember_other_names(duck)
        scanned = judge(duck, suite(category), schema, BUSINESS_DATE)
        file = tmp_path / "result.json"
        validated = validate_with_great_expectations(duck, suite(category), schema, BUSINESS_DATE, result_file=file)
        assert duck.one("SELECT count(*) FROM standard") == (2500,), "the session is still ours and open"
    assert validated == scanned
    unbroken = {count.code for count in scanned if not count.failed}
    assert unbroken == {"SET-007"}, "a rule that nothing breaks proves nothing; no batch of this kind has one date"
    conservation.check_agreement("r1", scanned, validated)
    result = file.read_text(encoding="utf-8")
    assert "unexpected_list" not in result
    assert "13812345678" not in result


def _remember_other_names(duck: Session) -> None:
    """A past in which every subject had another name."""
    duck.execute(
        "CREATE TABLE past AS SELECT record_key, document_key, subject_key, '旧名' AS subject_name, "
        "DATE '2026-03-02' AS decision_date FROM keyed"
    )


def test_disagreement_stops_a_run() -> None:
    scanned = [RuleCount("REQ-CF_WSH", 10, 1), RuleCount("LEN-CF_WSH", 9, 0)]
    with pytest.raises(ConservationError, match="LEN-CF_WSH"):
        conservation.check_agreement("r1", scanned, [scanned[0], replace(scanned[1], failed=1)])
    with pytest.raises(ConservationError, match="LEN-CF_WSH"):
        conservation.check_agreement("r1", scanned[:1], scanned)
