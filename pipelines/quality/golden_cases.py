"""Which golden case breaks which rule: ``expectations/golden_cases.json``.

The file is written by running every case (``python -m data_samples.golden``); a test runs them again and
compares.
"""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.errors import CatalogueError

GOLDEN_CASES = "golden_cases.json"


def load_golden_cases(expectations: Path) -> dict[str, tuple[str, ...]]:
    """Code → the cases that break the rule: ``<feed>/<case>`` below ``data_samples/``, or a test function.

    Empty for an installation that has none; :class:`CatalogueError` for a file that is not such a table.
    """
    path = expectations / GOLDEN_CASES
    if not path.exists():
        return {}
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        return {str(code): tuple(map(str, cases)) for code, cases in loaded["rules"].items()}
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise CatalogueError(
            "not a table of golden cases", remedy="write it again: python -m data_samples.golden", file=path
        ) from error
