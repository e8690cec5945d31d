"""Who survives among rows about one decision, and what the survivor changes in the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.dedupe.keys import add_keys
from pipelines.dedupe.settle import compare_with_store, settle_batch
from pipelines.engine.duck import Session, session
from pipelines.settings import Settings

CATEGORY = load_catalogue(Settings()).categories["administrative_penalty"]
CLEAN = {
    "CF_XDR_MC": "示例市样本食品有限公司",
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": "91350100M000100Y43",
    "CF_WSH": "示市监罚〔2026〕1号",
    "CF_NR": "罚款",
    "CF_NR_FK": "0.5",
    "CF_CFJG": "示例市市场监督管理局",
    "CF_CFJGDM": "12100000400000624D",
}


@pytest.fixture
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


def settle(
    duck: Session, rows: list[dict[str, Any]], conflict: str = "steward", tombstones: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Settle rows given as changes to a clean one; ``blocking`` and ``reasons`` may be given per row."""
    standard = [
        {
            "row_no": number,
            **{code: row.get(code, CLEAN.get(code)) for code in CATEGORY.field_codes},
            "excluded_reason": row.get("excluded_reason"),
            "source_timestamp": row.get("source_timestamp"),
        }
        for number, row in enumerate(rows)
    ]
    texts = {name: pa.string() for name in standard[0] if name != "row_no"}
    schema = pa.schema([("row_no", pa.int64()), *texts.items()])
    duck.register("standard", pa.Table.from_pylist(standard, schema=schema))
    verdicts = [
        {
            "row_no": number,
            "reasons": row.get("reasons", []),
            "blocking": row.get("blocking", False),
            "waived": row.get("waived", []),
        }
        for number, row in enumerate(rows)
        if row.get("excluded_reason") is None
    ]
    codes = pa.list_(pa.string())
    verdict_schema = pa.schema(
        [("row_no", pa.int64()), ("reasons", codes), ("blocking", pa.bool_()), ("waived", codes)]
    )
    duck.register("verdicts", pa.Table.from_pylist(verdicts, schema=verdict_schema))
    duck.register("tombstones", pa.table({"record_key": pa.array(list(tombstones), pa.string())}))
    waiting = [(number, row["withheld"]) for number, row in enumerate(rows) if "withheld" in row]
    duck.execute("CREATE OR REPLACE TABLE withheld (row_no BIGINT, rule VARCHAR)")
    for number, rule in waiting:
        duck.execute("INSERT INTO withheld VALUES ($row, $rule)", {"row": number, "rule": rule})
    add_keys(duck, CATEGORY)
    settle_batch(duck, conflict)  # type: ignore[arg-type]
    return duck.arrow("SELECT * FROM settled ORDER BY row_no").to_pylist()


def outcomes(settled: list[dict[str, Any]]) -> list[tuple[str, list[str], int | None]]:
    return [(row["outcome"], row["reasons"], row["survivor"]) for row in settled]


def test_an_exact_duplicate_points_to_its_first_row(duck: Session) -> None:
    assert outcomes(settle(duck, [{}, {}, {}])) == [
        ("accepted", [], None),
        ("duplicate", ["DUP-001"], 0),
        ("duplicate", ["DUP-001"], 0),
    ]


def test_a_row_whose_status_waits_for_the_department_is_quarantined(duck: Session) -> None:
    rows = [
        {"withheld": "STATUS-001"},
        {"CF_WSH": "示市监罚〔2026〕2号", "withheld": "STATUS-002", "reasons": ["CF-C01a"]},
    ]
    assert outcomes(settle(duck, rows)) == [
        ("quarantined", ["STATUS-001"], None),
        ("quarantined", ["CF-C01a", "STATUS-002"], None),
    ]


def test_a_row_that_waits_does_not_win_over_a_clean_one(duck: Session) -> None:
    settled = settle(duck, [{}, {"CF_NR": "更正后的内容", "withheld": "STATUS-001"}], "last_row")
    assert [row["outcome"] for row in settled] == ["accepted", "quarantined"]


def test_an_excluded_row_stays_excluded_whatever_its_status(duck: Session) -> None:
    settled = settle(duck, [{"excluded_reason": "2016版状态1", "withheld": "STATUS-001"}])
    assert outcomes(settled) == [("excluded", ["EXCL-001"], None)]


def test_amounts_are_compared_as_numbers_and_document_numbers_without_bracket_style(duck: Session) -> None:
    first, second = settle(duck, [{}, {"CF_NR_FK": "0.500000"}])
    assert first["content_hash"] == second["content_hash"]
    first, second = settle(duck, [{}, {"CF_WSH": "示市监罚[2026]1号"}])
    assert first["record_key"] == second["record_key"]
    assert first["content_hash"] != second["content_hash"]


@pytest.mark.parametrize(
    "other",
    [
        {"CF_WSH": "示市监罚〔2026〕2号"},
        {"CF_XDR_SHXYM": "91110108551385082Q"},
        {"CF_CFJGDM": "12440600MB2C07549J"},
        {"CF_XDR_LB": "自然人", "CF_XDR_SHXYM": None, "CF_XDR_ZJHM": "11010519491231002X"},
    ],
)
def test_another_number_subject_or_authority_is_another_decision(duck: Session, other: dict[str, Any]) -> None:
    first, second = settle(duck, [{}, other])
    assert first["record_key"] != second["record_key"]
    assert [first["outcome"], second["outcome"]] == ["accepted", "accepted"]


def test_rows_that_disagree_on_one_decision_go_to_the_steward(duck: Session) -> None:
    assert outcomes(settle(duck, [{}, {"CF_NR": "警告"}])) == [
        ("quarantined", ["DUP-003"], None),
        ("quarantined", ["DUP-003"], None),
    ]


def test_the_last_row_or_the_latest_time_wins_where_the_feed_says_so(duck: Session) -> None:
    assert outcomes(settle(duck, [{}, {"CF_NR": "警告"}], "last_row")) == [
        ("duplicate", ["DUP-002"], 1),
        ("accepted", [], None),
    ]
    timed = [{"source_timestamp": "2026-11-20 10:00"}, {"CF_NR": "警告", "source_timestamp": "2026-11-20 09:00"}]
    assert outcomes(settle(duck, timed, "latest_timestamp")) == [
        ("accepted", [], None),
        ("duplicate", ["DUP-002"], 0),
    ]


@pytest.mark.parametrize("time", [None, "2026-11-20 10:00"])
def test_equal_or_missing_times_do_not_decide(duck: Session, time: str | None) -> None:
    rows = [{"source_timestamp": time}, {"CF_NR": "警告", "source_timestamp": time}]
    assert [row["outcome"] for row in settle(duck, rows, "latest_timestamp")] == ["quarantined", "quarantined"]


def test_a_broken_row_never_wins_over_a_clean_one(duck: Session) -> None:
    rows = [{}, {"CF_NR": "警告", "blocking": True, "reasons": ["REQ-CF_YJ"]}]
    assert outcomes(settle(duck, rows, "last_row")) == [
        ("accepted", [], None),
        ("quarantined", ["REQ-CF_YJ"], None),
    ]


def test_the_copy_of_a_broken_row_is_a_duplicate_that_keeps_its_reasons(duck: Session) -> None:
    broken = {"blocking": True, "reasons": ["REQ-CF_YJ"]}
    assert outcomes(settle(duck, [broken, broken])) == [
        ("quarantined", ["REQ-CF_YJ"], None),
        ("duplicate", ["REQ-CF_YJ", "DUP-001"], 0),
    ]


def test_excluded_rows_take_part_in_nothing(duck: Session) -> None:
    assert outcomes(settle(duck, [{"excluded_reason": "简易程序"}, {}])) == [
        ("excluded", ["EXCL-001"], None),
        ("accepted", [], None),
    ]


def test_a_tombstone_blocks(duck: Session) -> None:
    key = settle(duck, [{}])[0]["record_key"]
    assert outcomes(settle(duck, [{}], tombstones=(key,))) == [("blocked", ["TOMB-001"], None)]


def test_rows_without_a_document_number_are_no_duplicates_of_each_other(duck: Session) -> None:
    rows = [{"CF_WSH": None}, {"CF_WSH": None, "CF_NR": "警告"}]
    assert [row["outcome"] for row in settle(duck, rows)] == ["accepted", "accepted"]
    assert [row["outcome"] for row in settle(duck, [{"CF_WSH": None}, {"CF_WSH": None}])] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("history", "change", "version"),
    [
        (None, "new", 1),
        ({"content_hash": "same", "version": 2, "newest": 2, "has_later": False}, "unchanged", 2),
        ({"content_hash": "other", "version": 2, "newest": 2, "has_later": False}, "changed", 3),
        ({"content_hash": "other", "version": 1, "newest": 4, "has_later": True}, "outdated", 5),
        ({"content_hash": None, "version": None, "newest": 1, "has_later": True}, "outdated", 2),
    ],
)
def test_the_store_decides_what_a_row_changes(
    duck: Session, history: dict[str, Any] | None, change: str, version: int
) -> None:
    row = settle(duck, [{}])[0]
    known = []
    if history is not None:
        same = row["content_hash"] if history["content_hash"] == "same" else history["content_hash"]
        known = [{**history, "record_key": row["record_key"], "content_hash": same}]
    schema = pa.schema(
        [
            ("record_key", pa.string()),
            ("content_hash", pa.string()),
            ("version", pa.int32()),
            ("newest", pa.int32()),
            ("has_later", pa.bool_()),
        ]
    )
    duck.register("history", pa.Table.from_pylist(known, schema=schema))
    compare_with_store(duck)
    assert duck.rows("SELECT change, version FROM changes") == [(change, version)]


def test_what_a_row_is_excused_from_is_kept_beside_its_outcome(duck: Session) -> None:
    (settled,) = settle(duck, [{"reasons": ["CF-C10e"], "waived": ["CF-C10f"]}])
    assert (settled["outcome"], settled["reasons"], settled["waived"]) == ("accepted", ["CF-C10e"], ["CF-C10f"])
