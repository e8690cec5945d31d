"""The receiver from the command line: it says where it answers, misbehaves on command, shows all on its page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import paramiko
import pytest
import yaml
from test_sandbox_app import TOKEN, key, record

from pipelines.errors import DeliveryError
from pipelines.sandbox.misbehaviour import KINDS, Ration
from pipelines.sandbox.page import BEHAVIOUR
from pipelines.sandbox.remote import Remote
from pipelines.settings import PROJECT_ROOT

CHROMIUM = Path("/usr/bin/chromium")


@dataclass
class Running:
    """A receiver started by hand; ``first_line`` is what it said."""

    url: str
    first_line: str
    environment: dict[str, str]

    def guiji(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipelines.cli", "sandbox", *arguments]
        return subprocess.run(command, check=False, env=self.environment, capture_output=True, text=True, timeout=60)

    def ask(self, method: str, path: str, token: str = TOKEN, **what: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **what.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, trust_env=False, **what)

    def send(self, name: str, *records: dict[str, Any]) -> int:
        body = {"packageId": key(name), "sentAt": "2026-11-20T01:02:03Z", "records": records}
        path = "/api/v1/administrative_penalty/packages"
        return self.ask("POST", path, headers={"Idempotency-Key": key(name)}, json=body).status_code


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`guiji sandbox` as README starts it, on a free port."""
    folder = tmp_path_factory.mktemp("sandbox")
    environment = os.environ | {"GUIJI_PROVINCE_TOKEN": TOKEN, "GUIJI_HOME": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pipelines.cli", "sandbox", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first_line = process.stdout.readline()
        url = first_line.split()[4].rstrip(";")
        yield Running(url, first_line, environment | {"GUIJI_PROVINCE_URL": url})
        process.terminate()


@pytest.fixture(autouse=True)
def well_behaved(running: Running) -> None:
    assert running.ask("DELETE", "/control/misbehaviour").json() == {}


def test_it_says_where_it_answers_as_soon_as_it_does(running: Running) -> None:
    assert running.first_line.startswith("The receiver answers at http://127.0.0.1:")
    assert f"its page is {running.url}/" in running.first_line
    assert httpx.get(f"{running.url}/health", trust_env=False).json()["status"] == "ok"


def test_it_misbehaves_and_behaves_on_command(running: Running) -> None:
    told = running.guiji("misbehave", "fail_before", "--times", "1", "--status", "503")
    assert (told.returncode, told.stdout) == (0, "fail_before: 1 times, chance 1, shown 0 times\n")
    assert [running.send("p1", record("a")), running.send("p1", record("a"))] == [503, 202]
    running.guiji("misbehave", "busy", "--seconds", "9", "--chance", "0.5")
    in_force = running.ask("GET", "/control/misbehaviour").json()
    assert in_force["fail_before"]["shown"] == 1
    assert (in_force["busy"]["times"], in_force["busy"]["chance"], in_force["busy"]["seconds"]) == (None, 0.5, 9)
    assert "busy" not in running.guiji("behave", "busy").stdout
    assert running.guiji("behave").stdout == "The receiver behaves.\n"


def test_only_those_who_hold_the_token_command_it(running: Running) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert running.ask(method, "/control/misbehaviour", token="another").status_code == 401
    stranger = Running(running.url, "", running.environment | {"GUIJI_PROVINCE_TOKEN": "another"})
    refused = stranger.guiji("misbehave", "slow")
    assert refused.returncode == 5
    assert "--variable" in refused.stderr
    assert "another" not in refused.stderr


def test_a_command_to_nobody_or_of_nothing_says_so(running: Running) -> None:
    nobody = running.guiji("behave", "--url", "http://127.0.0.1:1")
    assert nobody.returncode == 5
    assert "no receiver answers at http://127.0.0.1:1" in nobody.stderr
    assert running.guiji("misbehave", "politely").returncode == 2
    assert running.ask("POST", "/control/misbehaviour", json={"kind": "politely"}).status_code == 422


def test_every_kind_has_a_name_on_the_page(running: Running) -> None:
    assert set(BEHAVIOUR) == set(KINDS)
    for kind in KINDS:
        running.ask("POST", "/control/misbehaviour", json={"kind": kind, "times": 3, "chance": 0.25})
    page = httpx.get(running.url, trust_env=False).text
    assert all(f"（{kind}）" in page for kind in KINDS)
    assert "还有 3 次，每次概率 25%" in page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(running: Running, width: int) -> None:
    if not CHROMIUM.is_file():
        pytest.skip(f"there is no {CHROMIUM}")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    running.send("page-1", record("shown"), record("marked"), record("gone"), record("refused", CF_SY=""))
    gone = record("gone", "WITHDRAW", 2) | {"reason": "repaired"}
    running.send("page-2", record("marked", "OBJECTION_ON", 2), gone)
    running.ask("POST", "/control/misbehaviour", json={"kind": "lost_receipt", "times": 2})
    complaints: list[str] = []
    asked: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(running.url)
        text = page.inner_text("body")
        for wanted in ("正在按要求出错", "回执丢失（lost_receipt）：还有 2 次", "信用修复", "公示中，有异议", "已撤回"):
            assert wanted in text
        assert page.locator("tr", has_text="REST 接口").first.inner_text().split("\t")[1:3] != ["0", "0"]
        assert page.locator("tr", has_text="SFTP 文件").inner_text().split("\t")[1:] == ["0", "0", "—"]
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        browser.close()
    # It is complete in itself.
    assert [address for address in asked if not address.startswith("data:")] == [f"{running.url}/"]
    assert complaints == []


def test_https_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    environment = os.environ | {"GUIJI_PROVINCE_TOKEN": TOKEN}
    port, folder = tmp_path / "port", tmp_path / "tls"
    command = [sys.executable, "-m", "pipelines.cli", "sandbox", "serve", "--port", "0", "--port-file", str(port)]
    command += ["--certificates", str(folder), "--store", str(tmp_path / "store.sqlite")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        limit = time.monotonic() + 30
        while not port.exists():
            assert time.monotonic() < limit, "the receiver did not become ready"
            time.sleep(0.02)
        url = f"https://127.0.0.1:{port.read_text().strip()}"
        receiver = Remote(url, TOKEN, folder / "authority.pem")
        assert "expired_certificate" in receiver.misbehave("expired_certificate", Ration(times=1))
        with pytest.raises(DeliveryError, match="ConnectError"):
            receiver.behave()
        assert receiver.behave() == {}
        with pytest.raises(DeliveryError, match="ConnectError"):
            Remote(url, TOKEN).in_force()
        assert {file.stat().st_mode & 0o077 for file in folder.iterdir()} == {0}
        process.terminate()


def test_files_over_sftp_come_to_the_same_receiver(tmp_path: Path) -> None:
    described = PROJECT_ROOT / "tests" / "delivery" / "endpoints" / "sftp_file.yaml"
    endpoint = yaml.safe_load(described.read_text(encoding="utf-8"))["sftp_file"]
    environment = os.environ | {"GUIJI_PROVINCE_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pipelines.cli", "sandbox", "--port", "0", "--sftp", str(described)]
    command += ["--store", str(tmp_path / "store.sqlite")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("The receiver answers at http://")
        found = re.fullmatch(r"SFTP at sftp://127\.0\.0\.1:(\d+), host_key: ssh-(\S+ \S+)\n", process.stdout.readline())
        assert found is not None
        with paramiko.Transport(("127.0.0.1", int(found[1]))) as transport:
            transport.connect(username=endpoint["user"], password=TOKEN)
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            assert endpoint["folder"] in client.listdir()
        process.terminate()
    assert (tmp_path / "store_sftp" / endpoint["folder"]).is_dir()
