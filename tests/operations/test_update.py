"""One cell changed, the next business date delivers exactly one update, and ``trace`` shows its whole way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.delivery.outbox import due
from pipelines.delivery.receipts import reject
from pipelines.ledger.database import now
from pipelines.ledger.models import Outbox, Run
from pipelines.operations.context import Context
from pipelines.operations.deliveries import consolidate_stores, deliver_endpoints
from pipelines.operations.night import run_night
from pipelines.operations.reports import figures_of
from tests.operations.conftest import FRIDAY, MONDAY, SAMPLES, drop

TOKEN = "token-of-this-test"
PATIENCE_SECONDS = 60


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The sandbox receiver as ``guiji sandbox`` starts it; gives the file it keeps its records in."""
    store, port_file = tmp_path / "sandbox.sqlite", tmp_path / "port"
    monkeypatch.setenv("GUIJI_PROVINCE_TOKEN", TOKEN)
    command = [sys.executable, "-m", "pipelines.cli", "sandbox", "--port", "0", "--store", str(store)]
    command += ["--subjects", str(SAMPLES / "subjects.csv"), "--port-file", str(port_file)]
    process = subprocess.Popen(command, env=os.environ | {"GUIJI_PROVINCE_TOKEN": TOKEN})
    try:
        patience = time.monotonic() + PATIENCE_SECONDS
        while not port_file.exists():
            assert process.poll() is None, "the receiver did not start"
            assert time.monotonic() < patience
            time.sleep(0.05)
        monkeypatch.setenv("GUIJI_PROVINCE_URL", f"http://127.0.0.1:{port_file.read_text().strip()}")
        yield store
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE_SECONDS)


def test_one_changed_cell_is_one_update(
    tmp_path: Path, inbox: Path, install: Callable[[Path], Context], receiver: Path
) -> None:
    context = install(tmp_path / "home")
    sample = next((SAMPLES / "market_licence" / FRIDAY.isoformat()).glob("*.csv"))
    drop(inbox, "market_licence", FRIDAY, sample)
    run_night(context, FRIDAY, ["market_licence"])
    first = deliver_endpoints(context)["province_sandbox"]
    assert first.accepted > 2000

    changed, document_number = change_one_cell(context, sample.read_bytes())
    drop(inbox, "market_licence", MONDAY, changed)
    (result,) = run_night(context, MONDAY, ["market_licence"])
    assert result.problem is None
    second = deliver_endpoints(context)["province_sandbox"]
    assert (second.sent, second.accepted, second.rejected) == (1, 1, 0)
    with context.ledger.read() as session:
        (update,) = session.scalars(select(Outbox).where(Outbox.business_date == MONDAY)).all()
    assert (update.operation, update.version) == ("update", 2)

    shown = CliRunner().invoke(cli.app, ["trace", document_number], terminal_width=200)
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    for word in ("version 1", "version 2", "变更后的许可内容", update.upper_id or "?", "submit", "accepted", "extract"):
        assert word in text


def change_one_cell(context: Context, extract: bytes) -> tuple[bytes, str]:
    """The extract with another 许可内容 in one accepted row; also the row's document number."""
    with context.ledger.read() as session:
        sent = session.scalar(
            select(Outbox).where(Outbox.accepted_at.is_not(None)).order_by(Outbox.record_key).limit(1)
        )
    assert sent is not None
    with context.session() as session:
        store = context.stores[sent.category]
        store.versions(session, "all_versions", [])
        number, content = session.one(
            "SELECT XK_WSH, XK_NR FROM all_versions WHERE record_key = $key", {"key": sent.record_key}
        )
    (place,) = [line for line in extract.splitlines() if number.encode() in line and content.encode() in line]
    changed = extract.replace(place, place.replace(content.encode(), "变更后的许可内容".encode(), 1))
    assert changed != extract
    return changed, number


def test_the_same_bytes_again_are_a_recorded_no_op(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    context = install(tmp_path / "home")
    for expected in ("published", "unchanged"):
        for result in run_night(context, FRIDAY):
            assert result.run is not None
            with context.ledger.read() as session:
                assert session.get_one(Run, result.run).state == expected


def test_nothing_leaves_before_it_was_compared_with_the_other_feeds(
    tmp_path: Path, install: Callable[[Path], Context]
) -> None:
    """A feed that is published while a delivery is under way waits for the next consolidation."""
    context = install(tmp_path / "home")
    run_night(context, FRIDAY, ["market_licence"])
    with context.ledger.read() as session:
        assert due(session, "province_sandbox", 10) == []
    consolidate_stores(context)
    with context.ledger.read() as session:
        assert due(session, "province_sandbox", 10) != []


def test_a_date_that_is_run_again_remembers_what_was_rejected(
    tmp_path: Path, inbox: Path, install: Callable[[Path], Context]
) -> None:
    context = install(tmp_path / "home")
    run_night(context, FRIDAY, ["market_licence"])
    with context.ledger.write() as session:
        row = session.scalars(select(Outbox).limit(1)).one()
        reject(session, row, "1001", None, "未查询到主体", now())
    path = inbox / "market_licence" / FRIDAY.isoformat() / "extract.csv"
    path.write_bytes(path.read_bytes().replace("食品经营许可准予通知书".encode(), "食品经营许可通知书".encode(), 1))
    run_night(context, FRIDAY, ["market_licence"])
    (figures,) = [one for one in figures_of(context, FRIDAY) if one.feed == "market_licence"]
    assert figures.counts.rejected == 1
