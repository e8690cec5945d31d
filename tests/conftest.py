"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Whoever runs tests side by side sets the width of a terminal that nobody has; tables are as wide as in a pipe.
os.environ.pop("COLUMNS", None)

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real inputs that are not part of the project; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared with real inputs")
    return SHARED
