"""`guiji audit`: whatever is altered or removed behind guiji's back is found, and where."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction
from sqlalchemy import delete, select, update
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import CatalogueError, RunConflictError
from pipelines.ledger import chain
from pipelines.ledger.models import Batch, Extract, Run
from pipelines.ledger.operation_models import ChainEntry, ChainHead
from pipelines.operations import audit as auditing
from pipelines.operations.audit import Audit, current_head, heads_of, verify
from pipelines.operations.audit_files import marks_of, record_removal
from pipelines.operations.audit_view import entry_lines, find_entry
from pipelines.operations.context import Context
from pipelines.operations.judging import judge_batch
from pipelines.operations.publishing import publish_batch
from pipelines.operations.pulling import pull_batch
from pipelines.operations.trace import find_record, trace
from tests.databases import new_postgresql_database
from tests.operations import child
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, Installation, rows

RUN = f"{FEED}-20261116-001"
VERSIONS = f"records/administrative_penalty/feed={FEED}/{RUN}.parquet"
OUTCOMES, FINDINGS = f"runs/{RUN}/outcomes.parquet", f"runs/{RUN}/findings.parquet"


@pytest.fixture
def installation(tmp_path: Path, published_folder: Path) -> Installation:
    """One published run: the chain has its start and one entry."""
    shutil.copytree(published_folder, tmp_path, dirs_exist_ok=True)
    return Installation(tmp_path)


@pytest.fixture
def context(installation: Installation) -> Context:
    return installation.context


def found(audit: Audit) -> list[tuple[int | None, str | None, str]]:
    """Position, run and place of every problem."""
    return [(problem.position, problem.run, problem.place) for problem in audit.problems]


def home(context: Context, path: str) -> Path:
    return context.settings.home_path / path


def flip(path: Path) -> None:
    """Change one bit in the middle of a file and leave its size and time as they are."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_was_published_is_whole(context: Context) -> None:
    audit = verify(context)
    assert audit.problems == []
    assert (audit.entries, audit.runs, audit.head) == (2, 1, current_head(context))
    with context.ledger.read() as ledger:
        entry = ledger.get_one(ChainEntry, 2)
    shown = "\n".join(entry_lines(entry))
    on_disk = [path for path in home(context, f"runs/{RUN}").rglob("*") if path.is_file()]
    assert all(path.relative_to(context.settings.home_path).as_posix() in shown for path in on_disk)
    assert VERSIONS in shown
    assert "accepted 3, " in shown
    assert "penalty.csv" not in shown, "the name that a department gave a file may be a person's"
    assert find_entry(context, RUN).position == 2
    with context.session() as session:
        traced = trace(context, session, *find_record(context, "示市监罚〔2026〕1号"))
    assert [version.chain_position for version in traced.versions] == [2]
    with pytest.raises(RunConflictError, match="no entry of the chain is called other"):
        find_entry(context, "other")


@pytest.mark.parametrize("path", [VERSIONS, OUTCOMES, f"runs/{RUN}/rows/000.parquet"])
def test_one_bit_of_a_file(context: Context, path: str) -> None:
    flip(home(context, path))
    audit = verify(context)
    assert found(audit) == [(2, RUN, path)]
    assert "expected SHA-256" in str(audit.problems[0])
    assert verify(context, quick=True).problems == [], "sizes are the same"


def test_findings_are_one_file_under_two_names(context: Context) -> None:
    table, copy = home(context, f"findings/feed={FEED}/month=2026-11/{RUN}.parquet"), home(context, FINDINGS)
    copy.unlink()
    copy.hardlink_to(table)
    flip(copy)
    assert {place for _, _, place in found(verify(context))} == {
        FINDINGS,
        f"findings/feed={FEED}/month=2026-11/{RUN}.parquet",
    }


def test_one_bit_in_the_landing(context: Context) -> None:
    (landed,) = (path for path in context.settings.landing.rglob("*") if path.is_file())
    flip(landed)
    ((position, run, place),) = found(verify(context))
    assert (position, run) == (2, RUN)
    assert place == f"landing/{landed.name[:2]}/{landed.name}"


def test_a_missing_and_a_longer_file_are_found_quickly(context: Context) -> None:
    home(context, OUTCOMES).unlink()
    with home(context, VERSIONS).open("ab") as file:
        file.write(b"x")
    problems = {problem.place: problem.found for problem in verify(context, quick=True).problems}
    assert problems[OUTCOMES] == "it is missing"
    assert problems[VERSIONS].startswith("expected ")
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [(Run, "accepted", 4), (Run, "rules_hash", "0" * 64), (Run, "state", "failed"), (Extract, "bytes", 1)],
)
def test_an_altered_row(context: Context, table: type[Run] | type[Extract], column: str, value: object) -> None:
    with context.ledger.write() as ledger:
        ledger.execute(update(table).values({column: value}))
    places = [place for position, run, place in found(verify(context)) if (position, run) == (2, RUN)]
    assert places == [f"{'run' if table is Run else 'extract 0'}.{column}"]


def test_a_run_that_is_gone(context: Context) -> None:
    # As somebody would do it who knows the ledger: without a reference left behind.
    with context.ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.execute(update(Batch).values(run=None))
        connection.execute(delete(Extract))
        connection.execute(delete(Run))
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
    audit = verify(context)
    assert found(audit) == [(2, RUN, "run")]
    assert "the ledger has no such run" in str(audit.problems[0])


def test_a_batch_that_counts_nothing(context: Context) -> None:
    with context.ledger.write() as ledger:
        ledger.execute(update(Batch).values(run=None))
    assert found(verify(context)) == [(None, RUN, "batch.run")]


def test_a_published_run_without_an_entry(context: Context) -> None:
    with context.ledger.write() as ledger:
        ledger.execute(delete(ChainEntry).where(ChainEntry.position == 2))
        ledger.execute(update(ChainHead).values(position=1, hash=ledger.get_one(ChainEntry, 1).hash))
    assert (None, RUN, "chain_entry") in found(verify(context))


def test_a_chain_written_anew_is_found_by_a_head_kept_elsewhere(context: Context, tmp_path: Path) -> None:
    kept = tmp_path / "heads.txt"
    head = current_head(context)
    kept.write_text(f"{head.position} {head.hash}\n")
    assert verify(context, heads=heads_of(str(kept))).problems == []
    assert verify(context, heads=heads_of(head.hash)).problems == []
    with context.ledger.write() as ledger:
        entry = ledger.get_one(ChainEntry, 2)
        entry.content = entry.content.replace('"waivers":[]', '"waivers":["x"]')
        entry.hash = chain.entry_hash(2, entry.kind, entry.subject, entry.at, entry.content, entry.previous)
        ledger.execute(update(ChainHead).values(hash=entry.hash))
    assert verify(context).problems == [], "whoever can write everything can write a chain that is whole"
    assert found(verify(context, heads=heads_of(str(kept)))) == [(2, None, "kept head")]
    assert found(verify(context, heads=heads_of(head.hash))) == [(None, None, "kept head")]
    with pytest.raises(CatalogueError, match="no head"):
        heads_of("2")


def test_a_chain_that_was_cut_off_is_found_by_a_head_kept_elsewhere(context: Context) -> None:
    head = current_head(context)
    with context.ledger.write() as ledger:
        ledger.execute(delete(ChainEntry))
        ledger.execute(update(ChainHead).values(position=0, hash=chain.BEFORE_THE_FIRST))
    assert (2, None, "kept head") in found(verify(context, heads=[head]))


def test_the_log_of_a_table_names_too_much(context: Context) -> None:
    store = context.stores["administrative_penalty"]
    extra = store.folder / f"feed={FEED}" / "extra.parquet"
    shutil.copyfile(home(context, VERSIONS), extra)
    action = AddAction(f"feed={FEED}/extra.parquet", extra.stat().st_size, {"feed": FEED}, 0, True, "{}")
    DeltaTable(str(store.folder)).create_write_transaction(
        [action], mode="append", schema=store.schema, partition_by=["feed"]
    )
    assert found(verify(context)) == [(None, None, f"records/administrative_penalty/feed={FEED}/extra.parquet")]


def test_the_log_of_a_table_names_too_little(context: Context) -> None:
    store = context.stores["administrative_penalty"]
    copy = home(context, "copy")
    file = home(context, VERSIONS)
    shutil.copyfile(file, copy)
    assert store.sweep(FEED, RUN)
    copy.rename(file)
    audit = verify(context)
    assert found(audit) == [(2, RUN, VERSIONS)]
    assert "the log of its table does not name it" in str(audit.problems[0])


def test_files_removed_on_purpose_are_no_problem(context: Context) -> None:
    files = [home(context, OUTCOMES), home(context, f"runs/{RUN}/rows")]
    marks = marks_of(context, files)
    assert [mark.path for mark in marks] == [OUTCOMES, f"runs/{RUN}/rows/000.parquet"]
    with context.ledger.write() as ledger:
        assert record_removal(ledger, marks, "张三", "older than three years") == 3
    assert verify(context).problems == [], "recorded, and not removed yet"
    home(context, OUTCOMES).unlink()
    shutil.rmtree(files[1])
    assert verify(context).problems == []
    home(context, VERSIONS).unlink()
    assert [place for *_, place in found(verify(context))] == [VERSIONS]


def test_a_file_that_was_altered_before_it_was_removed(context: Context) -> None:
    flip(home(context, OUTCOMES))
    with context.ledger.write() as ledger:
        record_removal(ledger, marks_of(context, [home(context, OUTCOMES)]), "张三", "old")
    home(context, OUTCOMES).unlink()
    assert found(verify(context)) == [(2, RUN, OUTCOMES)]


def test_an_installation_from_before_the_chain(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    context = installation.context
    with context.ledger.write() as ledger:
        ledger.execute(delete(ChainEntry))
        ledger.execute(update(ChainHead).values(position=0, hash=chain.BEFORE_THE_FIRST))
    later = installation.publish(TUESDAY, rows([1, 2, 3, 4]))
    with context.ledger.read() as ledger:
        kinds = ledger.execute(select(ChainEntry.kind, ChainEntry.subject).order_by(ChainEntry.position)).all()
    assert [tuple(kind) for kind in kinds] == [("start", "installation"), ("run", later.id)]
    assert verify(context).problems == []
    monkeypatch.setattr(auditing, "AT_ONCE", 1)
    assert verify(context, since=2).entries == 1
    assert verify(context, since=2).problems == []
    flip(home(context, VERSIONS))
    with context.ledger.write() as ledger:
        ledger.execute(update(Run).where(Run.id == RUN).values(accepted=2))
    assert sorted(found(verify(context)), key=str) == [(1, RUN, VERSIONS), (1, RUN, "run.accepted")]


def test_a_publication_that_is_killed_leaves_a_good_chain(installation: Installation) -> None:
    installation.send(TUESDAY, rows([1, 2, 3, 4]))
    folders = {"ROOT": "root", "INBOX": "inbox", "HOME": installation.home}
    environment = {f"GUIJI_{name}": str(installation.folder / folder) for name, folder in folders.items()}
    process = child.start(environment, TUESDAY, "pipelines.operations.publishing:prepare_entry")
    process.join()
    assert process.exitcode == -9
    context = installation.context
    assert verify(context).problems == [], "what it has committed to the logs is a run under way"
    assert current_head(context).position == 2
    assert installation.night(TUESDAY) is None
    assert verify(context).problems == []
    assert current_head(context).position == 3


def test_feeds_that_publish_at_once_on_postgresql(tmp_path: Path) -> None:
    with new_postgresql_database() as url:
        installation = Installation(tmp_path, ledger_url=url.render_as_string(hide_password=False))
        installation.send(MONDAY, rows([1, 2, 3]))
        described = tmp_path / "root" / "schemas" / "departments" / "dept" / "penalty.yaml"
        other = described.read_text("utf-8").replace(f"feed: {FEED}", f"feed: {FEED}_too")
        described.with_name("penalty_too.yaml").write_text(other, "utf-8")
        context = installation.describe()
        judged = [judge_batch(context, pull_batch(context, feed, MONDAY)) for feed in context.catalogue.feed_codes]
        with ThreadPoolExecutor(len(judged)) as pool:
            assert list(pool.map(lambda run: publish_batch(context, run), judged)) == judged
        audit = verify(context)
        assert audit.problems == []
        assert (audit.entries, audit.runs) == (3, 2), "the start is written once"
        with context.ledger.write() as ledger:
            ledger.execute(update(Run).where(Run.id == judged[1]).values(quarantined=7))
            ledger.execute(update(ChainEntry).where(ChainEntry.position == 1).values(subject="x"))
        assert {(run, place) for _, run, place in found(verify(context))} == {
            (None, ""),
            (judged[1], "run.quarantined"),
        }
        context.ledger.engine.dispose()


def test_the_commands(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, folder in (("ROOT", "root"), ("INBOX", "inbox"), ("HOME", "home")):
        monkeypatch.setenv(f"GUIJI_{name}", str(installation.folder / folder))
    runner = CliRunner()
    whole = runner.invoke(app, ["audit", "verify", "--since", "2026-11-20"])
    assert (whole.exit_code, "Nothing was altered or removed." in whole.output) == (0, True)
    head = runner.invoke(app, ["audit", "head"]).output.strip()
    assert runner.invoke(app, ["audit", "verify", "--quick", "--head", head]).exit_code == 0
    assert VERSIONS in runner.invoke(app, ["audit", "show", RUN]).output
    suggestions = home(installation.context, f"runs/{RUN}/suggestions.parquet")
    noted = runner.invoke(app, ["audit", "removal", str(suggestions), "--by", "张三", "--why", "old"])
    assert noted.output.startswith("entry 3: 1 files")
    suggestions.unlink()
    assert runner.invoke(app, ["audit", "verify", "--quick"]).exit_code == 0
    outside = runner.invoke(app, ["audit", "removal", str(installation.folder), "--by", "张三", "--why", "old"])
    assert "no file or folder of this installation" in str(outside.exception)
    home(installation.context, OUTCOMES).unlink()
    altered = runner.invoke(app, ["audit", "verify", "--quick"])
    assert altered.exit_code == 14
    assert f"entry 2, {RUN}, {OUTCOMES}: it is missing — restore the file from a backup" in altered.output
    assert runner.invoke(app, ["audit", "verify", "--since", "yesterday"]).exit_code == 2
