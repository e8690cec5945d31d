"""Where the commands print."""

from __future__ import annotations

import os
import sys

from rich.console import Console

# A pipe or a log has no width of its own; tables need some. What is shown comes from files and people: brackets in it
# are brackets, no markup.
out = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120, markup=False)
err = Console(stderr=True, markup=False)
