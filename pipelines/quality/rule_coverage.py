"""Which rules and repairs cover which defect and which conditional rule of the standard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.catalogue.defects import Condition, Defect, DefectCatalogue
from pipelines.catalogue.repair_rules import RepairRule
from pipelines.catalogue.rule_words import Bilingual
from pipelines.quality.rule_book import RuleEntry


@dataclass(frozen=True)
class Coverage:
    """One defect or condition and what takes care of it; ``otherwise`` is what is no rule and no repair."""

    key: str
    name: Bilingual
    rules: tuple[RuleEntry, ...]
    repairs: tuple[str, ...]
    otherwise: Bilingual | None

    @property
    def is_covered(self) -> bool:
        return bool(self.rules or self.repairs or self.otherwise)


def coverage_of(
    entries: Iterable[RuleEntry], repairs: Iterable[RepairRule], catalogue: DefectCatalogue
) -> tuple[Coverage, ...]:
    """All defects by number, then all conditions."""
    rules, known = tuple(entries), tuple(repairs)
    return (
        *(
            _coverage(
                str(number),
                defect,
                (rule for rule in rules if number in rule.defects),
                (repair.rule for repair in known if number in repair.defects),
            )
            for number, defect in catalogue.defects.items()
        ),
        *(
            _coverage(
                name,
                condition,
                (rule for rule in rules if name in rule.conditions),
                (repair.rule for repair in known if name in repair.conditions),
            )
            for name, condition in catalogue.conditions.items()
        ),
    )


def _coverage(key: str, described: Defect | Condition, rules: Iterable[RuleEntry], repairs: Iterable[str]) -> Coverage:
    otherwise = described.otherwise
    return Coverage(
        key,
        Bilingual(described.name_zh, described.name_en),
        tuple(rules),
        tuple(repairs),
        Bilingual(otherwise.how_zh, otherwise.how_en) if otherwise else None,
    )
