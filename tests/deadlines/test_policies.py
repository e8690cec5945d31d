"""Which limit applies to what and when, and assignments that cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.deadlines.assignments import Assignment
from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import assigned_deadlines, deadline
from pipelines.deadlines.policies import DeadlinePolicy, Policies, load_policies
from pipelines.errors import CatalogueError
from pipelines.settings import PROJECT_ROOT, Settings

DAY = timedelta(days=1)
PENALTY = "administrative_penalty"
Write = Callable[[str], Settings]


@pytest.fixture
def assign(tmp_path: Path) -> Write:
    """Adds assignments, one a line, to the project's own limits."""
    shutil.copytree(PROJECT_ROOT / "schemas", tmp_path / "schemas")
    shutil.copytree(PROJECT_ROOT / "expectations", tmp_path / "expectations")

    def write(lines: str) -> Settings:
        path = tmp_path / "schemas" / "calendars" / "policies.yaml"
        path.write_text(path.read_text(encoding="utf-8") + lines, encoding="utf-8")
        return Settings(root=tmp_path)

    return write


def test_the_shipped_limits() -> None:
    policies = load_policies(Settings(), load_catalogue(Settings()))
    begins = date(2026, 11, 20)
    assert policies.applying(category=PENALTY, begins=begins).code == "public_credit"
    assert policies.applying(category=PENALTY, begins=begins, operation="update").code == "public_credit"
    assert policies.applying(category=PENALTY, begins=begins, operation="withdraw").working_days == 5
    assert policies.applying(category=PENALTY, begins=begins, operation="objection_on").code == "objection_mark"
    assert [policy.code for policy in policies.in_use] == ["public_credit", "penalty_removal", "objection_mark"]


def test_the_first_assignment_that_fits_applies(assign: Write) -> None:
    settings = assign(
        "  - {endpoint: province_sandbox, department: market, policy: penalty_removal}\n"
        "  - {category: administrative_penalty, policy: market_regulation_publicity}\n"
    )
    policies = load_policies(settings, load_catalogue(settings))

    def applying(category: str, endpoint: str | None, department: str) -> str:
        found = policies.applying(category=category, begins=date(2026, 3, 2), endpoint=endpoint, department=department)
        return found.code

    assert applying(PENALTY, "province_sandbox", "market") == "penalty_removal"
    assert applying(PENALTY, "province_sandbox", "ecology") == "market_regulation_publicity"
    assert applying(PENALTY, None, "market") == "market_regulation_publicity"
    assert applying("administrative_licence", None, "market") == "public_credit"


def test_a_limit_can_change_on_a_day(assign: Write) -> None:
    settings = assign(
        "  - {category: administrative_penalty, until: 2026-06-30, policy: market_regulation_publicity}\n"
        "  - {category: administrative_penalty, since: 2026-07-01, until: 2026-07-31, policy: penalty_removal}\n"
    )
    policies = load_policies(settings, load_catalogue(settings))
    days = [date(2026, 6, 30), date(2026, 7, 1), date(2026, 7, 31), date(2026, 8, 1)]
    assert [policies.applying(category=PENALTY, begins=day).code for day in days] == [
        "market_regulation_publicity",
        "penalty_removal",
        "penalty_removal",
        "public_credit",
    ]
    table = assigned_deadlines(
        load_calendar(settings), policies, date(2026, 6, 30), date(2026, 8, 1), category=PENALTY
    ).to_pylist()
    assert len(table) == 33
    for row in table:
        policy = policies.applying(category=PENALTY, begins=row["decision_date"])
        assert row["policy"] == policy.code
        assert row["deadline"] == deadline(load_calendar(settings), policy, row["decision_date"]).date


DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))


@given(
    spans=st.lists(st.tuples(st.none() | DAYS, st.none() | DAYS, st.sampled_from("abc")), max_size=6),
    first=DAYS,
    length=st.integers(0, 60),
)
def test_periods_are_the_limits_of_their_days(
    spans: list[tuple[date | None, date | None, str]], first: date, length: int
) -> None:
    known = {code: DeadlinePolicy(code=code, name=code, working_days=1, source="for the test") for code in "abcd"}
    assignments = [
        Assignment(policy=code, since=since, until=until)
        for since, until, code in spans
        if since is None or until is None or since <= until
    ]
    policies = Policies(known["d"], known, assignments, "")
    found = {}
    for period in policies.periods(first, first + DAY * length, category=PENALTY):
        for step in range((period.last - period.first).days + 1):
            day = period.first + DAY * step
            assert day not in found
            found[day] = period.policy.code
    assert list(found) == [first + DAY * step for step in range(length + 1)]
    for day, code in found.items():
        fitting = (one.policy for one in assignments if (one.since or day) <= day <= (one.until or day))
        assert code == next(fitting, "d")


# The shipped file has 30 lines, the last three of them assignments.
@pytest.mark.parametrize(
    ("lines", "line", "problem"),
    [
        ("  - {category: penalties, policy: penalty_removal}", 1, "unknown category penalties"),
        ("  - {endpoint: nowhere, policy: penalty_removal}", 1, "unknown endpoint nowhere"),
        ("  - {department: fishery, policy: penalty_removal}", 1, "unknown department fishery"),
        ("  - {category: administrative_penalty, policy: nothing}", 1, "no policy nothing"),
        ("  - {operation: delete, policy: penalty_removal}", 1, "operation"),
        ("  - {since: 2026-07-01, until: 2026-06-30, policy: penalty_removal}", 1, "until lies before since"),
        ("  - {since: 20260701, policy: penalty_removal}", 1, "since"),
        ("  - {operation: withdraw, policy: objection_mark}", 1, "assigned to the same things on the same days"),
        (
            "  - {category: administrative_penalty, until: 2026-07-01, policy: penalty_removal}\n"
            "  - {category: administrative_penalty, since: 2026-07-01, policy: objection_mark}",
            2,
            "assigned to the same things on 2026-07-01",
        ),
        ("  - {operation: withdraw, department: market, policy: objection_mark}", 1, "objection_mark never applies"),
        (
            "  - {until: 2026-06-30, policy: penalty_removal}\n"
            "  - {since: 2026-07-01, policy: objection_mark}\n"
            "  - {category: administrative_penalty, since: 2026-01-01, policy: public_credit}",
            3,
            "public_credit never applies",
        ),
    ],
)
def test_an_assignment_that_cannot_be_is_named_with_its_line(
    assign: Write, lines: str, line: int, problem: str
) -> None:
    shipped = (PROJECT_ROOT / "schemas/calendars/policies.yaml").read_text(encoding="utf-8").count("\n")
    settings = assign(lines + "\n")
    with pytest.raises(CatalogueError, match=problem) as caught:
        load_policies(settings, load_catalogue(settings))
    assert caught.value.file == str(settings.schemas / "calendars" / "policies.yaml")
    assert caught.value.line == shipped + line


def test_an_endpoint_that_does_not_take_the_category_has_no_limit_for_it(assign: Write) -> None:
    settings = assign("  - {endpoint: province_sandbox, category: administrative_penalty, policy: penalty_removal}\n")
    endpoint = settings.schemas / "endpoints" / "province_sandbox.yaml"
    text = endpoint.read_text(encoding="utf-8")
    endpoint.write_text(text.replace("[administrative_licence, administrative_penalty]", "[administrative_licence]"))
    with pytest.raises(CatalogueError, match="does not take administrative_penalty"):
        load_policies(settings, load_catalogue(settings))
