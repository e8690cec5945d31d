"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.personal_data import personal_data_scan  # noqa: F401 - a fixture for every test

# Whoever runs tests side by side sets the width of a terminal that nobody has; tables are as wide as in a pipe.
os.environ.pop("COLUMNS", None)

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real inputs that are not part of the project; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared with real inputs")
    return SHARED


@pytest.fixture(autouse=True)
def environment_is_left_as_found() -> Iterator[None]:
    """What one test leaves in the environment, an address or a token, another one would silently work with."""
    before = _project_variables()
    yield
    after = _project_variables()
    for name in after.keys() - before.keys():
        del os.environ[name]
    assert after == before, "the test leaves variables of the environment behind"


def _project_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("GUIJI_", "AIRFLOW_CONN_"))}
