"""An installation of its own for each test: home, inbox, settings in the environment."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from pipelines.operations.context import Context, open_context
from pipelines.settings import PROJECT_ROOT, Settings
from tests.databases import new_postgresql_database
from tests.operations import small_feed
from tests.operations.delivering import Delivering, delivering

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


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small installation that has published three decisions and delivered none, to copy: publishing is slow."""
    folder = tmp_path_factory.mktemp("published")
    Delivering(folder).installation.publish(small_feed.MONDAY, small_feed.rows([1, 2, 3]))
    return folder


@pytest.fixture
def small_shop(tmp_path: Path, published_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivering]:
    """Three decisions, accepted by a receiver of its own; the ledger is SQLite."""
    shutil.copytree(published_folder, tmp_path, dirs_exist_ok=True)
    with delivering(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivering]:
    """The same on both databases."""
    if request.param == "sqlite":
        yield request.getfixturevalue("small_shop")
        return
    with (
        new_postgresql_database() as url,
        delivering(tmp_path, monkeypatch, url.render_as_string(hide_password=False)) as made,
    ):
        yield made


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
