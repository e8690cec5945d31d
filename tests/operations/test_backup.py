"""Ledger and lake saved while a run goes on, lost, put back, and the next night run; on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import DeliveryError, GuijiError, StorageError
from pipelines.ledger.database import now
from pipelines.ledger.models import Outbox, Run
from pipelines.operations import backup as saving
from pipelines.operations.backup import MANIFEST, create_backup
from pipelines.operations.backup_files import SUMS
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.endpoint_states import read_endpoint_states
from pipelines.operations.judging import judge_batch
from pipelines.operations.publishing import publish_batch
from pipelines.operations.pulling import pull_batch
from pipelines.operations.reconciliation import reconcile_endpoints
from pipelines.operations.reconciliation_marks import SCHEDULED
from pipelines.operations.restoring import restore_backup
from tests.databases import new_postgresql_database
from tests.operations import state
from tests.operations.delivering import ENDPOINT, Delivering
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, WEDNESDAY, rows

needs_tools = pytest.mark.skipif(shutil.which("pg_dump") is None, reason="needs pg_dump, the client of PostgreSQL")


def silent(_what: str, _done: int, _total: int) -> None:
    """Nobody watches."""


def guiji(*command: str) -> str:
    """Run a command that has to succeed; what it printed."""
    done = CliRunner().invoke(app, [*command], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.fixture
def fresh_ledger(shop: Delivering, monkeypatch: pytest.MonkeyPatch) -> Iterator[str | None]:
    """Where a restored ledger goes: None for SQLite, else an empty database."""
    if shop.context.ledger.engine.dialect.name == "sqlite":
        yield None
        return
    with new_postgresql_database() as url:
        yield url.render_as_string(hide_password=False)


@needs_tools
def test_a_lost_installation_comes_back(
    shop: Delivering, fresh_ledger: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation, context = shop.installation, shop.context
    saved = tmp_path / "saved"

    # Saved while a batch is between judging and publishing, and while another one is pulled, judged and published.
    installation.send(TUESDAY, rows([1, 2, 3, 4, 5]))
    held_up = pull_batch(context, FEED, TUESDAY)
    judge_batch(context, held_up)
    before = everything(context)
    copy_lake = saving._copy_lake

    def meanwhile(*arguments: object) -> None:
        publish_batch(context, held_up)
        assert shop.deliver().accepted == 2
        installation.publish(WEDNESDAY, rows([1, 2, 3, 4, 5, 6]))
        copy_lake(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(saving, "_copy_lake", meanwhile)
        guiji("backup", "create", str(saved))
    assert "is whole" in guiji("backup", "check", str(saved))
    lost = everything(context)

    shutil.rmtree(context.settings.home_path)
    context.ledger.engine.dispose()
    if fresh_ledger is not None:
        monkeypatch.setenv("GUIJI_LEDGER_URL", fresh_ledger)
        installation.ledger_url = fresh_ledger
    said = guiji("backup", "restore", str(saved), "--home", str(tmp_path / "new"))
    assert "guiji reconcile" in said

    monkeypatch.setenv("GUIJI_HOME", str(tmp_path / "new"))
    installation.home = "new"
    shop.context = restored = installation.context
    assert everything(restored) == before
    with restored.ledger.read() as ledger:
        assert {run.state for run in ledger.scalars(select(Run))} == {"published", "abandoned"}
    assert not any("20261118" in path.name for path in (tmp_path / "new").rglob("*")), "a run nobody knows"
    guiji("status", "--date", MONDAY.isoformat())
    guiji("audit", "verify")

    # The nights that were lost once more: as if nothing had been lost.
    for day, numbers in ((TUESDAY, range(1, 6)), (WEDNESDAY, range(1, 7))):
        installation.publish(day, rows(numbers))
    assert everything(restored) == lost

    # The receiver got two of the records from the installation that was lost.
    with pytest.raises(DeliveryError, match="restored from a backup"):
        shop.deliver()
    require_hold(shop, restored)
    shown = shop.held()
    assert len(shown) == 5
    (compared, *_) = reconcile_endpoints(restored, "an operator", ENDPOINT)
    assert compared.problem is None
    result = shop.deliver()
    assert (result.accepted + result.duplicate, result.rejected) == (3, 0)
    assert len(shop.held()) == 6
    assert {key: record for key, record in shop.held().items() if key in shown} == shown
    with restored.ledger.read() as ledger:
        assert all(row.accepted_at is not None for row in ledger.scalars(select(Outbox)))
    installation.ledger_url = None
    restored.ledger.engine.dispose()


def require_hold(shop: Delivering, restored: Context) -> None:
    """Nothing is delivered before a person has compared, and status says which command that is."""
    [line] = read_endpoint_states(restored, today_in_shanghai(), now())
    assert (line.is_held, line.command) == (True, f"guiji reconcile --endpoint {ENDPOINT}")
    # The comparison of every morning is nobody who has looked.
    assert reconcile_endpoints(restored, SCHEDULED, ENDPOINT)[0].problem is None
    with pytest.raises(DeliveryError, match="restored from a backup"):
        shop.deliver()


def everything(context: Context) -> tuple[object, ...]:
    """What a lake and a ledger say, without attempts and instants."""
    return state.records(context), state.findings(context), state.outbox(context), state.counts(context)


def test_only_its_owner_reads_a_backup_and_every_changed_byte_is_found(small_shop: Delivering, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    create_backup(small_shop.context, saved, silent)
    for path in (saved, *saved.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    names = {path.relative_to(saved).parts[0] for path in saved.rglob("*") if path.is_file()}
    assert names == {"ledger.sqlite", "records", "findings", "runs", "landing", MANIFEST, SUMS}

    victim = next((saved / "landing").rglob("*/*"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    (saved / "records" / "added.parquet").write_bytes(b"")
    next((saved / "runs").rglob("*.parquet")).unlink()
    damaged = CliRunner().invoke(app, ["backup", "check", str(saved)])
    assert isinstance(damaged.exception, StorageError)
    for sentence in ("other bytes", "not in the list", "is missing"):
        assert sentence in damaged.output
    with pytest.raises(StorageError):
        restore_backup(saved, tmp_path / "new", silent)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "new.unfinished").exists()


def test_a_backup_says_what_the_lake_had_lost_before(small_shop: Delivering, tmp_path: Path) -> None:
    context = small_shop.context
    (file,) = (context.settings.records / "administrative_penalty").rglob(f"feed={FEED}/*.parquet")
    file.unlink()
    done = CliRunner().invoke(app, ["backup", "create", str(tmp_path / "saved")])
    assert isinstance(done.exception, StorageError)
    assert file.name in done.output
    assert "is whole" in guiji("backup", "check", str(tmp_path / "saved"))


@pytest.mark.parametrize(
    ("place", "problem"),
    [("home/saved", "inside the home"), ("inbox", "no empty folder"), ("home.sqlite", "no empty folder")],
)
def test_a_backup_needs_a_folder_of_its_own(small_shop: Delivering, tmp_path: Path, place: str, problem: str) -> None:
    (tmp_path / "home.sqlite").touch()
    with pytest.raises(StorageError, match=problem):
        create_backup(small_shop.context, tmp_path / place, silent)


def test_what_is_no_backup_is_not_restored(small_shop: Delivering, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    create_backup(small_shop.context, saved, silent)
    with pytest.raises(StorageError, match="not empty"):
        restore_backup(saved, tmp_path / "home", silent)
    (saved / MANIFEST).unlink()
    with pytest.raises(StorageError, match="no finished backup"):
        restore_backup(saved, tmp_path / "new", silent)


def test_a_run_whose_records_are_gone_is_not_published(small_shop: Delivering) -> None:
    installation, context = small_shop.installation, small_shop.context
    installation.send(TUESDAY, rows([1, 2, 3, 4]))
    run = pull_batch(context, FEED, TUESDAY)
    judge_batch(context, run)
    context.stores["administrative_penalty"].file_of(FEED, run).unlink()
    with pytest.raises(GuijiError, match="not there any more"):
        publish_batch(context, run)
    assert installation.last_run(TUESDAY).state == "failed"


def test_secrets_do_not_stand_in_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump is replaced by a program that writes down how it was called."""
    from sqlalchemy import make_url

    from pipelines.operations.backup_ledger import _run

    program = tmp_path / "pg_dump"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat "$PGSERVICEFILE" > {tmp_path}/service\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    _run("pg_dump", ["--format=custom"], make_url("postgresql+psycopg://u:s3cret@h:5433/d?sslmode=verify-full"))
    assert "s3cret" not in (tmp_path / "arguments").read_text()
    lines = (tmp_path / "service").read_text().splitlines()
    assert lines == ["[guiji]", "host=h", "port=5433", "user=u", "password=s3cret", "dbname=d", "sslmode=verify-full"]
