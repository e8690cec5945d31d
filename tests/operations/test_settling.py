"""A source that cannot be told what was taken stops nothing, and nobody forgets that it still has to be told."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from pipelines.ledger.models import Run
from pipelines.operations.settling import settle_what_is_owed
from pipelines.operations.status import notices_of, problems_of
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, Installation, rows


def test_a_source_that_cannot_be_told_is_told_later(tmp_path: Path) -> None:
    moved = {"kind": "folder", "path": "dept/{date}", "pattern": "*", "afterwards": {"do": "move", "folder": "done"}}
    installation = Installation(tmp_path, {"source": moved})
    in_the_way = tmp_path / "inbox" / "done"
    in_the_way.parent.mkdir()
    in_the_way.write_text("where the folder for moved files has to be")

    first = installation.publish(MONDAY, rows(range(3)))
    assert first.settled_at is None
    ((_, notice),) = notices_of(installation.context, MONDAY)
    assert "was not told yet" in notice
    assert "cannot be moved" in notice

    second = installation.publish(TUESDAY, rows(range(4)))
    assert (second.new, second.settled_at) == (1, None)
    assert not problems_of(installation.context, TUESDAY)
    ((_, notice),) = notices_of(installation.context, TUESDAY)
    assert "2 batches since 2026-11-16" in notice

    in_the_way.unlink()
    settle_what_is_owed(installation.context, installation.context.catalogue.feed(FEED))
    with installation.context.ledger.read() as session:
        runs = session.scalars(select(Run)).all()
    assert all(run.settled_at is not None for run in runs)
    assert all("settle_problem" not in (run.manifest or {})["source"] for run in runs)
    assert notices_of(installation.context, TUESDAY) == []
    assert len(list(in_the_way.iterdir())) == 2
