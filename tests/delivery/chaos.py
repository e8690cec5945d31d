"""A delivery under the worst conditions: killed again and again while the receiver misbehaves in every way it can."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos_protocols import Protocol, Reached
from delivery_shop import Shop
from sqlalchemy import select

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.endpoints import Breaker, Endpoint, Retry
from pipelines.delivery.outbox import count_unsettled, is_anything_open
from pipelines.delivery.resending import Chosen, queue_again, rejected_rows
from pipelines.ledger.database import now
from pipelines.ledger.models import Outbox, Package
from pipelines.sandbox.misbehaviour import Kind, Misbehaviour, Ration
from pipelines.sandbox.store import HeldRecord, open_store
from pipelines.settings import PROJECT_ROOT

SCRIPT = Path(__file__).with_name("chaos_child.py")
# The children must run what is tested here, whatever is installed.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
IN_A_PACKAGE = 4
LAST_RUNS = 20
# A package takes about eight events; a strike beyond the last one kills nobody.
EVENTS = 8
# Nothing more is queued while so many portions wait, so that the chaos is where the work is done; but after so many
# deliveries that died over what waits, more is.
MOST_WAITING = 2
MOST_DEATHS = 3


@dataclass(frozen=True)
class Extent:
    """How long the chaos lasts: so many packages and so many kills at least."""

    packages: int
    kills: int
    seed: int

    @classmethod
    def of_environment(cls) -> Extent:
        """The short form, or what GUIJI_CHAOS_PACKAGES, GUIJI_CHAOS_KILLS and GUIJI_CHAOS_SEED say."""
        read = os.environ.get
        seed = read("GUIJI_CHAOS_SEED")
        return cls(
            int(read("GUIJI_CHAOS_PACKAGES", "12")),
            int(read("GUIJI_CHAOS_KILLS", "8")),
            int(seed) if seed else random.randrange(10**6),
        )


@dataclass
class Course:
    """What happened: how the children ended, and what the receiver did wrong."""

    endings: Counter[str] = field(default_factory=Counter)
    shown: dict[Kind, int] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        return self.endings["killed"]


def misbehave(misbehaviour: Misbehaviour, kinds: frozenset[Kind]) -> None:
    """All kinds of bad behaviour at once, each now and then."""
    often: dict[Kind, Ration] = {
        "slow": Ration(chance=0.05, seconds=0.05),
        "busy": Ration(chance=0.05, seconds=0),
        "fail_before": Ration(chance=0.05),
        "fail_after": Ration(chance=0.05),
        "cut": Ration(chance=0.05),
        "lose_answer": Ration(chance=0.02, seconds=0.6),
        "processing": Ration(chance=0.2),
        "duplicate_receipt": Ration(chance=0.1),
        "wrong_receipt": Ration(chance=0.1),
        "lost_receipt": Ration(chance=0.1),
        "shuffled_receipts": Ration(chance=0.3),
        "partial_rejection": Ration(chance=0.05),
        "wrong_clock": Ration(chance=0.02, seconds=400 * 86400),
        "wrong_token": Ration(chance=0.02),
        "expired_certificate": Ration(chance=0.02),
        "full_disk": Ration(chance=0.05),
    }
    for kind in kinds:
        misbehaviour.set(kind, often[kind])


class Chaos:
    """One protocol, one ledger, one receiver."""

    def __init__(self, shop: Shop, reached: Reached, misbehaviour: Misbehaviour, extent: Extent, folder: Path) -> None:
        self.course = Course()
        self._shop = shop
        self._reached = reached
        self._misbehaviour = misbehaviour
        self._extent = extent
        self._random = random.Random(extent.seed)
        self._records = folder / "records.pickle"
        self._queued = 0
        self._portion = max(1, extent.packages // extent.kills)
        self._endpoint = _impatient(reached.endpoint)

    def run(self) -> None:
        """Kill deliveries until there were enough kills and packages, then let the last ones end in peace."""
        with _forker() as forker:
            misbehave(self._misbehaviour, self._reached.kinds)
            deaths = 0
            while self._queued < self._extent.packages or self.course.kills < self._extent.kills:
                deaths += 1
                if deaths > MOST_DEATHS or self._waiting() <= MOST_WAITING * self._portion * IN_A_PACKAGE:
                    self._queue(self._portion)
                    deaths = 0
                self._deliver(forker, **self._death())
            self.course.shown = self._misbehaviour.shown()
            self._misbehaviour.behave()
            for _ in range(LAST_RUNS):
                self._deliver(forker, strike_at=0, seconds=None)
                if not self._send_rejected_again() and not self._is_anything_open():
                    return
        raise AssertionError(f"after {LAST_RUNS} undisturbed deliveries something is still owed: {self.course.endings}")

    def check(self) -> None:
        """Every record was accepted exactly once, and both sides tell the same story."""
        held: dict[str, HeldRecord] = {}
        with open_store(self._reached.store)() as session:
            for record in session.scalars(select(HeldRecord)):
                held[record.upper_id] = record
        rows_of: defaultdict[str, list[Outbox]] = defaultdict(list)
        for row in self._shop.rows():
            rows_of[row.record_key].append(row)
        for key, rows in rows_of.items():
            self._check_record(key, rows, held)
        assert not held, "the receiver holds what nobody sent"
        assert all(package.settled_at is not None for package in self._shop.rows(Package))

    def _check_record(self, key: str, rows: list[Outbox], others: dict[str, HeldRecord]) -> None:
        """``rows``: what was owed about one record, in order; ``others``: what is held by upper-level id."""
        contents = [row for row in rows if row.family == "content"]
        shown = [row for row in contents if row.accepted_at is not None]
        is_withdrawn = rows[-1].family == "withdrawal"
        if not shown:
            assert is_withdrawn, "a record is lost"
            return
        (upper_id,) = {row.upper_id for row in shown}
        assert upper_id in others, "a record is lost"
        held = others.pop(upper_id)
        assert rows[-1].accepted_at is not None
        assert held.updates == len(shown) - 1, "something was accepted twice"
        stored = self._shop.records[shown[-1].feed, shown[-1].record_key, shown[-1].version]
        assert held.data.get("BZ") == stored.get("BZ")
        if self._reached.knows_our_keys:
            assert (held.record_id, held.content_hash) == (key, shown[-1].content_hash)
        assert (held.withdrawn_at is not None) == is_withdrawn
        assert all((row.withdrawn_at is not None) == is_withdrawn for row in shown)

    def _queue(self, packages: int) -> None:
        """Queue new records; now and then a newer version of one of them, and a withdrawal."""
        for number in range(packages * IN_A_PACKAGE):
            name = f"{self._queued}.{number}"
            category = self._random.choice(["administrative_penalty", "administrative_licence"])
            self._shop.queue(name, category=category)
            if "update" in self._endpoint.operations and self._random.random() < 0.1:
                self._shop.queue(name, category=category, version=2, BZ="更正")
            if "withdraw" in self._endpoint.operations and self._random.random() < 0.1:
                self._shop.withdraw(name, category=category)
        self._queued += packages
        self._records.write_bytes(pickle.dumps(self._shop.records))

    def _death(self) -> dict[str, float | None]:
        """At an event half of the time, else at any moment."""
        if self._random.random() < 0.5:
            return {"strike_at": self._random.randint(1, EVENTS * (self._portion + 1)), "seconds": None}
        return {"strike_at": 0, "seconds": self._random.uniform(0.05, 0.5 + 0.2 * self._portion)}

    def _deliver(self, forker: subprocess.Popen[str], *, strike_at: float | None, seconds: float | None) -> None:
        command = {
            "ledger": self._shop.ledger.engine.url.render_as_string(hide_password=False),
            "endpoint": self._endpoint.model_dump_json(),
            "environment": dict(self._reached.environment),
            "records": str(self._records),
            "strike_at": strike_at,
            "seconds": seconds,
        }
        assert forker.stdin is not None
        assert forker.stdout is not None
        forker.stdin.write(json.dumps(command) + "\n")
        forker.stdin.flush()
        ending: str = json.loads(forker.stdout.readline())
        assert ending != "crashed", "the delivery ended with an error that it did not foresee"
        self.course.endings[ending] += 1

    def _send_rejected_again(self) -> bool:
        """What the receiver rejected for no reason of its own is sent again; whether there was any."""
        with self._shop.ledger.write() as session:
            rows = rejected_rows(session, Chosen(self._endpoint.endpoint))
            queue_again(session, rows, "the chaos test", now())
            return bool(rows)

    def _waiting(self) -> int:
        with self._shop.ledger.read() as session:
            return count_unsettled(session, self._endpoint.endpoint)

    def _is_anything_open(self) -> bool:
        with self._shop.ledger.read() as session:
            return is_anything_open(session, self._endpoint.endpoint)


def _impatient(endpoint: Endpoint) -> Endpoint:
    """The endpoint with small packages, short pauses, and a breaker that never opens."""
    return endpoint.model_copy(
        update={
            "package_size": IN_A_PACKAGE,
            "retry": Retry(attempts=3, first_seconds=0.01, factor=2.0, longest_seconds=0.05),
            "breaker": Breaker(failures=10**6),
            "timeout_seconds": 0.5,
            "receipt_wait_seconds": 1.0,
        }
    )


@contextmanager
def _forker() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(SCRIPT)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=ENVIRONMENT
    )
    try:
        yield process
    finally:
        process.communicate()


@contextmanager
def chaos(protocol: Protocol, shop: Shop, catalogue: Catalogue, extent: Extent, folder: Path) -> Iterator[Chaos]:
    """The receiver runs, and misbehaves by the seed, until the block ends."""
    misbehaviour = Misbehaviour(seed=extent.seed)
    with protocol(folder, catalogue, misbehaviour) as reached:
        yield Chaos(shop, reached, misbehaviour, extent, folder)
