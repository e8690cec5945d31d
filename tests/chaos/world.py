"""A small installation with two feeds and a receiver, and the commands of a few days in its life."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from pipelines.catalogue import catalogue
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.operations.trace import find_record
from pipelines.settings import PROJECT_ROOT
from tests.chaos import child
from tests.delivery.delivery_shop import TOKEN, Receiver
from tests.operations.delivering import ENDPOINT
from tests.operations.returned_workbook import fill, workbook
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, Installation, row, rows

OTHER_FEED = "dept_other"
RIGHT = synthetic_uscc("91", "119900", "MA900009")
WRONG = RIGHT[:-1] + ("0" if RIGHT[-1] != "0" else "1")
AMENDMENT = {
    "year": 2026,
    "arrangement": "amendment",
    "version": 1,
    "source": "一份虚构的通知",
    "days_off": [date(2026, 11, 19)],
    "working_days": [],
}


@dataclass(frozen=True)
class Step:
    """A command, what happens in the world before it, and how it ends: ``done_already`` if it was killed when done."""

    command: str
    before: Callable[[World], None] | None = None
    ends: int = 0
    done_already: int = 0


class World:
    """Everything below ``folder``; the workbook that comes back is the same in all worlds, so it is made only once."""

    def __init__(self, folder: Path, ledger_url: str | None = None, returned: Path | None = None) -> None:
        self.folder = folder
        self.installation = Installation(folder, {"endpoints": [ENDPOINT], "dump": "full"}, ledger_url=ledger_url)
        self._describe()
        catalogue._load.cache_clear()
        self.context = self.installation.context
        subjects = folder / "subjects.csv"
        known = (f"{cells['统一社会信用代码']},{cells['当事人名称']}" for cells in rows(range(10)))
        subjects.write_text("\n".join(("code,name", *known)), encoding="utf-8")
        self.receiver = Receiver(folder, self.context.catalogue, subjects)
        self.returned = returned or folder / "returned.xlsx"
        self.notice = folder / "amendment.yaml"
        self.notice.write_text(yaml.safe_dump(AMENDMENT, allow_unicode=True), encoding="utf-8")
        self.said = folder / "said"
        self._drop()

    def _describe(self) -> None:
        schemas = self.folder / "root" / "schemas"
        described = yaml.safe_load((PROJECT_ROOT / f"schemas/endpoints/{ENDPOINT}.yaml").read_text("utf-8"))
        described |= {"package_size": 4, "timeout_seconds": 5, "receipt_wait_seconds": 2}
        described["retry"] = {"attempts": 2, "first_seconds": 0.01, "factor": 2, "longest_seconds": 0.05}
        (schemas / "endpoints").mkdir()
        (schemas / "endpoints" / f"{ENDPOINT}.yaml").write_text(yaml.safe_dump(described, allow_unicode=True), "utf-8")
        path = schemas / "departments" / "dept" / "penalty.yaml"
        feed = yaml.safe_load(path.read_text("utf-8"))
        feed["source"]["afterwards"] = {"do": "move", "folder": "taken/{date}"}
        path.write_text(yaml.safe_dump(feed, allow_unicode=True), "utf-8")
        feed |= {"feed": OTHER_FEED, "source": {"kind": "folder", "path": "other/{date}", "pattern": "*"}}
        feed |= {"priority": 50, "dump": "increment"}
        path.with_name("other.yaml").write_text(yaml.safe_dump(feed, allow_unicode=True), "utf-8")

    def _drop(self) -> None:
        self.installation.send(MONDAY, [*rows(range(6)), row(9, 统一社会信用代码=WRONG), rows([5])[0]])
        changed = [row(2, 处罚内容="给予警告，责令改正。"), row(3, 处罚内容="没收。")]
        self.installation.send(TUESDAY, [*rows([0, 1]), *changed, *rows([5, 6, 7])])
        (self.folder / "inbox" / "dept").rename(self.folder / "inbox" / "kept")
        self.installation.send(TUESDAY, rows([6, 8]))
        (self.folder / "inbox" / "dept").rename(self.folder / "inbox" / "other")
        (self.folder / "inbox" / "kept").rename(self.folder / "inbox" / "dept")

    @property
    def environment(self) -> dict[str, str]:
        url = self.installation.ledger_url
        return {
            **{f"GUIJI_{name.upper()}": str(self.folder / name) for name in ("root", "inbox", "home")},
            "GUIJI_PROVINCE_URL": self.receiver.url,
            "GUIJI_PROVINCE_TOKEN": TOKEN,
            **({"GUIJI_LEDGER_URL": url} if url else {}),
        }

    def start(self, step: Step, deadly: frozenset[str] = frozenset()) -> child.BaseProcess:
        command = step.command.format(returned=self.returned, notice=self.notice)
        return child.start(command.split(), self.environment, self.said, deadly)

    def points(self) -> list[str]:
        """Every fail point that was passed since the last call, in order; the deadly ones begin with ``died``."""
        path = self.said.with_suffix(".points")
        found = path.read_text("utf-8").splitlines()
        path.unlink()
        return found

    def printed(self) -> str:
        return self.said.with_suffix(".txt").read_text("utf-8")

    def held(self) -> dict[str, tuple[object, ...]]:
        """What the receiver holds: record → content, state, mark, and how often it was changed."""
        told = self.receiver.held()
        return {
            one["recordId"]: tuple(one[name] for name in ("contentHash", "state", "objection", "updates"))
            for one in told
        }

    def fill_in(self) -> None:
        """The clerk mends the wrong code in Monday's workbook, unless that was done in another world."""
        if not self.returned.exists():
            fill(workbook(self.installation, MONDAY), self.returned, {(8, "行政相对人代码_1(统一社会信用代码)"): RIGHT})

    def lose_a_record(self) -> None:
        """The receiver loses what it holds about the first decision."""
        key = find_record(self.context, "示市监罚〔2026〕0号")[1]
        connection = sqlite3.connect(self.folder / "sandbox.sqlite", timeout=30)
        with connection:
            connection.execute(
                "DELETE FROM accepted_key WHERE record IN (SELECT id FROM record WHERE record_id = ?)", (key,)
            )
            lost = connection.execute("DELETE FROM record WHERE record_id = ?", (key,)).rowcount
        connection.close()
        assert lost, "the receiver never held it"


# The other department sends nothing on Monday: what a run leaves that failed is swept on Tuesday.
STEPS = (
    Step(f"night {MONDAY} {FEED} {OTHER_FEED}", ends=1),
    Step("resubmit {returned} --by clerk", World.fill_in),
    Step("deliver"),
    Step(f"night {TUESDAY} {FEED} {OTHER_FEED}"),
    Step(
        "withdraw 示市监罚〔2026〕1号 --reason error --note wrong --by office --effective 2026-11-18 --yes",
        done_already=6,
    ),
    Step("calendar import {notice} --yes --by office"),
    Step("deliver"),
    Step("reconcile --by office", World.lose_a_record),
    Step("reconcile repair --by office --yes"),
    Step("deliver"),
    Step(f"night {TUESDAY} {FEED} {OTHER_FEED}"),
    Step(f"report --date {MONDAY}"),
)


@contextmanager
def world(folder: Path, ledger_url: str | None = None, returned: Path | None = None) -> Iterator[World]:
    """A new world; its receiver runs until the block ends."""
    made = World(folder, ledger_url, returned)
    made.receiver.start()
    try:
        yield made
    finally:
        made.receiver.stop()
        made.context.ledger.engine.dispose()
