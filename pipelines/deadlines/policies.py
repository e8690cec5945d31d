"""How long a department has: the limits of ``schemas/calendars/policies.yaml``, and which of them applies to what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import Field

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.yaml_source import Strict, parse, read
from pipelines.deadlines.arrangements import POLICIES_FILE
from pipelines.deadlines.assignments import DAY, Assignment, check_assignments, check_names
from pipelines.errors import CatalogueError
from pipelines.settings import Settings

StopsAt = Literal["received", "delivered", "accepted", "published"]
"""What ends a clock: the department's extract is here, the endpoint has the package, it has accepted the record, or
an endpoint for the public has."""


class DeadlinePolicy(Strict):
    """A limit of ``working_days``, with the text it comes from.

    With ``count_start_day`` the day of the decision is day 1 if it is a working day; otherwise the first working day
    after the decision is.
    """

    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)
    name: str = Field(min_length=1)
    working_days: int = Field(ge=1, le=250)
    count_start_day: bool = Field(default=False, strict=True)
    stops_at: StopsAt = "accepted"
    source: str = Field(min_length=4)


class _PolicyFile(Strict):
    default: str
    policies: list[DeadlinePolicy] = Field(min_length=1)
    assignments: list[Assignment] = Field(default_factory=list)


@dataclass(frozen=True)
class PolicyPeriod:
    """The limit for everything of a kind that begins on ``first``..``last``."""

    first: date
    last: date
    policy: DeadlinePolicy


@dataclass(frozen=True)
class Policies:
    """All limits of an installation."""

    default: DeadlinePolicy
    by_code: Mapping[str, DeadlinePolicy]
    assignments: Sequence[Assignment]
    fingerprint: str

    def applying(
        self,
        *,
        category: str,
        begins: date,
        endpoint: str | None = None,
        department: str | None = None,
        operation: str = "new",
    ) -> DeadlinePolicy:
        """The limit for something that begins on a day: the first assignment that fits, or the default."""
        (period,) = self.periods(
            begins, begins, category=category, endpoint=endpoint, department=department, operation=operation
        )
        return period.policy

    def periods(
        self,
        first: date,
        last: date,
        *,
        category: str,
        endpoint: str | None = None,
        department: str | None = None,
        operation: str = "new",
    ) -> Iterator[PolicyPeriod]:
        """The limits of the days ``first``..``last`` in their order, each day in one period."""
        kind = "new" if operation == "update" else operation
        fitting = [one for one in self.assignments if one.fits(kind, category, endpoint, department)]
        begin = first
        while begin <= last:
            chosen = next((one for one in fitting if one.first <= begin <= one.last), None)
            policy = self.default if chosen is None else self.by_code[chosen.policy]
            changes = [one.first - DAY for one in fitting if begin < one.first]
            changes += [one.last for one in fitting if begin <= one.last]
            end = min([*changes, last])
            yield PolicyPeriod(begin, end, policy)
            if end == date.max:
                return
            begin = end + DAY

    @property
    def in_use(self) -> tuple[DeadlinePolicy, ...]:
        """The default and every policy that is assigned, in the order of the file."""
        used = {self.default.code, *(one.policy for one in self.assignments)}
        return tuple(policy for policy in self.by_code.values() if policy.code in used)

    def named(self, code: str) -> DeadlinePolicy:
        """The policy with this code; a :class:`CatalogueError` when there is none."""
        if code not in self.by_code:
            known = ", ".join(sorted(self.by_code))
            raise CatalogueError(f"there is no policy {code}", remedy=f"known policies: {known}")
        return self.by_code[code]


def load_policies(settings: Settings, catalogue: Catalogue | None = None) -> Policies:
    """The limits of ``schemas/calendars/policies.yaml``; :class:`CatalogueError` with file and line if it cannot be.

    With a catalogue, what the assignments name is looked up in it as well.
    """
    document = read(settings.schemas / "calendars" / POLICIES_FILE)
    file = parse(document, _PolicyFile)
    policies: dict[str, DeadlinePolicy] = {}
    for place, policy in enumerate(file.policies):
        if policy.code in policies:
            raise document.error(
                f"two policies are called {policy.code}", remedy="rename one of them", at=("policies", place, "code")
            )
        policies[policy.code] = policy
    known = ", ".join(sorted(policies))
    if file.default not in policies:
        raise document.error(f"there is no policy {file.default}", remedy=f"known policies: {known}", at=("default",))
    for place, one in enumerate(file.assignments):
        if one.policy not in policies:
            raise document.error(
                f"there is no policy {one.policy}",
                remedy=f"known policies: {known}",
                at=("assignments", place, "policy"),
            )
    check_assignments(document, file.assignments)
    if catalogue is not None:
        check_names(document, file.assignments, catalogue)
    fingerprint = hashlib.sha256(file.model_dump_json().encode()).hexdigest()[:16]
    return Policies(policies[file.default], policies, file.assignments, fingerprint)


def load_policy(settings: Settings, code: str | None = None) -> DeadlinePolicy:
    """The policy named ``code``, or the default one.

    Raises :class:`CatalogueError` with file and line for a file that cannot be, or a code that is not in it.
    """
    policies = load_policies(settings)
    return policies.default if code is None else policies.named(code)
