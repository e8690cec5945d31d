"""The hand-written installation, made anew for every test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from reporting_batch import Installation, small_installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with small_installation(tmp_path) as made:
        yield made
