"""One decision that two feeds report: what the endpoint rejected of the one is nobody's work once the other has it."""

from __future__ import annotations

import shutil

import yaml
from sqlalchemy import select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.catalogue import catalogue
from pipelines.ledger.database import now
from pipelines.ledger.models import DeliveryFinding
from pipelines.ledger.quality_models import Task
from pipelines.operations.clock import open_groups
from pipelines.operations.night import run_batch
from pipelines.sandbox.misbehaviour import Ration
from tests.operations.delivering import ENDPOINT, Delivering, opened
from tests.operations.small_feed import TUESDAY, Rows, rows

OTHER_FEED = "dept_other"


def publish_elsewhere(shop: Delivering, sent: Rows) -> None:
    """Another feed of the department, the more trusted one, reports these rows."""
    folder = shop.installation.folder
    path = folder / "root" / "schemas" / "departments" / "dept" / "penalty.yaml"
    feed = yaml.safe_load(path.read_text("utf-8")) | {"feed": OTHER_FEED, "priority": 50}
    feed["source"] = {"kind": "folder", "path": "other/{date}", "pattern": "*"}
    path.with_name("other.yaml").write_text(yaml.safe_dump(feed, allow_unicode=True), "utf-8")
    catalogue._load.cache_clear()
    shop.installation.send(TUESDAY, sent)
    shutil.move(folder / "inbox" / "dept" / TUESDAY.isoformat(), folder / "inbox" / "other" / TUESDAY.isoformat())
    shop.context = shop.installation.context
    run_batch(shop.context, OTHER_FEED, TUESDAY)


def open_tasks(shop: Delivering) -> dict[str, int]:
    with shop.context.ledger.read() as ledger:
        found = ledger.scalars(select(Task).where(Task.rule.contains(":"), Task.rows > 0))
        return {task.feed: task.rows for task in found}


def test_a_rejected_record_is_let_go_when_another_feed_delivers_it(shop: Delivering) -> None:
    shop.installation.publish(TUESDAY, rows([1, 2, 3, 4, 5]))
    shop.receiver.misbehaviour.set("wrong_clock", Ration(times=1, seconds=4000 * 86400))
    assert shop.deliver().rejected == 2
    assert open_tasks(shop) == {"dept_penalty": 2}
    publish_elsewhere(shop, rows([4]))
    assert shop.deliver().accepted == 1
    assert {shop.key(1), shop.key(2), shop.key(3), shop.key(4)} == shop.shown()

    assert open_tasks(shop) == {"dept_penalty": 1}
    groups = open_groups(shop.context, now())
    assert [(group.feed, group.waiting, group.records) for group in groups] == [("dept_penalty", "rejected", 1)]
    assert "reported by another feed" in str(shop.owed(shop.key(4))[0].withheld_reason)
    # The finding stays: what the endpoint said is not forgotten.
    assert {finding.feed for finding in opened(shop.context, DeliveryFinding)} == {"dept_penalty"}
    asked = ["resend", "--endpoint", ENDPOINT, "--since", "2020-01-01", "--by", "信用办甲", "--yes"]
    shown = CliRunner().invoke(cli.app, asked, terminal_width=200)
    assert "1 records are queued again" in " ".join(shown.output.split())
