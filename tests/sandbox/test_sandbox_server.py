"""The receiver as a process: it says when it is ready, and keeps what it accepted when it is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pipelines.errors import CatalogueError, DeliveryError, StorageError
from pipelines.sandbox.server import serve
from pipelines.sandbox.store import open_store
from pipelines.sandbox.subjects import load_subjects

SERVE = """
import sys
from pathlib import Path
from pipelines.sandbox.server import serve
serve("127.0.0.1", 0, Path(sys.argv[1]), None, "letmein-letmein", Path(sys.argv[2]))
"""


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(folder / "store.sqlite"), str(port_file)])
    try:
        limit = time.monotonic() + 30
        while not port_file.exists():
            assert process.poll() is None, "the receiver ended"
            assert time.monotonic() < limit, "the receiver did not become ready"
            time.sleep(0.02)
        yield process, f"http://127.0.0.1:{int(port_file.read_text())}"
    finally:
        process.kill()
        process.wait()


def test_the_port_file_appears_when_it_answers_and_goes_when_it_stops(tmp_path: Path) -> None:
    with running(tmp_path) as (process, url):
        assert httpx.get(f"{url}/health", trust_env=False).json()["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        assert not (tmp_path / "port").exists()


def test_a_stale_port_file_of_a_killed_receiver_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1\n")
    with pytest.raises(DeliveryError, match="no token"):
        serve("127.0.0.1", 0, tmp_path / "store.sqlite", None, "", tmp_path / "port")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DeliveryError, match="cannot be served"):
        serve("127.0.0.1", taken.getsockname()[1], tmp_path / "store.sqlite", None, "x", tmp_path / "port")
    assert not (tmp_path / "port").exists()


def test_a_killed_receiver_keeps_what_it_accepted(tmp_path: Path) -> None:
    package = {
        "packageId": "package-1",
        "sentAt": "2026-11-20T01:02:03Z",
        "records": [
            {
                "recordId": "record-1",
                "operation": "NEW",
                "idempotencyKey": "record-1-1",
                "contentHash": "content-1",
                "data": {"CF_XDR_MC": "缺少其他字段"},
            }
        ],
    }
    headers = {"Authorization": "Bearer letmein-letmein", "Idempotency-Key": "package-1"}
    with running(tmp_path) as (process, url):
        answer = httpx.post(
            f"{url}/api/v1/administrative_penalty/packages", json=package, headers=headers, trust_env=False
        )
        assert answer.status_code == 202
        os.kill(process.pid, signal.SIGKILL)
    with running(tmp_path) as (_process, url):
        receipts = httpx.get(f"{url}/api/v1/packages/package-1/receipts", headers=headers, trust_env=False).json()
        assert [line["ruleCode"] for line in receipts["receipts"]] == ["1014"]


@pytest.mark.parametrize("content", ["代码,名称\n1,2\n", "code,name\n,某公司\n", b"code,name\n1,\xb9\xfa\n"])
def test_a_bad_subject_base_is_named(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "subjects.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CatalogueError, match=r"subjects\.csv"):
        load_subjects(path)


def test_a_missing_subject_base_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"nowhere\.csv"):
        load_subjects(tmp_path / "nowhere.csv")


def test_a_store_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"store\.sqlite"):
        open_store(tmp_path / "file" / "store.sqlite")
