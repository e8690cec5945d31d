"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real inputs that are not part of the project; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared with real inputs")
    return SHARED
