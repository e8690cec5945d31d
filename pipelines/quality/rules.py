"""A rule and a suite of rules: what is checked, how bad it is, whose job it is and what to tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal

from pipelines.errors import CatalogueError

Severity = Literal["block", "warn", "info"]
Owner = Literal["department", "us", "upper"]
Dimension = Literal[
    "completeness", "validity", "consistency", "uniqueness", "accuracy", "timeliness", "privacy", "integrity"
]

PARAMETER = "$PARAMETER"
BUSINESS_DATE = "business_date"


@dataclass(frozen=True)
class Rule:
    """One check with its texts.

    ``type`` and ``kwargs`` are those of the Great Expectations expectation; ``type`` is None for rules that
    another step judges (a whole batch, an undecodable line) and that only have their texts here. A rule that
    is ``personal`` is about persons: what it observed is always masked.
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
    since: str
    personal: bool = False
    type: str | None = None
    kwargs: Mapping[str, Any] = dataclass_field(default_factory=dict)

    @property
    def blocking(self) -> bool:
        return self.severity == "block"


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

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    @property
    def _by_code(self) -> dict[str, Rule]:
        cached: dict[str, Rule] | None = self.__dict__.get("_index")
        if cached is None:
            cached = {rule.code: rule for rule in (*self.rules, *self.batch_rules)}
            self.__dict__["_index"] = cached
        return cached
