"""Bad behaviour on request, so that tests can see what a sender does about it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Literal, get_args

Kind = Literal[
    "slow",
    "busy",
    "fail_before",
    "fail_after",
    "cut",
    "lose_answer",
    "processing",
    "duplicate_receipt",
    "wrong_receipt",
    "lost_receipt",
    "shuffled_receipts",
    "partial_rejection",
    "wrong_clock",
    "expired_certificate",
    "wrong_token",
    "full_disk",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass
class Ration:
    """How often one kind of bad behaviour is shown: ``times`` times (None: without end), each with ``chance``.

    ``seconds`` is how long it takes (``slow``, ``lose_answer``), what ``Retry-After`` says (``busy``) or by how much
    the clock is wrong; ``status`` is the HTTP status of ``busy``, ``fail_before`` and ``fail_after``.
    """

    times: int | None = None
    chance: float = 1.0
    seconds: float = 1.0
    status: int = 500
    shown: int = 0


class Misbehaviour:
    """What the receiver does wrong now. One object serves all protocols; it is safe to use from several threads.

    ``slow``: answers after a while. ``busy``: refuses with 429 (or ``status``) and a time to come back.
    ``fail_before`` and ``fail_after``: a failure of its own before and after what was asked has been done. ``cut``:
    does it, and cuts the connection in the middle of the answer. ``lose_answer``: does it, and answers when nobody
    waits any more. ``processing``: says that it is still at work. Receipts can be given twice, about another record,
    not at all, or in another order; ``partial_rejection`` refuses a record for no reason of its own. ``wrong_clock``:
    sees another day. ``expired_certificate``: shows one (TLS only). ``wrong_token``: does not know the sender.
    ``full_disk``: cannot store.
    """

    def __init__(self, plan: Mapping[Kind, Ration] | None = None, seed: int = 0) -> None:
        self._plan: dict[Kind, Ration] = dict(plan or {})
        self._random = random.Random(seed)  # noqa: S311 - a rehearsed accident, no secret
        self._lock = Lock()

    def set(self, kind: Kind, ration: Ration | None) -> None:
        """Begin, change or (None) end one kind of bad behaviour."""
        with self._lock:
            if ration is None:
                self._plan.pop(kind, None)
            else:
                self._plan[kind] = ration

    def behave(self) -> None:
        """End all of it."""
        with self._lock:
            self._plan.clear()

    def takes(self, kind: Kind) -> Ration | None:
        """The ration if this is one of the moments to misbehave so, which is counted; else None."""
        with self._lock:
            ration = self._plan.get(kind)
            if ration is None or (ration.times is not None and ration.shown >= ration.times):
                return None
            if ration.chance < 1.0 and self._random.random() >= ration.chance:
                return None
            ration.shown += 1
            return ration

    def plan(self) -> dict[Kind, Ration]:
        """What is in force, and how often each kind was shown; a copy."""
        with self._lock:
            return {kind: replace(ration) for kind, ration in self._plan.items()}

    def shown(self) -> dict[Kind, int]:
        """How often each kind was shown since it was asked for."""
        with self._lock:
            return {kind: ration.shown for kind, ration in self._plan.items()}
