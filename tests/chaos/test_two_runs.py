"""Two runs of one batch at once: one wins, one stops with a clear message, and nothing is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipelines.errors import RunConflictError
from pipelines.ledger.models import Run
from pipelines.operations.attempts import begin_run, feed_lock
from pipelines.operations.judging import judge_batch
from pipelines.operations.publishing import publish_batch
from pipelines.operations.pulling import pull_batch
from tests.chaos import child
from tests.databases import new_postgresql_database
from tests.operations import state
from tests.operations.small_feed import FEED, MONDAY, Installation, rows

SHARED = ("landing", "runs", "records", "findings")


@dataclass
class Machines:
    """One installation as two machines see it: on SQLite both are one, on PostgreSQL they share all but their locks."""

    installation: Installation
    homes: tuple[Path, Path]

    def start(self, machine: int) -> child.BaseProcess:
        folder = self.installation.folder
        environment = {f"GUIJI_{name.upper()}": str(folder / name) for name in ("root", "inbox")}
        environment["GUIJI_HOME"] = str(self.homes[machine])
        if self.installation.ledger_url is not None:
            environment["GUIJI_LEDGER_URL"] = self.installation.ledger_url
        return child.start(["night", MONDAY.isoformat(), FEED], environment, folder / f"said{machine}")

    def said(self, machine: int) -> str:
        return (self.installation.folder / f"said{machine}.txt").read_text("utf-8")


@pytest.fixture(params=["sqlite", "postgresql"])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machines]:
    home, other = tmp_path / "home", tmp_path / "other"
    if request.param == "sqlite":
        yield _machines(Installation(tmp_path), home, home)
        return
    for part in SHARED:
        (home / part).mkdir(parents=True)
        (other / part).parent.mkdir(exist_ok=True)
        (other / part).symlink_to(home / part)
    with new_postgresql_database() as url:
        made = _machines(Installation(tmp_path, ledger_url=url.render_as_string(hide_password=False)), home, other)
        yield made
        made.installation.context.ledger.engine.dispose()


def _machines(installation: Installation, *homes: Path) -> Machines:
    installation.send(MONDAY, rows(range(3)))
    return Machines(installation, (homes[0], homes[1]))


def published(installation: Installation) -> list[str]:
    with installation.context.ledger.read() as session:
        return list(session.scalars(select(Run.id).where(Run.state == "published")))


def test_whoever_comes_second_is_told(machines: Machines) -> None:
    """The feed is held as another machine holds it, while a process works on its batch."""
    with feed_lock(machines.installation.context, FEED):
        second = machines.start(1)
        second.join()
    assert second.exitcode == 1
    assert f"another process is working on the feed {FEED}" in machines.said(1)
    assert not published(machines.installation)


def test_both_at_once_publish_one_run(machines: Machines) -> None:
    both = [machines.start(machine) for machine in (0, 1)]
    for process in both:
        process.join()
    assert 0 in {process.exitcode for process in both}
    for machine, process in enumerate(both):
        # The second one stops, or comes when the first one has ended and finds nothing to do.
        assert process.exitcode == 0 or "another" in machines.said(machine) or "abandoned" in machines.said(machine)
    assert len(published(machines.installation)) == 1
    owed = [row[2:4] for row in state.outbox(machines.installation.context)]
    assert len(owed) == len(set(owed))
    assert sum(map(len, state.records(machines.installation.context).values())) == 3


def test_a_run_that_was_replaced_can_no_longer_be_published(machines: Machines) -> None:
    """The lock was lost under a living process, and somebody else has begun the batch anew."""
    context = machines.installation.context
    run = pull_batch(context, FEED, MONDAY)
    judge_batch(context, run)
    begin_run(context, context.catalogue.feed(FEED), MONDAY)
    with pytest.raises(RunConflictError, match=f"the run {run} is abandoned"):
        publish_batch(context, run)
    assert not published(machines.installation)
    with context.ledger.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 2
