"""A disk that is full or read-only: a message with place and remedy, nothing half-published, and the night after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from pipelines.errors import GuijiError, StorageError
from tests.chaos import disks
from tests.operations import state
from tests.operations.small_feed import MONDAY, Installation, row, rows

PARTS = ("locks", "landing", "runs", "records", "findings", "ledger")
SENT = [*rows(range(3)), row(3, 统一社会信用代码="1")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("undisturbed"))
    installation.publish(MONDAY, SENT)
    return installation


@pytest.mark.parametrize("trouble", [disks.full, disks.read_only])
def test_each_part_of_the_home(
    trouble: Callable[[Path], AbstractContextManager[None]], undisturbed: Installation, tmp_path: Path
) -> None:
    """One part after the other; every night finds what the one before it left."""
    home = tmp_path / "home"
    with ExitStack() as mounted:
        for part in PARTS:
            mounted.enter_context(disks.disk(home / part))
        installation = Installation(tmp_path, ledger_url=f"sqlite:///{home / 'ledger' / 'ledger.sqlite'}")
        installation.send(MONDAY, SENT)
        # A lock is an empty file, and needs no room.
        for part in PARTS[trouble is disks.full :]:
            installation.context.ledger.engine.dispose()
            with trouble(home / part):
                problem = stopped_by(installation)
            assert isinstance(problem, StorageError), f"{part}: {problem}"
            assert str(home) in problem.place, problem
            assert problem.remedy
            assert nothing_published(installation), part
        assert installation.night(MONDAY) is None
        for what in (state.records, state.outbox, state.tasks, state.findings, state.facts):
            assert what(installation.context) == what(undisturbed.context), what.__name__
        left = {path.parent.name for path in home.rglob("*.writing")}
        assert not left
        installation.context.ledger.engine.dispose()


def stopped_by(installation: Installation) -> GuijiError | None:
    try:
        return installation.night(MONDAY)
    except GuijiError as error:
        return error


def nothing_published(installation: Installation) -> bool:
    return not state.counts(installation.context) and not state.outbox(installation.context)
