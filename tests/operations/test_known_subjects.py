"""What is suggested in a batch follows from its other rows, from what was published before, and from a register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.ledger.models import Run
from tests.operations.small_feed import MONDAY, TUESDAY, Installation, row


def suggestions(feed: Installation, run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(feed.context.settings.runs / run.id / "suggestions.parquet").to_pylist()
    return found


@pytest.fixture
def feed(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


CODE = row(1)["统一社会信用代码"]
# One character replaced; the last one is the check character, so no valid code comes out of it.
MISTYPED = CODE[:-1] + ("A" if CODE[-1] != "A" else "B")


def test_a_code_that_was_published_before_is_suggested_and_not_applied(feed: Installation) -> None:
    feed.publish(MONDAY, [row(1)])
    run = feed.publish(TUESDAY, [row(1, 决定书文号="示市监罚〔2026〕8号", 统一社会信用代码=MISTYPED), row(2)])
    (suggested,) = suggestions(feed, run)
    assert (suggested["field"], suggested["suggested"]) == ("CF_XDR_SHXYM", CODE)
    assert "已入库的记录" in suggested["evidence_zh"]
    assert (run.accepted, run.quarantined) == (1, 1)


def test_another_row_of_the_batch_is_evidence_too(feed: Installation) -> None:
    run = feed.publish(MONDAY, [row(1), row(1, 决定书文号="示市监罚〔2026〕8号", 统一社会信用代码=MISTYPED)])
    (suggested,) = suggestions(feed, run)
    assert suggested["suggested"] == CODE and "本批其他行" in suggested["evidence_zh"]


def test_a_register_of_subjects_is_evidence(feed: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    register = feed.folder / "register.csv"
    register.write_text(f"code,name\n{CODE},{row(1)['当事人名称']}\n", encoding="utf-8")
    monkeypatch.setenv("GUIJI_SUBJECT_REGISTRY", str(register))
    run = feed.publish(MONDAY, [row(1, 统一社会信用代码=MISTYPED)])
    (suggested,) = suggestions(feed, run)
    assert suggested["suggested"] == CODE and "主体登记名录" in suggested["evidence_zh"]


@pytest.mark.parametrize(("content", "said"), [(None, "is missing"), ("codes,names\n", "no columns code and name")])
def test_a_wrong_register_is_named(
    feed: Installation, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    register = feed.folder / "register.csv"
    if content is not None:
        register.write_text(content, encoding="utf-8")
    monkeypatch.setenv("GUIJI_SUBJECT_REGISTRY", str(register))
    feed.send(MONDAY, [row(1)])
    problem = feed.night(MONDAY)
    assert said in str(problem) and "register.csv" in str(problem)
