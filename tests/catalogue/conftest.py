"""A copy of the catalogue that a test may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.settings import PROJECT_ROOT


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT_ROOT / "schemas", tmp_path / "schemas")
    return tmp_path / "schemas"


def edit(path: Path, old: str, new: str) -> int:
    """Replace the first ``old`` in a file; returns the line it stands on."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1
