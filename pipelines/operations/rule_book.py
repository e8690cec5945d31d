"""The rule book of an installation: all rules, what they cover, and the page that shows them. Needs no ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.defects import load_defects
from pipelines.catalogue.repair_rules import RepairRule, load_repair_rules
from pipelines.quality.rule_book import RuleEntry, entry_of, rule_entries
from pipelines.quality.rule_book_text import rule_book_text
from pipelines.quality.rule_coverage import Coverage, coverage_of
from pipelines.settings import Settings

PAGE = Path("docs") / "rules.md"


@dataclass(frozen=True)
class RuleBook:
    """All rules, all repairs, and what covers each defect and each condition."""

    rules: tuple[RuleEntry, ...]
    repairs: tuple[RepairRule, ...]
    coverage: tuple[Coverage, ...]

    def rule(self, code: str) -> RuleEntry:
        """One rule by its code; :class:`CatalogueError` when there is none."""
        return entry_of(self.rules, code)

    @property
    def text(self) -> str:
        """The book as Markdown."""
        return rule_book_text(self.rules, self.repairs, self.coverage)


@dataclass(frozen=True)
class RuleFilter:
    """Which rules are wanted; None wants all. ``text`` is looked for in code, texts, field and source."""

    category: str | None = None
    family: str | None = None
    severity: str | None = None
    owner: str | None = None
    dimension: str | None = None
    text: str | None = None

    def wants(self, rule: RuleEntry) -> bool:
        exact = (
            (self.family, rule.family),
            (self.severity, rule.severity),
            (self.owner, rule.owner),
            (self.dimension, rule.dimension),
        )
        if any(wanted is not None and wanted != found for wanted, found in exact):
            return False
        # A rule that belongs to no category is judged in all of them.
        if self.category is not None and rule.categories and self.category not in rule.categories:
            return False
        if self.text is None:
            return True
        where = (rule.code, *rule.title, *rule.remedy, rule.source, rule.field or "", *(rule.field_name or ()))
        return any(self.text.casefold() in part.casefold() for part in where)


def rule_book(settings: Settings) -> tuple[RuleEntry, ...]:
    """Every rule that ``expectations/`` and ``schemas/`` hold now, by family."""
    return rule_entries(settings, load_catalogue(settings))


def whole_book(settings: Settings) -> RuleBook:
    """All rules and repairs, and what they cover."""
    rules = rule_book(settings)
    repairs = tuple(load_repair_rules(settings.schemas).values())
    return RuleBook(rules, repairs, coverage_of(rules, repairs, load_defects(settings.schemas.resolve())))


def chosen(rules: Iterable[RuleEntry], wanted: RuleFilter) -> tuple[RuleEntry, ...]:
    return tuple(rule for rule in rules if wanted.wants(rule))


def page_of(settings: Settings) -> Path:
    """Where the book lies as a page."""
    return settings.root / PAGE


def page_is_current(settings: Settings) -> bool:
    """Whether the page says what the rules say."""
    page = page_of(settings)
    return page.exists() and page.read_text(encoding="utf-8") == whole_book(settings).text


def write_page(settings: Settings) -> Path:
    """Write the page anew."""
    page = page_of(settings)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(whole_book(settings).text, encoding="utf-8")
    return page
