"""A home folder may be called anything: also what a program would read as a pattern for many files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.operations.context import Context
from pipelines.operations.night import run_night
from pipelines.operations.trace import find_record_keys, trace
from tests.operations.conftest import FRIDAY, MONDAY, drop, golden


@pytest.mark.parametrize("name", ["data [2026]*?", "{a,b}=1 it's 100%"])
def test_a_feed_is_published_and_traced_from_a_home_that_looks_like_a_pattern(
    tmp_path: Path, inbox: Path, install: Callable[[Path], Context], name: str
) -> None:
    drop(inbox, "market_penalty", MONDAY, golden("market_penalty"))
    context = install(tmp_path / name)
    for day in (FRIDAY, MONDAY):
        (result,) = run_night(context, day, ["market_penalty"])
        assert result.problem is None
    with context.session() as session:
        context.stores["administrative_penalty"].versions(session, "stored", [])
        (key,) = session.rows("SELECT record_key FROM stored ORDER BY 1 LIMIT 1")[0]
        found = trace(context, session, *find_record_keys(context, session, key)[0])
    assert any(found.versions[0].source_row.values())
