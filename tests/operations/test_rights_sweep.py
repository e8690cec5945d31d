"""Records whose publication has ended are listed every day, and withdrawn where the installation says so."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipelines.errors import RunConflictError
from pipelines.ledger.models import Tombstone
from pipelines.operations import rights_sweep
from pipelines.operations.rights_sweep import BY_HAND, sweep_expired
from tests.operations.delivering import opened
from tests.operations.small_feed import COLUMNS, FEED, MONDAY, Installation, row

TODAY = date(2026, 11, 20)


def test_expired_records_are_listed_and_withdrawn_only_where_that_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation(tmp_path)
    ends = {1: "2026/11/18", 2: "2026/11/19", 3: "2026/11/20"}
    sent = [row(number) | {"公示截止期": end} for number, end in ends.items()]
    installation.publish(MONDAY, sent, (*COLUMNS, "公示截止期"))
    context = installation.context
    assert sweep_expired(context, TODAY) == {"expired": {FEED: 2}, "withdrawn": 0, "by_hand": BY_HAND}
    assert opened(context, Tombstone) == []

    monkeypatch.setenv("GUIJI_WITHDRAW_EXPIRED", "true")
    context = installation.context
    monkeypatch.setattr(rights_sweep, "MOST_EXPIRED", 1)
    with pytest.raises(RunConflictError, match="2 records would be withdrawn, and 1 were expected"):
        sweep_expired(context, TODAY)
    monkeypatch.undo()
    monkeypatch.setenv("GUIJI_WITHDRAW_EXPIRED", "true")
    assert sweep_expired(installation.context, TODAY) == {"expired": {FEED: 2}, "withdrawn": 2}
    assert sweep_expired(installation.context, TODAY) == {"expired": {}, "withdrawn": 0}
    assert {one.reason for one in opened(context, Tombstone)} == {"expired"}
