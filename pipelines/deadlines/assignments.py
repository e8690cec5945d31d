"""The assignments of ``schemas/calendars/policies.yaml``: which limit applies to what, and what cannot be said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.yaml_source import Document, Strict

Clocked = Literal["new", "withdraw", "objection_on", "objection_off"]
"""What has a clock of its own; ``new`` stands for content of any kind."""

DAY = timedelta(days=1)


class Assignment(Strict):
    """A policy for everything that fits. What is not said fits everything.

    ``since`` and ``until`` (both inclusive) are days on which the clock begins: the decision, or the day on which an
    act takes effect.
    """

    policy: str
    category: str | None = None
    endpoint: str | None = None
    department: str | None = None
    operation: Clocked = "new"
    since: date | None = Field(default=None, strict=True)
    until: date | None = Field(default=None, strict=True)

    @model_validator(mode="after")
    def _some_day_fits(self) -> Self:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise ValueError("until lies before since")
        return self

    @property
    def first(self) -> date:
        return self.since or date.min

    @property
    def last(self) -> date:
        return self.until or date.max

    @property
    def scope(self) -> tuple[str | None, ...]:
        return self.operation, self.category, self.endpoint, self.department

    def fits(self, operation: str, category: str, endpoint: str | None, department: str | None) -> bool:
        """Whether this speaks of such a thing on any day at all."""
        asked = (operation, category, endpoint, department)
        return all(mine in {None, other} for mine, other in zip(self.scope, asked, strict=True))

    def includes(self, other: Assignment) -> bool:
        """Whether everything that ``other`` speaks of fits this one as well, days aside."""
        return all(mine in {None, its} for mine, its in zip(self.scope, other.scope, strict=True))


def check_assignments(document: Document, assignments: Sequence[Assignment]) -> None:
    """Raises :class:`CatalogueError` for an assignment that contradicts an earlier one or can never apply."""
    for place, one in enumerate(assignments):
        before = [earlier for earlier in assignments[:place] if earlier.includes(one)]
        for earlier in before:
            if earlier.scope == one.scope and earlier.first <= one.last and one.first <= earlier.last:
                shared = max(earlier.first, one.first)
                day = "the same days" if shared == date.min else str(shared)
                raise document.error(
                    f"{earlier.policy} and {one.policy} are assigned to the same things on {day}",
                    remedy="say until when the older assignment holds (until) and from when the newer one does (since)",
                    at=("assignments", place),
                )
        if _is_covered(one, before):
            raise document.error(
                f"the assignment of {one.policy} never applies: earlier ones fit everything that it fits",
                remedy="put the narrower assignment before the wider one, or remove it",
                at=("assignments", place),
            )


def check_names(document: Document, assignments: Sequence[Assignment], catalogue: Catalogue) -> None:
    """Raises :class:`CatalogueError` for an assignment to something that the catalogue does not have."""
    known: dict[str, Collection[str]] = {
        "category": catalogue.categories,
        "endpoint": catalogue.endpoints,
        "department": catalogue.departments,
    }
    for place, one in enumerate(assignments):
        for kind, names in known.items():
            name = getattr(one, kind)
            if name is not None and name not in names:
                raise document.error(
                    f"unknown {kind} {name}",
                    remedy=f"use one of {', '.join(sorted(names)) or 'none: there is none yet'}",
                    at=("assignments", place, kind),
                )
        if one.endpoint is not None and one.category is not None:
            taken = catalogue.endpoints[one.endpoint].categories
            if one.category not in taken:
                raise document.error(
                    f"the assignment of {one.policy} never applies: {one.endpoint} does not take {one.category}",
                    remedy=f"name one of the endpoint's categories: {', '.join(taken)}",
                    at=("assignments", place, "category"),
                )


def _is_covered(one: Assignment, before: Sequence[Assignment]) -> bool:
    """Whether the days of earlier, at least as wide assignments leave no day to this one."""
    day = one.first
    for earlier in sorted(before, key=lambda found: found.first):
        if earlier.first > day:
            return False
        if earlier.last >= one.last:
            return True
        day = max(day, earlier.last + DAY)
    return False
