"""The connection to the ledger is lost in the middle: nothing is half-published, and the next night ends as ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from pipelines.errors import StorageError
from pipelines.operations import judging, publishing
from tests.databases import new_postgresql_database
from tests.operations import state
from tests.operations.small_feed import MONDAY, Installation, row, rows

SENT = [*rows(range(3)), row(3, 统一社会信用代码="1")]


def test_every_connection_is_ended_by_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("reference", "lost"):
        (tmp_path / name).mkdir()
    reference = Installation(tmp_path / "reference")
    reference.publish(MONDAY, SENT)
    with new_postgresql_database() as url:
        installation = Installation(tmp_path / "lost", ledger_url=url.render_as_string(hide_password=False))
        installation.send(MONDAY, SENT)
        for module, step in ((publishing, "fill_outbox"), (publishing, "store_facts"), (judging, "_keep")):
            real = getattr(module, step)

            def cut(*arguments: Any, real: Any = real, **named: Any) -> Any:
                end_all_connections(url)
                return real(*arguments, **named)

            with monkeypatch.context() as patched:
                patched.setattr(module, step, cut)
                problem = installation.night(MONDAY)
            if step == "_keep":
                # Between two transactions nothing is lost but the lock of the feed: the next one connects anew.
                assert problem is None
                break
            assert isinstance(problem, StorageError), problem
            assert url.database is not None
            assert url.database in problem.place
            assert "check" in problem.remedy
            assert not state.counts(installation.context)
            assert not state.outbox(installation.context)
        assert installation.night(MONDAY) is None
        for what in (state.records, state.outbox, state.tasks, state.findings, state.facts):
            assert what(installation.context) == what(reference.context), what.__name__
        installation.context.ledger.engine.dispose()


def end_all_connections(url: Any) -> None:
    """As a server that is restarted does."""
    engine = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ended = connection.execute(
            text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = :name"),
            {"name": url.database},
        ).scalar_one()
    engine.dispose()
    assert ended, "nobody was connected"
