"""Each bad input ends in one clear message; the feed next door is published all the same."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner
from xlsxwriter import Workbook

from pipelines import cli
from pipelines.errors import CatalogueError, GuijiError, StorageError
from pipelines.ledger.models import Outbox, Run
from pipelines.operations import judging, publishing, pulling
from pipelines.operations.context import Context
from pipelines.operations.deliveries import deliver_endpoints
from pipelines.operations.night import run_night
from tests.operations import state
from tests.operations.conftest import FRIDAY, drop, golden

BROKEN, HEALTHY = "market_licence", "market_penalty"


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("[Content_Types].xml", "<Types/>")
        bomb.writestr("xl/workbook.xml", "<workbook/>")
        bomb.writestr("xl/worksheets/sheet1.xml", b"0" * (300 << 20))
    return buffer.getvalue()


def workbook(sheet: str) -> bytes:
    buffer = io.BytesIO()
    with Workbook(buffer) as book:
        book.add_worksheet(sheet).write_row(0, 0, ["行政相对人名称", "行政许可决定文书号", "许可内容"])
    return buffer.getvalue()


def only_sheet(root: Path) -> None:
    path = root / "schemas/departments/market/licence.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "format: {sheet: 许可}\n", encoding="utf-8")


def run(context: Context) -> dict[str, GuijiError | None]:
    return {result.feed: result.problem for result in run_night(context, FRIDAY)}


def assert_only_healthy_published(context: Context) -> None:
    with context.ledger.read() as session:
        assert set(session.scalars(select(Run.feed).where(Run.state == "published"))) == {HEALTHY}
        assert set(session.scalars(select(Outbox.feed))) == {HEALTHY}
    assert state.records(context)["administrative_licence"] == []


@pytest.mark.parametrize(
    ("extract", "words"),
    [
        (None, ["market_licence", "2026-11-20"]),
        (b"", ["extract.csv", "empty"]),
        ("名称,没人认识的列,另一列\n甲,乙,丙\n".encode(), ["extract.csv", "header"]),
        (zip_bomb(), ["extract.csv"]),
        (workbook("别的表"), ["extract.csv", "许可", "别的表"]),
        (b"PK\x03\x04 no workbook at all", ["extract.csv"]),
        ("行政相对人名称,行政许可决定文书号,许可内容\n".encode(), ["extract.csv", "row"]),
    ],
    ids=["missing", "empty", "unknown header", "zip bomb", "wrong sheet", "corrupt workbook", "header only"],
)
def test_a_broken_extract_stops_its_feed_only(
    tmp_path: Path,
    root: Path,
    inbox: Path,
    install: Callable[[Path], Context],
    extract: bytes | None,
    words: list[str],
) -> None:
    target = drop(inbox, BROKEN, FRIDAY, extract or b"")
    if extract is None:
        target.unlink()
    if "别的表" in words:
        only_sheet(root)
    context = install(tmp_path / "home")
    problems = run(context)
    assert problems[HEALTHY] is None
    problem = problems[BROKEN]
    assert isinstance(problem, GuijiError)
    assert problem.remedy
    for word in words:
        assert word in str(problem)
    assert_only_healthy_published(context)


def test_a_file_that_turns_to_binary_halfway_keeps_its_good_rows(
    tmp_path: Path, inbox: Path, install: Callable[[Path], Context]
) -> None:
    good = golden(BROKEN)
    drop(inbox, BROKEN, FRIDAY, good + bytes(range(256)) * 40)
    context = install(tmp_path / "home")
    assert run(context)[BROKEN] is None
    drop(inbox, BROKEN, FRIDAY, good)
    reference = install(tmp_path / "reference")
    run(reference)
    with context.ledger.read() as damaged, reference.ledger.read() as clean:
        query = select(Run).where(Run.feed == BROKEN)
        broken, whole = damaged.scalars(query).one(), clean.scalars(query).one()
    assert (broken.rows_decoded, broken.accepted) == (whole.rows_decoded, whole.accepted)
    assert broken.lines_undecoded > whole.lines_undecoded
    total = broken.accepted + broken.duplicate + broken.quarantined + broken.blocked + broken.excluded
    assert broken.rows_decoded + broken.lines_undecoded == total


def test_a_typo_in_a_feed_stops_that_feed_only(root: Path, install: Callable[[Path], Context], tmp_path: Path) -> None:
    path = root / "schemas/departments/market/licence.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("category:", "categori:"), encoding="utf-8")
    context = install(tmp_path / "home")
    done = guiji("run", "--date", FRIDAY.isoformat())
    assert done.returncode == cli.FEEDS_FAILED
    assert "licence.yaml, line" in " ".join(done.stderr.split())
    assert "categori" in done.stderr
    assert "Traceback" not in done.stderr
    assert_only_healthy_published(context)
    page = context.settings.reports / "feeds" / f"{BROKEN}.html"
    assert "categori" in page.read_text(encoding="utf-8")


def test_a_typo_in_a_category_is_one_message(root: Path, install: Callable[[Path], Context], tmp_path: Path) -> None:
    path = root / "schemas/categories/administrative_penalty.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("type: date", "type: day", 1), encoding="utf-8")
    with pytest.raises(GuijiError, match=r"administrative_penalty\.yaml, line"):
        install(tmp_path / "home")
    done = guiji("run", "--date", FRIDAY.isoformat())
    assert done.returncode == CatalogueError.exit_code
    assert "Traceback" not in done.stderr


def test_a_stage_that_failed_can_be_tried_again(
    tmp_path: Path, install: Callable[[Path], Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is mended and the task is retried: the same run goes on."""
    context = install(tmp_path / "home")
    run_id = pulling.pull_batch(context, HEALTHY, FRIDAY)
    with monkeypatch.context() as patch:
        patch.setattr(judging, "_write_files", full_disk)
        with pytest.raises(StorageError):
            judging.judge_batch(context, run_id)
    judging.judge_batch(context, run_id)
    publishing.publish_batch(context, run_id)
    with context.ledger.read() as session:
        assert session.get_one(Run, run_id).state == "published"


def full_disk(*_: object) -> None:
    raise StorageError("cannot be written", remedy="free disk space")


def test_a_receiver_that_is_down_leaves_everything_queued(
    tmp_path: Path, install: Callable[[Path], Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = install(tmp_path / "home")
    run(context)
    monkeypatch.setenv("GUIJI_PROVINCE_TOKEN", "a token that must not be shown")
    monkeypatch.setenv("GUIJI_PROVINCE_URL", "http://127.0.0.1:9")
    done = guiji("deliver")
    assert done.returncode == 5
    assert "province_sandbox" in done.stderr
    assert "must not be shown" not in done.stderr + done.stdout
    with context.ledger.read() as session:
        assert session.scalar(select(func.count()).select_from(Outbox).where(Outbox.accepted_at.is_(None)))
        assert not session.scalar(select(func.count()).select_from(Outbox).where(Outbox.rejected_at.is_not(None)))


def test_a_missing_token_is_named_and_nothing_is_sent(
    tmp_path: Path, install: Callable[[Path], Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = install(tmp_path / "home")
    monkeypatch.delenv("GUIJI_PROVINCE_TOKEN", raising=False)
    # An endpoint to which nothing is owed needs no token.
    deliver_endpoints(context)
    run_night(context, FRIDAY, ["market_licence"])
    with pytest.raises(GuijiError, match="GUIJI_PROVINCE_TOKEN"):
        deliver_endpoints(context)


def test_a_full_disk_fails_the_batch_and_publishes_nothing(
    tmp_path: Path, inbox: Path, install: Callable[[Path], Context]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        context = install(disk)
        drop(inbox, BROKEN, FRIDAY, golden(BROKEN) + b"\n" * (2 << 20))
        problem = run(context)[BROKEN]
        assert isinstance(problem, GuijiError)
        assert "disk space" in problem.remedy
        with context.ledger.read() as session:
            assert BROKEN not in set(session.scalars(select(Outbox.feed)))
        context.ledger.engine.dispose()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_two_runs_of_one_feed_at_once(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    from pipelines.operations.attempts import feed_lock

    context = install(tmp_path / "home")
    with feed_lock(context, BROKEN):
        problems = run(context)
    assert problems[HEALTHY] is None
    assert "another process" in str(problems[BROKEN])


def test_the_command_line_says_which_feed_failed(
    tmp_path: Path, inbox: Path, install: Callable[[Path], Context]
) -> None:
    drop(inbox, BROKEN, FRIDAY, b"")
    install(tmp_path / "home")
    done = guiji("run", "--date", FRIDAY.isoformat())
    assert done.returncode == cli.FEEDS_FAILED
    assert BROKEN in done.stderr
    status = CliRunner().invoke(cli.app, ["status", "--date", FRIDAY.isoformat()])
    assert status.exit_code == cli.FEEDS_FAILED
    assert "empty" in status.output


def guiji(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    return subprocess.run(command, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True, check=False)
