"""What a bad input is: bytes that a department has sent or could send, and what must become of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEADERS = ("行政相对人名称", "行政处罚决定书文号", "处罚内容")
HEAD = ",".join(HEADERS) + "\n"
CELLS = ("某市示例有限公司", "示罚〔2026〕1号", "警告")
ROW = ",".join(CELLS) + "\n"


@dataclass(frozen=True)
class BadInput:
    """One bad input.

    ``expected`` is a regular expression for the message it must be refused with. None: it is read, into ``rows`` rows
    and ``rejects`` lines that are none. ``either``: whichever it is, nothing may be lost (files cut off anywhere).
    """

    name: str
    content: Callable[[], bytes]
    expected: str | None = None
    rows: int = 0
    rejects: int = 0
    either: bool = False


def cut_off(name: str, content: Callable[[], bytes], times: int, seed: int) -> Iterator[BadInput]:
    """The same file cut off after a random number of bytes, several times."""
    places = random.Random(seed)
    stem, _, suffix = name.rpartition(".")
    for number in range(times):
        share = places.random()

        def cut(share: float = share) -> bytes:
            data = content()
            return data[: max(1, int(len(data) * share))]

        yield BadInput(f"{stem}_cut_{number}.{suffix}", cut, either=True)
