"""An installation is made ill in one way after the other; the doctor names the illness and the cure, and no secret."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
import time_machine
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.ledger.database import migrate, now, open_ledger
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import Run
from pipelines.ledger.operation_models import ChainEntry, ChainHead
from pipelines.operations import doctor_endpoints, doctor_home
from pipelines.operations.clock_watch import watch_clock
from pipelines.operations.doctor import CHECKS, examine
from pipelines.operations.doctor_findings import Finding, Patient
from pipelines.settings import Settings
from tests.delivery.delivery_shop import TOKEN
from tests.operations.delivering import ENDPOINT, Delivering
from tests.operations.small_feed import FEED


def look(shop: Delivering, *checks: str, connect: bool = False) -> list[Finding]:
    # A new process would load the catalogue anew.
    from pipelines.catalogue import catalogue

    catalogue._load.cache_clear()
    return examine(Patient(shop.context.settings, connect=connect), checks)


def ill(shop: Delivering, check: str, *, connect: bool = False) -> Finding:
    """The worst finding of a check, which has to come with a remedy."""
    order = ("ok", "warning", "problem")
    worst = max(look(shop, check, connect=connect), key=lambda finding: order.index(finding.state))
    assert worst.state != "ok", worst
    assert worst.remedy
    return worst


def test_a_well_installation_and_a_clock_that_goes_backwards(shop: Delivering) -> None:
    watch_clock(shop.context)
    findings = look(shop, connect=True)
    assert {finding.check for finding in findings} == CHECKS.keys()
    # What the machine that tests has installed, its hurried test database, and the calendar of next year apart.
    of_the_machine = {"packages", "integrity", "calendar"}
    assert [finding for finding in findings if finding.state != "ok" and finding.check not in of_the_machine] == []

    with time_machine.travel(datetime.now(UTC) - timedelta(days=2), tick=True):
        found = look(shop, "clocks")
    problems = [one.found for one in found if one.state == "problem"]
    assert any("ahead of this machine" in problem for problem in problems)
    of_the_database = any("database's clock" in problem for problem in problems)
    assert of_the_database == (shop.context.ledger.engine.dialect.name == "postgresql")


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    findings = {finding.check: finding for finding in examine(Patient(settings))}
    assert findings["home"].state == "warning"
    assert "guiji migrate" in findings["ledger"].remedy
    assert findings["runs"].found.startswith("not looked at")
    assert list(tmp_path.iterdir()) == [], "looking makes nothing"


def test_exit_codes_and_json(small_shop: Delivering) -> None:
    runner = CliRunner()
    well = runner.invoke(app, ["doctor", "--only", "home", "--only", "modes", "--json"])
    assert well.exit_code == 0, well.output
    assert [(one["check"], one["state"], one["remedy"]) for one in json.loads(well.output)] == [
        ("home", "ok", ""),
        ("modes", "ok", ""),
    ]
    (small_shop.context.settings.landing / "copy").touch(mode=0o644)
    (small_shop.context.settings.landing / "copy").chmod(0o644)
    badly = runner.invoke(app, ["doctor", "--only", "modes"])
    assert badly.exit_code == 1
    assert f"chmod -R go-rwx {small_shop.context.settings.home_path}" in badly.output.replace("\n", " ")
    assert runner.invoke(app, ["doctor", "--only", "teeth"]).exit_code == 2


def test_a_broken_feed_is_named_and_the_rest_is_looked_at(small_shop: Delivering) -> None:
    feed = small_shop.installation.folder / "root/schemas/departments/dept/penalty.yaml"
    feed.write_text(feed.read_text("utf-8") + "\nno_such_key: 1\n", "utf-8")
    found = ill(small_shop, "schemas")
    assert found.state == "problem"
    assert FEED in found.found
    assert "penalty.yaml" in found.found
    suite = small_shop.installation.folder / "root/expectations/administrative_penalty.json"
    suite.write_text("{", "utf-8")
    assert "administrative_penalty.json" in ill(small_shop, "schemas").found


def test_a_folder_that_cannot_be_written(small_shop: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_where: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor_home.tempfile, "TemporaryFile", refuse)
    assert ill(small_shop, "home").state == "problem"


def test_too_little_space(small_shop: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small_shop.context.settings
    monkeypatch.setattr(settings, "min_free_gb", 1e9)
    assert ill(small_shop, "disk").state == "problem"
    monkeypatch.setattr(settings, "min_free_gb", 0)
    night = sum(path.stat().st_size for path in settings.runs.rglob("*") if path.is_file())
    for nights, state in ((1, "problem"), (3, "warning")):
        usage = shutil.disk_usage(settings.home_path)._replace(free=nights * night)
        monkeypatch.setattr(doctor_home.shutil, "disk_usage", lambda _path, usage=usage: usage)
        assert ill(small_shop, "disk").state == state


def test_a_file_system_without_locks(small_shop: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_home.fcntl, "flock", lambda _file, _how: None)
    assert "does not keep others out" in ill(small_shop, "file_system").found


def test_ledgers_of_other_times(small_shop: Delivering) -> None:
    url = small_shop.context.settings.ledger
    migrate(url, "0003")
    assert "of revision 0003" in ill(small_shop, "ledger").found
    assert ill(small_shop, "runs").found.startswith("not looked at")
    migrate(url)
    with open_ledger(url).write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    newer = ill(small_shop, "ledger")
    assert newer.state == "problem"
    assert "newer guiji" in newer.remedy


def test_a_ledger_that_does_not_answer_and_its_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, ledger_url="postgresql+psycopg://guiji:s3cret@127.0.0.1:1/guiji")
    findings = examine(Patient(settings), ["ledger", "breakers"])
    assert [finding.state for finding in findings] == ["problem", "warning"]
    assert "s3cret" not in str(findings)


def test_a_damaged_sqlite_file(small_shop: Delivering) -> None:
    path = small_shop.context.settings.home_path / "ledger.sqlite"
    small_shop.context.ledger.engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_outbox_due'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(os.urandom(size))
    assert ill(small_shop, "integrity").state == "problem"


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
def test_any_time_zone_will_do(small_shop: Delivering, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    (found,) = look(small_shop, "time_zone")
    assert found.state == "ok"
    assert zone in found.found


@pytest.mark.parametrize(("day", "state"), [("2026-11-23", "warning"), ("2027-02-01", "problem")])
def test_a_year_that_is_not_loaded(small_shop: Delivering, day: str, state: str) -> None:
    with time_machine.travel(f"{day}T04:00:00Z", tick=False):
        found = ill(small_shop, "calendar")
    assert (found.state, "2027" in found.found) == (state, True)
    assert "guiji calendar import" in found.remedy


def test_nobody_watches_the_clock(small_shop: Delivering) -> None:
    assert ill(small_shop, "watch").state == "warning"
    watch_clock(small_shop.context)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=3), tick=True):
        assert ill(small_shop, "watch").state == "problem"


def test_what_sources_need(small_shop: Delivering) -> None:
    described = small_shop.installation.folder / "root/schemas/departments/dept/penalty.yaml"
    feed = yaml.safe_load(described.read_text("utf-8")) | {
        "feed": "dept_other",
        "source": {
            "kind": "sftp",
            "host": "example.gov.cn",
            "host_variable": "GUIJI_OTHER_HOST",
            "user": "guiji",
            "password_variable": "GUIJI_OTHER_PASSWORD",
            "known_hosts": "known_hosts",
            "path": "out/{date}",
            "pattern": "*.csv",
        },
    }
    described.with_name("other.yaml").write_text(yaml.safe_dump(feed, allow_unicode=True), "utf-8")
    shutil.rmtree(small_shop.context.settings.inbox)
    feed_lacks, inbox_lacks = look(small_shop, "sources")
    assert feed_lacks.found == "dept_other: GUIJI_OTHER_PASSWORD not set", "the address is written in the file"
    assert "inbox" in inbox_lacks.found


def test_an_endpoint_without_secret(small_shop: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUIJI_PROVINCE_TOKEN")
    assert "GUIJI_PROVINCE_TOKEN" in ill(small_shop, "endpoints").remedy


def test_an_endpoint_that_is_not_encrypted(small_shop: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIJI_PROVINCE_URL", "http://credit.example.gov.cn")
    refused = ill(small_shop, "endpoints")
    assert refused.state == "problem"
    assert "https" in refused.remedy
    described = small_shop.installation.folder / f"root/schemas/endpoints/{ENDPOINT}.yaml"
    described.write_text(described.read_text("utf-8") + "\nplain_http: true\n", "utf-8")
    allowed = ill(small_shop, "endpoints")
    assert (allowed.state, "not encrypted" in allowed.found) == ("warning", True)
    assert TOKEN not in f"{refused}{allowed}"


@pytest.mark.parametrize(("days", "state"), [(-1, "problem"), (10, "warning")])
def test_a_certificate_that_ends(small_shop: Delivering, days: int, state: str) -> None:
    root = small_shop.installation.folder / "root"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "示例")])
    at = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, at - timedelta(days=90), at + timedelta(days=days))
    (root / "ca.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    described = root / f"schemas/endpoints/{ENDPOINT}.yaml"
    described.write_text(described.read_text("utf-8").replace("rest:\n", "rest:\n  ca_file: ca.pem\n"), "utf-8")
    found = ill(small_shop, "endpoints")
    assert (found.state, "ca.pem" in found.found) == (state, True)


def test_calling_endpoints_hands_nothing_over(small_shop: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    held = small_shop.held()
    assert [finding.state for finding in look(small_shop, "connections", connect=True)] == ["ok"]
    assert small_shop.held() == held
    with monkeypatch.context() as patched:
        fast = {"Date": format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)}
        patched.setattr(doctor_endpoints.httpx, "head", lambda *_, **__: httpx.Response(404, headers=fast))
        assert "apart" in ill(small_shop, "connections", connect=True).found
    monkeypatch.setenv("GUIJI_PROVINCE_TOKEN", "wrong-token")
    refused = ill(small_shop, "connections", connect=True)
    assert refused.state == "problem"
    assert "wrong-token" not in str(refused)
    small_shop.receiver.stop()
    assert "does not answer" in ill(small_shop, "connections", connect=True).found
    small_shop.receiver.start()


def test_breakers_chain_and_runs(small_shop: Delivering) -> None:
    old = now() - timedelta(days=3)
    with small_shop.context.ledger.write() as session:
        state = session.get(EndpointState, ENDPOINT) or EndpointState(endpoint=ENDPOINT)
        state.failures, state.opened_at, state.retry_at, state.reason = 3, old, now() + timedelta(hours=1), "no answer"
        session.add(state)
        session.query(ChainHead).delete()
        session.add(ChainHead(id=1, position=1, hash="a" * 64))
        session.query(ChainEntry).delete()
        run = session.query(Run).filter(Run.state == "published").first()
        assert run is not None
        run.state, run.started_at = "running", old
    assert "--force" in ill(small_shop, "breakers").remedy
    assert "guiji audit verify" in ill(small_shop, "chain").remedy
    assert f"guiji run --feed {FEED}" in ill(small_shop, "runs").remedy


def test_who_holds_a_lock_and_what_lies_about(small_shop: Delivering) -> None:
    settings = small_shop.context.settings
    settings.locks.mkdir(exist_ok=True)
    with (settings.locks / f"{FEED}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (found,) = look(small_shop, "locks")
        assert f"{FEED} (process {os.getpid()})" in found.found
    settings.scratch.mkdir(exist_ok=True)
    left = settings.scratch / "duck-dead"
    left.mkdir()
    os.utime(left, (0, 0))
    assert "duck-dead" in ill(small_shop, "scratch").found
