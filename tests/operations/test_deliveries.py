"""Several endpoints at once, what a delivery would do, and sending again on request, as operators see it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml
from sqlalchemy import select
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import DeliveryError
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import EndpointState
from pipelines.ledger.models import Attempt, Outbox, Package
from pipelines.operations import delivery_preview, record_words
from pipelines.operations.context import Context
from pipelines.operations.deliveries import deliver_endpoints, deliver_to_all
from pipelines.operations.delivery_preview import Going, Staying, preview
from pipelines.sandbox.misbehaviour import Ration
from tests.operations.delivering import ENDPOINT, Delivering, opened
from tests.operations.small_feed import TUESDAY, rows

NOBODY_THERE = "http://127.0.0.1:9"


def run(*arguments: str) -> tuple[int, str]:
    shown = CliRunner().invoke(cli.app, list(arguments), terminal_width=200)
    return shown.exit_code, " ".join((shown.output + (str(shown.exception) if shown.exception else "")).split())


def another(shop: Delivering, name: str, **changes: object) -> None:
    """Describe one more endpoint, like the one there is but for its name and ``changes``."""
    folder = shop.installation.folder / "root" / "schemas" / "endpoints"
    described = yaml.safe_load((folder / f"{ENDPOINT}.yaml").read_text(encoding="utf-8"))
    (folder / f"{name}.yaml").write_text(
        yaml.safe_dump(described | {"endpoint": name} | changes, allow_unicode=True), encoding="utf-8"
    )


def owing(shop: Delivering, *endpoints: str) -> Context:
    """Publish a fourth and a fifth decision for these endpoints."""
    context = shop.installation.describe(endpoints=[ENDPOINT, *endpoints], dump="full")
    shop.installation.publish(TUESDAY, rows([1, 2, 3, 4, 5]))
    return context


def test_dead_endpoints_keep_no_other_waiting_and_each_is_told(small_shop: Delivering) -> None:
    for name in ("county_east", "county_west"):
        another(small_shop, name, url=NOBODY_THERE, url_variable=None)
    context = owing(small_shop, "county_east", "county_west")
    told: list[tuple[str, int, int]] = []
    deliveries = deliver_to_all(context, progress=lambda *progress: told.append(progress))
    assert deliveries.results[ENDPOINT].accepted == 2
    assert sorted(deliveries.problems) == ["county_east", "county_west"]
    assert (ENDPOINT, 2, 2) in told
    with pytest.raises(DeliveryError, match=r"2 endpoints are in trouble: county_east .*county_west "):
        deliver_endpoints(context)


def test_an_endpoint_to_which_nothing_is_owed_needs_no_secret(small_shop: Delivering) -> None:
    another(small_shop, "not_configured", secret_variable="GUIJI_NOBODY_SET_THIS")
    deliveries = deliver_to_all(owing(small_shop))
    assert (dict(deliveries.problems), deliveries.results["not_configured"].sent) == ({}, 0)
    assert deliveries.results[ENDPOINT].accepted == 2


def test_a_dry_run_shows_what_would_go_and_changes_nothing(
    small_shop: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    another(small_shop, "not_configured", secret_variable="GUIJI_NOBODY_SET_THIS")
    context = owing(small_shop, "not_configured")
    deliver_to_all(context, ENDPOINT)
    small_shop.installation.publish(TUESDAY + timedelta(days=1), rows([1, 2, 3, 4, 5, 6]))
    small_shop.act(small_shop.key(1), "withdraw", "revoked")

    def ledger() -> list[dict[str, object]]:
        facts = [vars(row) for model in (Outbox, Package, Attempt, EndpointState) for row in _rows(context, model)]
        return [{name: value for name, value in row.items() if name != "_sa_instance_state"} for row in facts]

    before, held = ledger(), small_shop.held()
    ours, theirs = preview(context, most_listed=2)[::-1]
    assert (ours.endpoint, theirs.endpoint) == (ENDPOINT, "not_configured")
    assert {(line.operation, line.records) for line in ours.going} == {("withdraw", 1)}
    assert [(line.operation, line.reason, line.records) for line in ours.staying] == [
        ("new", delivery_preview.UNSETTLED_RUN, 1)
    ]
    assert ours.obstacles == []
    assert sum(line.records for line in theirs.going) == 2
    assert theirs.obstacles == ["the secret for not_configured is missing"]
    assert [record.subject_name for record in theirs.listed] == [
        "示例市样本第0004号有限公司",
        "示例市样本第0005号有限公司",
    ]
    monkeypatch.setattr(record_words, "PERSON_KIND", "法人及非法人组织")
    (masked,) = preview(context, "not_configured", most_listed=1)[0].listed
    assert (masked.subject_name or "").startswith("示*")
    assert "4号" not in (masked.document_number or "")
    monkeypatch.undo()
    assert ledger() == before
    assert small_shop.held() == held


def _rows(context: Context, model: type) -> list[object]:
    with context.ledger.read() as session:
        return list(session.scalars(select(model)))


def test_the_dry_run_of_the_command_line(small_shop: Delivering) -> None:
    context = owing(small_shop)
    with context.ledger.write() as session:
        retry_at = now() + timedelta(hours=1)
        session.merge(EndpointState(endpoint=ENDPOINT, failures=3, reason="ConnectError", retry_at=retry_at))
    code, shown = run("deliver", "--dry-run", "--list")
    assert code == 0
    assert "is left alone until" in shown
    assert "3 deliveries in a row found it dead: ConnectError" in shown
    code, shown = run("deliver")
    assert code != 0
    assert "--force" in shown
    code, shown = run("deliver", "--force")
    assert (code, "accepted 2" in shown) == (0, True)
    assert run("deliver", "--list")[0] != 0


def test_what_an_operation_is_not_taken_for_is_said_beforehand(small_shop: Delivering) -> None:
    another(small_shop, ENDPOINT, operations=["new", "update"])
    context = small_shop.installation.describe(endpoints=[ENDPOINT], dump="full")
    small_shop.act(small_shop.key(1), "withdraw", "revoked")
    (plan,) = preview(context)
    assert plan.going == []
    assert plan.staying == [Staying("administrative_penalty", "withdraw", delivery_preview.NOT_TAKEN, 1)]
    assert Going("administrative_penalty", "withdraw", "later", 1) not in plan.going


def test_sending_again_is_shown_first_and_done_on_yes(small_shop: Delivering) -> None:
    owing(small_shop)
    small_shop.receiver.misbehaviour.set("wrong_clock", Ration(times=1, seconds=4000 * 86400))
    assert small_shop.deliver().rejected == 2
    code, shown = run("resend", "--endpoint", ENDPOINT, "--since", "2020-01-01")
    assert (code, "2 records would be queued again" in shown) == (0, True)
    assert small_shop.deliver().sent == 0
    assert run("resend", "--endpoint", ENDPOINT)[0] != 0
    assert run("resend", "--endpoint", ENDPOINT, "--package", "no such package")[0] != 0
    code, shown = run("resend", "--endpoint", ENDPOINT, "--since", "2020-01-01", "--by", "信用办甲", "--yes")
    assert (code, "2 records are queued again" in shown) == (0, True)
    assert small_shop.deliver().accepted == 2
    texts = [attempt.text for attempt in opened(small_shop.context, Attempt) if attempt.action == "resend"]
    assert texts == ["2 rejected records are sent again, asked for by 信用办甲"]
