"""A rule and a suite of rules: what is checked, how bad it is, whose job it is and what to tell them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import date
from typing import Any, Literal

from pipelines.errors import CatalogueError

Severity = Literal["block", "warn", "info"]
Owner = Literal["department", "us", "upper"]
Dimension = Literal[
    "completeness", "validity", "consistency", "uniqueness", "accuracy", "timeliness", "privacy", "integrity"
]

Scope = Literal["row", "set", "batch"]
Family = Literal[
    "required",
    "format",
    "code_list",
    "organisation_code",
    "person",
    "name",
    "document",
    "date",
    "amount",
    "class",
    "status",
    "duplicate",
    "file",
    "source",
    "gate",
]

PARAMETER = "$PARAMETER"
BUSINESS_DATE = "business_date"
# The standard of 2018 (424号) was issued on this day; no batch is older.
FOREVER = date(2018, 7, 25)


@dataclass(frozen=True)
class Rule:
    """One check with its texts.

    ``family`` groups rules in the rule book. ``version`` counts changes of what the rule asks: a waiver and a finding
    name it. The rule is in force for batches from the business date ``since`` and before ``until``. ``defects`` are the
    numbers of the defect catalogue and ``conditions`` the conditional rules of the standard that it covers (domain
    reference 8 and 1.3). ``scope`` says what is looked at: a ``row`` by itself, a ``set`` of rows (such a rule never
    blocks, because one row's fate must not hang on another's), or a whole ``batch``. A rule that is not ``waivable``
    may be excused for no record.

    ``type`` and ``kwargs`` are those of the Great Expectations expectation; ``type`` is None for rules that
    another step judges (a whole batch, an undecodable line) and that only have their texts here. A rule that
    is ``personal`` is about persons: what it observed is always masked. A ``derived`` rule follows from the schema.
    """

    code: str
    field: str | None
    severity: Severity
    owner: Owner
    dimension: Dimension
    message_zh: str
    fix_zh: str
    message_en: str
    fix_en: str
    source: str
    family: Family
    version: int = 1
    since: date = FOREVER
    until: date | None = None
    scope: Scope = "row"
    defects: tuple[int, ...] = ()
    conditions: tuple[str, ...] = ()
    waivable: bool = True
    personal: bool = False
    derived: bool = False
    type: str | None = None
    kwargs: Mapping[str, Any] = dataclass_field(default_factory=dict)

    @property
    def blocking(self) -> bool:
        return self.severity == "block"

    def in_force(self, day: date) -> bool:
        """Whether batches of a business date are judged by this rule."""
        return self.since <= day and (self.until is None or day < self.until)


@dataclass(frozen=True)
class RuleCount:
    """How often a rule applied to a row, and how many of those rows broke it."""

    code: str
    applied: int
    failed: int


@dataclass(frozen=True)
class Suite:
    """All rules of one category, in the order in which their codes stand in a row's list of reasons.

    ``rules`` are judged row by row; ``batch_rules`` are judged by other steps and looked up here for their texts.
    """

    name: str
    rules: tuple[Rule, ...]
    batch_rules: tuple[Rule, ...] = ()

    def rule(self, code: str) -> Rule:
        """The rule with this code, wherever it is judged; :class:`CatalogueError` when there is none."""
        found = self._by_code.get(code)
        if found is None:
            raise CatalogueError(
                f"no rule {code} in the suite {self.name}",
                remedy="name a rule of expectations/ or one that the schema implies",
            )
        return found

    def on(self, day: date) -> Suite:
        """The suite as it judges batches of a business date: rules not yet or no longer in force are left out."""
        return replace(self, rules=tuple(rule for rule in self.rules if rule.in_force(day)))

    @property
    def hash(self) -> str:
        """SHA-256 of what the row rules ask; texts may change without it."""
        asked = [(rule.code, rule.version, rule.severity, rule.type, dict(rule.kwargs)) for rule in self.rules]
        return hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    @property
    def _by_code(self) -> dict[str, Rule]:
        cached: dict[str, Rule] | None = self.__dict__.get("_index")
        if cached is None:
            cached = {rule.code: rule for rule in (*self.rules, *self.batch_rules)}
            self.__dict__["_index"] = cached
        return cached
