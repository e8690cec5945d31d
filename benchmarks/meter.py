"""Time by part and peak memory of the running process."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# What follows the name of a part where the seconds are those that its ledger took.
IN_THE_LEDGER = ", in the ledger"


class Meter:
    """Collects seconds per part; prints one JSON line at the end."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.parts[name] = self.parts.get(name, 0.0) + time.perf_counter() - start

    def print(self, others_gb: float = 0.0, shares: Mapping[str, float] | None = None) -> None:
        """``others_gb``: what other processes took at most, where that counts; the larger of both is shown.

        ``shares`` are seconds of the parts, which do not add to the total.
        """
        total = sum(self.parts.values())
        peak = max(others_gb, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
        print(json.dumps({**self.parts, **(shares or {}), "total": total, "peak_gb": peak}))
