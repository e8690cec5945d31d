"""A record that is right and that one receiver does not take: withheld there, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
import yaml
from sqlalchemy import select, update

from pipelines.catalogue import catalogue
from pipelines.errors import CatalogueError
from pipelines.identity.synthetic import synthetic_uscc
from pipelines.ledger.database import now
from pipelines.ledger.models import Outbox
from pipelines.operations import acceptance
from pipelines.operations.acceptance import Refreshed, refresh_acceptance
from pipelines.operations.clock import read_clock
from pipelines.operations.context import open_context
from pipelines.operations.deliveries import consolidate_stores
from pipelines.operations.delivery_tasks import refresh_delivery_tasks
from pipelines.operations.figures import recompute_open
from pipelines.operations.record_acts import store_act
from pipelines.operations.record_states import Decision
from pipelines.operations.status import notices_of
from pipelines.operations.task_views import list_tasks
from pipelines.settings import PROJECT_ROOT
from tests.databases import new_postgresql_database
from tests.operations.small_feed import FEED, MONDAY, THURSDAY, TUESDAY, WEDNESDAY, Installation, row

STRICT, EASY = "strict_sandbox", "easy_sandbox"
RULE = "ACC-TEST-001"
# Valid by the national standard, and refused by who wants codes to begin with 91.
OTHER_KIND = synthetic_uscc("52", "119900", "MA900001")


class Shop(Installation):
    """An installation with two receivers, one of which has an acceptance profile."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.profile("starts_with(CF_XDR_SHXYM, '91')")
        sandbox = PROJECT_ROOT / "schemas" / "endpoints" / "province_sandbox.yaml"
        described = yaml.safe_load(sandbox.read_text(encoding="utf-8"))
        described["categories"] = ["administrative_penalty"]
        for name, profiles in ((STRICT, ["test"]), (EASY, [])):
            self.endpoint(described | {"endpoint": name, "acceptance": profiles})
        self.describe(endpoints=[STRICT, EASY])

    def endpoint(self, described: dict[str, Any]) -> None:
        folder = self.folder / "root" / "schemas" / "endpoints"
        folder.mkdir(exist_ok=True)
        (folder / f"{described['endpoint']}.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")

    def profile(self, predicate: str, **meta: str) -> None:
        path = self.folder / "root" / "expectations" / "acceptance" / "test.json"
        texts = {"message_zh": "接收方只收91开头", "fix_zh": "无", "message_en": "91 only", "fix_en": "nothing"}
        about = {"owner": "upper", "dimension": "validity", "family": "organisation_code", "source": "test"}
        entry = {
            "type": "expect_rows_to_satisfy",
            "kwargs": {"column": "CF_XDR_SHXYM", "predicate": predicate},
            "meta": {"code": RULE, **about, **texts, **meta},
            "severity": "critical",
        }
        path.write_text(json.dumps({"name": "test", "expectations": [entry]}), encoding="utf-8")

    def rows(self) -> list[Outbox]:
        with self.context.ledger.read() as session:
            return list(session.scalars(select(Outbox).order_by(Outbox.id)))

    def waiting(self, endpoint: str) -> list[bool]:
        """Per record version at the endpoint, in order: whether it may go."""
        return [one.withheld_at is None for one in self.rows() if one.endpoint == endpoint]

    def refresh(self) -> Refreshed:
        return refresh_acceptance(self.context, self.context.catalogue.endpoints[STRICT], TUESDAY)


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if getattr(request, "param", "sqlite") == "sqlite":
        yield Shop(tmp_path)
        return
    with new_postgresql_database() as url:
        yield Shop(tmp_path, ledger_url=url.render_as_string(hide_password=False))


on_both_ledgers = pytest.mark.parametrize("shop", ["sqlite", "postgresql"], indirect=True)


@on_both_ledgers
def test_a_profile_withholds_at_its_endpoint_only_and_releases_when_it_changes(shop: Shop) -> None:
    run = shop.publish(MONDAY, [row(1, 统一社会信用代码=OTHER_KIND), row(2)])
    assert (run.accepted, run.quarantined) == (2, 0)
    assert sorted(shop.waiting(STRICT)) == [False, True]
    assert shop.waiting(EASY) == [True, True]
    (withheld,) = [one for one in shop.rows() if one.withheld_at is not None]
    assert withheld.withheld_rule == RULE
    assert withheld.withheld_reason == f"{RULE} 接收方只收91开头 (91 only)"
    assert withheld.acceptance is not None

    # Nothing has changed: nobody is asked again.
    assert shop.refresh() == Refreshed(0, 0)
    shop.profile("starts_with(CF_XDR_SHXYM, '91') OR starts_with(CF_XDR_SHXYM, '52')")
    assert shop.refresh() == Refreshed(0, 1)
    assert shop.waiting(STRICT) == [True, True]
    shop.profile("starts_with(CF_XDR_SHXYM, 'Y1')")
    assert shop.refresh() == Refreshed(2, 0)
    assert shop.refresh() == Refreshed(0, 0)


def test_a_rule_of_a_profile_is_asked_from_its_first_day_to_its_last(shop: Shop) -> None:
    strict = shop.context.catalogue.endpoints[STRICT]
    shop.profile("FALSE", since="2026-11-17", until="2026-11-19")
    shop.publish(MONDAY, [row(1)])
    assert shop.waiting(STRICT) == [True]
    assert refresh_acceptance(shop.context, strict, MONDAY) == Refreshed(0, 0)
    assert refresh_acceptance(shop.context, strict, TUESDAY) == Refreshed(1, 0)
    assert refresh_acceptance(shop.context, strict, WEDNESDAY) == Refreshed(0, 0)
    assert refresh_acceptance(shop.context, strict, THURSDAY) == Refreshed(0, 1)


def test_a_profile_keeps_no_withdrawal_back(shop: Shop) -> None:
    shop.publish(MONDAY, [row(1)])
    with shop.context.ledger.write() as session:
        session.execute(update(Outbox).values(accepted_at=now()))
    decision = Decision("withdraw", MONDAY, "信用办甲", "示例决定书", "revoked")
    store_act(shop.context, "administrative_penalty", shop.rows()[0].record_key, decision)
    shop.profile("FALSE")
    assert shop.refresh() == Refreshed(0, 0)
    assert [one.withheld_at for one in shop.rows() if one.family == "withdrawal"] == [None, None]


def test_an_endpoint_that_gives_up_its_profile_gets_everything(shop: Shop) -> None:
    shop.publish(MONDAY, [row(1, 统一社会信用代码=OTHER_KIND)])
    path = shop.folder / "root" / "schemas" / "endpoints" / f"{STRICT}.yaml"
    shop.endpoint(yaml.safe_load(path.read_text(encoding="utf-8")) | {"acceptance": []})
    catalogue._load.cache_clear()
    assert shop.refresh() == Refreshed(0, 1)
    assert [one.acceptance for one in shop.rows()] == [None, None]


def test_an_older_version_is_not_released_after_a_newer_one(shop: Shop) -> None:
    shop.publish(MONDAY, [row(1, 统一社会信用代码=OTHER_KIND)])
    shop.publish(TUESDAY, [row(1, 统一社会信用代码=OTHER_KIND, 处罚内容="给予警告，责令改正。")])
    shop.profile("TRUE")
    assert shop.refresh() == Refreshed(0, 1)
    assert shop.waiting(STRICT) == [False, True]


def test_what_is_in_a_package_stays_there(shop: Shop) -> None:
    shop.publish(MONDAY, [row(1)])
    with shop.context.ledger.write() as session:
        from pipelines.delivery.packages import form_package
        from pipelines.ledger.database import now

        queued = session.scalars(select(Outbox).where(Outbox.endpoint == STRICT)).all()
        assert form_package(session, queued, "", lambda _session, package: package.id, now()) is not None
    shop.profile("FALSE")
    assert shop.refresh() == Refreshed(0, 0)


def test_what_another_feed_reported_is_not_released_by_a_profile(shop: Shop) -> None:
    shop.publish(MONDAY, [row(1, 统一社会信用代码=OTHER_KIND)])
    consolidate_stores(shop.context)
    with shop.context.ledger.write() as session:
        # As consolidation leaves a record that another feed has.
        values = {"withheld_rule": None, "withheld_reason": "reported by other_feed: first reported"}
        session.execute(update(Outbox).where(Outbox.endpoint == STRICT).values(values))
    shop.profile("TRUE")
    assert shop.refresh() == Refreshed(0, 0)


def test_the_clock_runs_on_and_the_status_says_why(shop: Shop) -> None:
    shop.publish(MONDAY, [row(1, 统一社会信用代码=OTHER_KIND), row(2)])
    lines = {line.endpoint: line for line in read_clock(shop.context, date(2026, 11, 18))}
    assert (lines[STRICT].total, lines[STRICT].withheld) == (2, 1)
    assert (lines[EASY].total, lines[EASY].withheld) == (2, 0)
    notices = [notice for feed, notice in notices_of(shop.context, MONDAY) if feed == FEED]
    assert f"1 records are withheld at {STRICT} by its acceptance profile ({RULE})" in notices


@on_both_ledgers
def test_the_task_of_what_was_withheld_ends_when_the_profile_lets_it_go(shop: Shop) -> None:
    shop.publish(MONDAY, [row(1, 统一社会信用代码=OTHER_KIND), row(2)])
    refresh_delivery_tasks(shop.context, "delivery")
    (task,) = list_tasks(shop.context)
    assert (task.rule, task.rows, task.state) == (f"{STRICT}:{RULE}", 1, "open")
    shop.profile("TRUE")
    assert shop.refresh() == Refreshed(0, 1)
    refresh_delivery_tasks(shop.context, "delivery")
    refresh_delivery_tasks(shop.context, "delivery")
    assert list_tasks(shop.context) == []
    (task,) = list_tasks(shop.context, states=["verified"])
    assert (task.rows, task.rows_ever) == (0, 1)

    shop.profile("FALSE")
    shop.refresh()
    refresh_delivery_tasks(shop.context, "delivery")
    (task,) = list_tasks(shop.context)
    assert (task.rows, task.state) == (2, "reopened")


def test_what_was_withheld_is_not_owed_any_more_once_a_newer_version_is_queued(shop: Shop) -> None:
    shop.publish(MONDAY, [row(1, 统一社会信用代码=OTHER_KIND)])
    shop.publish(TUESDAY, [row(1, 统一社会信用代码=OTHER_KIND, 处罚内容="给予警告，责令改正。")])
    lines = {line.endpoint: line for line in read_clock(shop.context, date(2026, 11, 18))}
    assert (lines[STRICT].total, lines[STRICT].withheld) == (1, 1)


def test_what_another_feed_has_reported_meanwhile_is_not_let_go(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A night consolidates while an older profile's records are asked about again."""
    shop.publish(MONDAY, [row(1, 统一社会信用代码=OTHER_KIND)])
    asked = acceptance._ask

    def consolidated_meanwhile(*arguments: Any) -> Any:
        with shop.context.ledger.write() as session:
            values = {"withheld_rule": None, "withheld_reason": "reported by other_feed: first reported"}
            session.execute(update(Outbox).where(Outbox.endpoint == STRICT).values(values))
        return asked(*arguments)

    monkeypatch.setattr(acceptance, "_ask", consolidated_meanwhile)
    shop.profile("TRUE")
    shop.refresh()
    assert shop.waiting(STRICT) == [False]


def test_figures_are_final_once_no_receiver_can_say_more(shop: Shop) -> None:
    """What another feed reported is never confirmed, nor is a rejected version behind a newer one: nobody waits."""
    shop.publish(MONDAY, [row(1), row(2)])
    with shop.context.ledger.write() as session:
        session.execute(update(Outbox).values(accepted_at=now()))
        one, two = session.scalars(select(Outbox).where(Outbox.endpoint == EASY)).all()
        one.accepted_at, one.withheld_at, one.withheld_reason = None, now(), "reported by other_feed: first reported"
        two.accepted_at, two.rejected_at = None, now()
    with time_machine.travel(datetime(2026, 12, 20, tzinfo=UTC), tick=False):
        assert recompute_open(shop.context).batches == 1
        assert recompute_open(shop.context).batches == 1, "the rejected record may still be taken"
        shop.publish(TUESDAY, [row(1, 处罚内容="给予警告，责令改正。"), row(2, 处罚内容="给予警告，责令改正。")])
        with shop.context.ledger.write() as session:
            session.execute(update(Outbox).where(Outbox.business_date == TUESDAY).values(accepted_at=now()))
        assert recompute_open(shop.context).batches == 2
        assert recompute_open(shop.context).batches == 0


def test_an_endpoint_with_an_unknown_profile_is_named(shop: Shop) -> None:
    (shop.folder / "root" / "expectations" / "acceptance" / "test.json").unlink()
    catalogue._load.cache_clear()
    with pytest.raises(CatalogueError, match="no acceptance profile test"):
        open_context(shop.context.settings)
