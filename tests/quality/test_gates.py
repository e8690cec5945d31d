"""Gates: what is usual, how far from it a batch may lie, and what the checkpoint says about it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from math import inf
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalogue.gate_settings import GATE_NAMES, Gates, Tolerance
from pipelines.deadlines.calendar import load_calendar
from pipelines.engine.duck import session
from pipelines.errors import CatalogueError, ConservationError
from pipelines.ledger.database import now
from pipelines.ledger.quality_models import GateThreshold
from pipelines.quality import gates as gates_module
from pipelines.quality.gate_figures import Counts, Figure, Share, shares_of
from pipelines.quality.gate_history import GoodBatch, History
from pipelines.quality.gate_learning import learn
from pipelines.quality.gate_limits import (
    count_limits,
    distance,
    distribution_limits,
    no_rows_limits,
    share_limits,
    sigmas,
    usual_distribution,
)
from pipelines.quality.gates import GateAnswer, compare, failing, gate_of, judge_gates
from pipelines.quality.suite import load_gates
from pipelines.settings import Settings

DEFAULT = Gates().of("row_count")
SUITE = load_gates(Settings())
FRIDAY = date(2026, 11, 20)


def counts(
    rows: int, *, filled: float = 1.0, accepted: float = 0.95, class_a: float = 0.7
) -> dict[tuple[str, str], int]:
    """The measures of a batch with one optional field and one coded field of two values."""
    good, first = round(rows * accepted), round(rows * class_a)
    return {
        ("rows", "received"): rows,
        ("rows", "judged"): rows,
        ("rows", "accepted"): good,
        ("rows", "quarantined"): rows - good,
        ("rows", "duplicate"): 0,
        ("filled", "CF_NR"): round(rows * filled),
        ("value", "CF_CFLB=警告"): first,
        ("value", "CF_CFLB=罚款"): rows - first,
    }


def history(batches: Sequence[Counts], before: date = FRIDAY) -> History:
    """Good batches of the days before a date, the latest first, without days off."""
    days = (before - timedelta(days=back) for back in range(1, 1000))
    calendar = load_calendar(Settings())
    working = (day for day in days if calendar.estimate(day))
    made = [GoodBatch(f"r{place}", day, one) for place, (one, day) in enumerate(zip(batches, working, strict=False))]
    return History(before, tuple(made), calendar)


def answers_of(
    batch: Counts, known: History, gates: Gates | None = None, accepted: Mapping[Figure, GateThreshold] | None = None
) -> dict[Figure, GateAnswer]:
    compared = compare(SUITE, gates or Gates(), batch, known, accepted or {})
    with session() as duck:
        judged = judge_gates(duck, SUITE, "r", compared)
    return {(answer.gate, answer.item): answer for answer in judged}


def failed(
    batch: Counts, known: History, gates: Gates | None = None, accepted: Mapping[Figure, GateThreshold] | None = None
) -> set[Figure]:
    return {key for key, answer in answers_of(batch, known, gates, accepted).items() if answer.outcome == "fail"}


def test_every_gate_is_an_entry_of_the_suite_with_a_code_of_its_own() -> None:
    assert sorted(gate_of(rule.kwargs) for rule in SUITE.rules) == sorted(GATE_NAMES)
    assert [rule.code for rule in SUITE.rules] == [f"GATE-{number:03d}" for number in range(1, len(GATE_NAMES) + 1)]
    for rule in SUITE.rules:
        assert (rule.family, rule.scope, rule.owner, rule.severity) == ("gate", "batch", "us", "block")
        assert rule.message_zh and rule.fix_zh and rule.message_en and rule.fix_en and rule.source
        assert not rule.waivable


def test_an_entry_about_a_gate_that_does_not_exist_names_its_line(tmp_path: Path) -> None:
    shutil.copytree(Settings().expectations, tmp_path / "expectations")
    path = tmp_path / "expectations" / "gates.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"gate": "fill_rate"', '"gate": "fill_rat"'), "utf-8")
    with pytest.raises(CatalogueError, match=r"gates\.json, line \d+: GATE-002: .* of fill_rat is no gate"):
        load_gates(Settings(root=tmp_path))


def test_a_batch_like_the_others_passes_and_a_collapsed_one_fails() -> None:
    known = history([counts(1000 + place) for place in range(10)])
    assert failed(counts(1010), known) == set()
    assert failed(counts(120), known) == {("row_count", "")}
    assert failed(counts(1000, filled=0.6), known) == {("fill_rate", "CF_NR")}
    assert failed(counts(1000, accepted=0.7), known) == {
        ("outcome_share", "accepted"),
        ("outcome_share", "quarantined"),
    }
    assert failed(counts(1000, class_a=0.4), known) == {
        ("value_share", "CF_CFLB=警告"),
        ("value_share", "CF_CFLB=罚款"),
        ("value_distribution", "CF_CFLB"),
    }
    assert failed(counts(1000) | {("rows", "duplicate"): 200}, known) == {("duplicate_share", "")}


def test_a_source_that_renumbers_its_records_is_held() -> None:
    steady = {("rekeyed", "known"): 400, ("rekeyed", "rekeyed"): 2}
    known = history([counts(1000) | steady] * 10)
    assert failed(counts(1000) | steady, known) == set()
    assert failed(counts(1000) | {("rekeyed", "known"): 400, ("rekeyed", "rekeyed"): 380}, known) == {
        ("rekeyed_share", "")
    }
    nothing_known = answers_of(counts(1000) | {("rekeyed", "known"): 0, ("rekeyed", "rekeyed"): 0}, known)
    assert nothing_known["rekeyed_share", ""].reason == "nothing"


def test_ten_percent_is_the_default_where_chance_is_smaller() -> None:
    known = [5000] * 10
    limits = count_limits(known, DEFAULT, sigmas(1))
    assert (limits.usual, limits.low, limits.high) == (5000, 4500, 5500)
    filled = share_limits([Share(4500, 5000)] * 10, 5000, DEFAULT, sigmas(1))
    assert (filled.usual, round(filled.low, 9), round(filled.high, 9)) == (0.9, 0.8, 1.0)


def test_one_odd_batch_neither_moves_the_median_nor_widens_the_limits() -> None:
    steady = count_limits([5000] * 10, DEFAULT, 3.0)
    assert count_limits([*[5000] * 9, 40], DEFAULT, 3.0) == steady


def test_batches_that_differ_a_lot_make_wide_limits() -> None:
    limits = count_limits([400, 900, 600, 1200, 500, 800, 1000, 700], DEFAULT, 3.0)
    assert limits.low < 400
    assert (limits.high or 0) > 1200


@pytest.mark.parametrize(("missing", "holds"), [(3, False), (5, False), (12, True)])
def test_a_few_rows_of_a_small_batch_do_not_hold_it(missing: int, holds: bool) -> None:
    known = history([counts(20)] * 10)
    batch = counts(20) | {("filled", "CF_NR"): 20 - missing}
    assert (("fill_rate", "CF_NR") in failed(batch, known)) is holds


def test_no_rows_is_told_once_and_only_where_rows_are_to_be_expected() -> None:
    nothing = {("rows", "received"): 0, ("rows", "judged"): 0}
    answers = answers_of(nothing, history([counts(40)] * 10))
    assert [key for key, answer in answers.items() if answer.outcome == "fail"] == [("no_rows", "")]
    assert {answer.reason for answer in answers.values() if answer.outcome == "not_applicable"} == {"nothing"}
    assert failed(nothing, history([counts(3)] * 10)) == set()
    assert failed(nothing, history([*[counts(40)] * 9, nothing])) == set()
    assert no_rows_limits([40, 41], DEFAULT, 3.0).high is None


def test_too_little_history_is_not_applicable() -> None:
    answers = answers_of(counts(4), history([counts(1000)] * 4))
    assert {answer.outcome for answer in answers.values()} == {"not_applicable"}
    few = [answer for answer in answers.values() if answer.reason == "few_batches"]
    assert {answer.batches for answer in few} == {4}
    assert ("row_count", "") in failed(counts(4), history([counts(1000)] * 5))


def test_days_off_are_compared_with_days_off() -> None:
    calendar = load_calendar(Settings())
    days = [FRIDAY + timedelta(days=2) - timedelta(days=back) for back in range(1, 60)]
    batches = [GoodBatch(f"r{day}", day, counts(1000 if calendar.estimate(day) else 30)) for day in days]
    sunday = History(FRIDAY + timedelta(days=2), tuple(batches), calendar)
    assert failed(counts(31), sunday) == set()
    assert ("row_count", "") in failed(counts(31), sunday, Gates(compare_with="all_days"))
    monday = History(FRIDAY + timedelta(days=3), tuple(batches), calendar)
    assert ("row_count", "") in failed(counts(31), monday)
    same_weekday = monday.for_gate(Gates(compare_with="same_weekday").of("row_count"))
    assert {batch.business_date.weekday() for batch in same_weekday} == {0}


def test_a_value_that_is_gone_is_as_odd_as_a_new_one() -> None:
    known = history([counts(1000)] * 10)
    only_one = {key: value for key, value in counts(1000, class_a=1.0).items() if value}
    assert ("value_share", "CF_CFLB=罚款") in failed(only_one, known)
    new = counts(1000) | {("value", "CF_CFLB=*"): 700}
    assert ("value_share", "CF_CFLB=*") in failed(new, known)


def test_settings_of_one_gate_lie_over_those_of_all() -> None:
    known = history([counts(1000)] * 10)
    batch = counts(700, filled=0.6)
    assert failed(batch, known) == {("row_count", ""), ("fill_rate", "CF_NR")}
    lenient = Gates.model_validate({"row_count": {"share": 0.5}, "fill_rate": {"off": True}})
    answers = answers_of(batch, known, lenient)
    assert answers["row_count", ""].outcome == "pass"
    assert (answers["fill_rate", "CF_NR"].outcome, answers["fill_rate", "CF_NR"].reason) == ("not_applicable", "off")
    assert lenient.of("row_count") == replace(DEFAULT, share=0.5)


def test_accepted_limits_replace_the_default_but_not_the_floor() -> None:
    known = history([counts(1000)] * 10)
    accepted = {
        ("row_count", ""): threshold("row_count", "", 990, 1010),
        ("fill_rate", "CF_NR"): threshold("fill_rate", "CF_NR", 0.5, 1.0),
    }
    assert failed(counts(960, filled=0.6), known, accepted=accepted) == {("row_count", "")}
    assert failed(counts(995), known, accepted=accepted) == set()
    narrow = {("row_count", ""): threshold("row_count", "", 1000, 1000)}
    answer = answers_of(counts(996), known, accepted=narrow)["row_count", ""]
    assert (answer.outcome, answer.low, answer.high) == ("pass", 995, 1005)
    first_day = answers_of(counts(5), history([]), accepted=accepted)["row_count", ""]
    assert first_day.outcome == "fail", "limits that somebody has accepted need no history"


def threshold(gate: str, item: str, low: float, high: float) -> GateThreshold:
    return GateThreshold(
        feed="f", gate=gate, item=item, low=low, high=high, batches=20, by="示例", at=now(), why="学习"
    )


def test_nightly_noise_does_not_hold_feeds() -> None:
    """Stationary feeds of every size: fewer than one night in fifty is held, all gates together."""
    dice = random.Random(20261122)

    def night(usual: int) -> Counts:
        rows = max(1, round(dice.gauss(usual, usual**0.5)))
        classes = dice.choices("甲乙丙丁", (60, 25, 10, 5), k=rows)
        made = {("rows", "received"): rows, ("rows", "judged"): rows}
        good = sum(dice.random() < 0.93 for _ in range(rows))
        made |= {("rows", "accepted"): good, ("rows", "quarantined"): rows - good}
        for field, share in (("A", 1.0), ("B", 0.97), ("C", 0.6), ("D", 0.3), ("E", 0.02)):
            made["filled", field] = sum(dice.random() < share for _ in range(rows))
        for value in "甲乙丙丁":
            made["value", f"F={value}"] = classes.count(value)
        return made

    for usual in (12, 60, 400):
        nights = [night(usual) for _ in range(300)]
        held = 0
        for place in range(10, len(nights)):
            known = history(list(reversed(nights[place - 10 : place])))
            compared = compare(SUITE, Gates(), nights[place], known, {})
            held += any(gates_module._outcome(answer) == "fail" for answer in compared)
        assert held / 290 < 0.02, (usual, held)


def test_many_figures_at_once_are_as_rare_as_one() -> None:
    assert round(sigmas(1), 3) == 3.0
    assert sigmas(1) < sigmas(10) < sigmas(100) < 4.5


def test_the_distance_of_distributions() -> None:
    usual = usual_distribution([{"a": 70, "b": 30}, {"a": 72, "b": 28}, {"a": 7, "b": 3}])
    assert usual == pytest.approx({"a": 0.7, "b": 0.3})
    assert distance({"a": 70, "b": 30}, usual) == pytest.approx(0)
    assert distance({"c": 5}, usual) == pytest.approx(1)
    assert distance({"a": 50, "b": 50}, usual) == pytest.approx(0.2)
    wide = distribution_limits([{"a": 7, "b": 3}] * 5, 10, DEFAULT, 3.0)
    narrow = distribution_limits([{"a": 7000, "b": 3000}] * 5, 10_000, DEFAULT, 3.0)
    assert (wide.low, narrow.low) == (0, 0)
    assert 0.1 <= (narrow.high or 0) < 0.11 < (wide.high or inf)
    assert usual_distribution([{"a": 1}, {"b": 1}, {"c": 1}]) == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})


def test_shares_of_nothing_are_left_out() -> None:
    assert shares_of({}) == {}
    assert set(shares_of({("rows", "received"): 0, ("rows", "judged"): 0, ("filled", "A"): 0})) == {("no_rows", "")}


def test_the_checkpoint_counts_what_passes_fails_and_does_not_apply(tmp_path: Path) -> None:
    known = history([counts(1000)] * 10)
    file = tmp_path / "gates.json"
    with session() as duck:
        judged = judge_gates(duck, SUITE, "r", compare(SUITE, Gates(), counts(300), known, {}), file)
        assert duck.columns("gate_inputs")[1:3] == ["gate", "item"]
    assert [answer.gate for answer in failing(SUITE, judged)] == ["row_count"]
    result = json.loads(file.read_text(encoding="utf-8"))
    by_code = {one["expectation_config"]["meta"]["code"]: one for one in result["results"]}
    assert not by_code["GATE-001"]["success"]
    assert by_code["GATE-001"]["result"]["element_count"] == 1
    outcomes = by_code["GATE-003"]["result"]
    assert (outcomes["element_count"], outcomes["missing_count"], outcomes["unexpected_count"]) == (2, 0, 0)
    rekeyed = by_code["GATE-007"]["result"]
    assert (rekeyed["element_count"], rekeyed["missing_count"]) == (1, 1)


def test_a_checkpoint_that_counts_otherwise_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates_module, "_outcome", lambda _answer: "pass")
    with session() as duck, pytest.raises(ConservationError, match="GATE-001"):
        judge_gates(duck, SUITE, "r", compare(SUITE, Gates(), counts(300), history([counts(1000)] * 10), {}))


def test_learned_limits_hold_none_of_the_batches_they_come_from() -> None:
    batches = [counts(rows, filled=filled) for rows, filled in zip(range(980, 1000), [0.5, 0.7] * 10, strict=True)]
    known = history(batches)
    found = {(one.gate, one.item): one for one in learn(SUITE, Gates(), known, {})}
    rows = found["row_count", ""]
    assert rows.is_news
    assert (rows.low, rows.high, rows.batches) == (pytest.approx(959.98, abs=12), pytest.approx(1019, abs=12), 20)
    assert rows.in_force is not None and rows.in_force.low is not None and rows.in_force.low < rows.low
    accepted = {key: threshold(*key, one.low, one.high) for key, one in found.items()}
    for batch in batches:
        assert failed(batch, known, accepted=accepted) == set()
    assert ("row_count", "") in failed(counts(930), known, accepted=accepted)
    again = {(one.gate, one.item): one for one in learn(SUITE, Gates(), known, accepted)}
    assert ("no_rows", "") not in again
    assert learn(SUITE, Gates(), history(batches[:4]), {}) == []


def test_a_tolerance_is_a_share_and_never_below_the_floor() -> None:
    tolerance = Tolerance(share=0.0, floor=7, min_batches=1, batches=10, compare_with="all_days", off=False)
    limits = count_limits([4], tolerance, 0.0)
    assert (limits.low, limits.high) == (0, 11)


def test_unknown_settings_are_refused() -> None:
    wrong: Mapping[str, Any] = {"row_counts": {"share": 0.2}}
    with pytest.raises(ValueError, match="row_counts"):
        Gates.model_validate(wrong)
