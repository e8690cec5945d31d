"""An installation of its own for each test: home, inbox, settings in the environment."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from pipelines.operations.context import Context, open_context
from pipelines.settings import PROJECT_ROOT, Settings

FRIDAY = date(2026, 11, 20)
MONDAY = date(2026, 11, 23)
SAMPLES = PROJECT_ROOT / "data_samples"
GOLDEN = {"market_penalty": "golden_duplicates", "market_licence": "golden_template"}


def drop(inbox: Path, feed: str, day: date, extract: Path | bytes, name: str = "extract.csv") -> Path:
    """Put an extract where its feed looks for it."""
    target = inbox / feed / day.isoformat() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(extract, bytes):
        target.write_bytes(extract)
    else:
        shutil.copyfile(extract, target)
    return target


def golden(feed: str) -> bytes:
    """A golden extract as its feed sends it; the files are kept in UTF-8 so that people can read them."""
    text = (SAMPLES / feed / GOLDEN[feed] / "extract.csv").read_text(encoding="utf-8")
    return text.encode("gb18030" if feed == "market_penalty" else "utf-8-sig")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The project's configuration with the two feeds of the market department only."""
    folder = tmp_path / "root"
    shutil.copytree(PROJECT_ROOT / "schemas", folder / "schemas")
    shutil.copytree(PROJECT_ROOT / "expectations", folder / "expectations")
    for department in ("ecology", "housing"):
        shutil.rmtree(folder / "schemas" / "departments" / department)
    return folder


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    for feed in GOLDEN:
        drop(folder, feed, FRIDAY, golden(feed))
    return folder


@pytest.fixture
def install(root: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Context]:
    """Open a context with the given home; the command line finds the same one."""

    def open_home(home: Path) -> Context:
        for name, value in (("ROOT", root), ("INBOX", inbox), ("HOME", home)):
            monkeypatch.setenv(f"GUIJI_{name}", str(value))
        return open_context(Settings(root=root, inbox=inbox, home=home))

    return open_home
