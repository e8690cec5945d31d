"""No secret is ever printed, whatever is wrong with the place it opens; nothing secret travels in the clear."""

from __future__ import annotations

import base64
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from pipelines import cli
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.notices import Addressee
from pipelines.catalogue.sources import HttpSource
from pipelines.delivery.address import endpoint_url
from pipelines.errors import DeliveryError, GuijiError, SourceError
from pipelines.intake.connectors.http_exchange import Exchange
from pipelines.ledger.database import open_ledger
from pipelines.operations.channels import send_webhook
from pipelines.operations.context import open_context
from pipelines.reporting.clock_digest import Digest
from pipelines.settings import PROJECT_ROOT, Settings

SECRET = "geheim-Kx7"
ENDPOINT = load_catalogue(Settings()).endpoints["province_sandbox"]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://guiji:{SECRET}@127.0.0.1:9/guiji",
        f"postgresql+psycopg://guiji:{SECRET}@no-such-host.invalid/guiji",
        f"postgresql+psycopg://guiji:{SECRET}@127.0.0.1:port/guiji",
        f"postgres//guiji:{SECRET}@127.0.0.1/guiji",
        f"nosuchdatabase://guiji:{SECRET}@127.0.0.1/guiji",
    ],
)
def test_a_ledger_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("GUIJI_HOME", str(tmp_path))
    monkeypatch.setenv("GUIJI_LEDGER_URL", url)
    monkeypatch.setattr("sys.argv", ["guiji", "status"])
    with pytest.raises(SystemExit):
        cli.main()
    shown = capfd.readouterr()
    assert "guiji: " in shown.err
    assert SECRET not in shown.out + shown.err
    assert "Traceback" not in shown.err


def test_a_refused_statement_does_not_quote_its_values(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    with ledger.write() as session:
        session.execute(text("CREATE TABLE one (name TEXT UNIQUE)"))
        session.execute(text("INSERT INTO one VALUES (:name)"), {"name": SECRET})
    with pytest.raises(IntegrityError) as refused, ledger.write() as session:
        session.execute(text("INSERT INTO one VALUES (:name)"), {"name": SECRET})
    assert SECRET not in str(refused.value)


class _Robot(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what the receiver logs is not looked at here."""


def test_an_address_that_opens_itself_is_not_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Robot)
    threading.Thread(target=server.handle_request, daemon=True).start()
    for library in ("httpx", "httpcore"):
        monkeypatch.setattr(logging.getLogger(library), "level", logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    open_context(Settings(home=tmp_path))
    addressee = Addressee(webhook_variable="GUIJI_OFFICE", webhook_format="json")
    url = f"http://127.0.0.1:{server.server_port}/send?key={SECRET}"
    send_webhook(addressee, Digest("subject", "body", 0), {"GUIJI_OFFICE": url})
    server.server_close()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("variable", ["GUIJI_LAKE_KEY", "GUIJI_LAKE_KEYS"])
def test_a_wrong_key_is_not_shown_by_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("GUIJI_HOME", str(tmp_path))
    monkeypatch.setenv(variable, base64.b64encode(SECRET.encode()).decode())
    done = CliRunner().invoke(cli.app, ["status"])
    assert isinstance(done.exception, GuijiError)
    assert variable in str(done.exception)
    assert base64.b64encode(SECRET.encode()).decode() not in done.output + str(done.exception)
    assert not (tmp_path / "ledger.sqlite").exists()


@pytest.mark.parametrize("url", ["http://10.1.2.3:8080", "http://share.example.gov.cn/api", "http://127.0.0.1.example"])
def test_records_and_secrets_leave_over_https_unless_somebody_vouches_for_the_network(url: str) -> None:
    named = {str(ENDPOINT.url_variable): url}
    with pytest.raises(DeliveryError, match="plain_http"):
        endpoint_url(ENDPOINT, named)
    assert endpoint_url(ENDPOINT.model_copy(update={"plain_http": True}), named) == url
    source = HttpSource(kind="http", url=url, rows_path="data")
    with pytest.raises(SourceError, match="plain_http"):
        Exchange(source, url)
    Exchange(source.model_copy(update={"plain_http": True}), url)


@pytest.mark.parametrize(
    "url", ["https://share.example.gov.cn", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost"]
)
def test_this_machine_and_https_need_no_leave(url: str) -> None:
    assert endpoint_url(ENDPOINT, {str(ENDPOINT.url_variable): url}) == url


def test_nothing_turns_off_the_check_of_certificates_or_hosts() -> None:
    forbidden = re.compile(r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False|_create_unverified|AutoAddPolicy")
    for folder in ("pipelines", "dags"):
        for path in (PROJECT_ROOT / folder).rglob("*.py"):
            assert not forbidden.search(path.read_text(encoding="utf-8")), path


def test_no_described_secret_stands_in_a_file() -> None:
    """A key of a name like ``password`` holds the name of a variable or nothing."""
    telling = re.compile(r"(secret|password|token|passphrase|private_key)$")
    variable = re.compile(r"[A-Z][A-Z0-9_]*")
    for path in (PROJECT_ROOT / "schemas").rglob("*.yaml"):
        waiting = [yaml.safe_load(path.read_text(encoding="utf-8"))]
        while waiting:
            found = waiting.pop()
            if isinstance(found, dict):
                waiting += found.values()
                for name, value in found.items():
                    if telling.search(str(name).removesuffix("_variable")) and isinstance(value, str):
                        assert str(name).endswith("_variable") and variable.fullmatch(value), f"{path}: {name}"
            elif isinstance(found, list):
                waiting += found
