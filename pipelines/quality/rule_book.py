"""The rule book: every rule of every suite with all that a reader may ask about it.

``guiji rules``, ``docs/rules.md`` and the pages of the rules are made of the same entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.rule_words import DIMENSIONS, FAMILIES, OWNERS, SCOPES, SEVERITIES, Bilingual
from pipelines.errors import CatalogueError
from pipelines.quality.checks import ALWAYS, check_of, known_types
from pipelines.quality.golden_cases import load_golden_cases
from pipelines.quality.rules import BUSINESS_DATE, Rule
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings


@dataclass(frozen=True)
class RuleEntry:
    """One rule as the rule book shows it.

    ``categories`` are those whose suites hold the rule; ``field_name`` is what the field is called there. ``derived``
    tells a rule that the schema implies from one that somebody wrote. ``applies`` and ``holds`` are the two SQL
    conditions over a row, empty for what is not judged by a condition. ``golden_cases`` break the rule: paths below
    ``data_samples/``, or test functions where no file can.
    """

    code: str
    title: Bilingual
    remedy: Bilingual
    family: str
    family_name: Bilingual
    severity: str
    severity_name: Bilingual
    owner: str
    owner_name: Bilingual
    dimension: str
    dimension_name: Bilingual
    scope: str
    scope_name: Bilingual
    source: str
    version: int
    since: date
    until: date | None
    defects: tuple[int, ...]
    conditions: tuple[str, ...]
    waivable: bool
    personal: bool
    field: str | None
    field_name: Bilingual | None
    categories: tuple[str, ...]
    derived: bool
    type: str | None
    applies: str
    holds: str
    golden_cases: tuple[str, ...]

    def in_force(self, day: date) -> bool:
        """Whether batches of a business date are judged by the rule."""
        return self.since <= day and (self.until is None or day < self.until)


def rule_entries(settings: Settings, catalogue: Catalogue) -> tuple[RuleEntry, ...]:
    """Every rule once: by family, then in the order of the suites.

    Raises :class:`CatalogueError` when two suites mean different things by one code.
    """
    golden = load_golden_cases(settings.expectations)
    found: dict[str, tuple[Rule, list[Category]]] = {}
    shared: tuple[Rule, ...] = ()
    for category in catalogue.categories.values():
        suite = load_suite(settings, category, catalogue.code_lists)
        shared = suite.batch_rules
        for rule in suite.rules:
            _collect(found, rule, category)
    for rule in shared:
        found[rule.code] = (rule, [])
    entries = [_entry(rule, categories, golden) for rule, categories in found.values()]
    order = list(FAMILIES)
    return tuple(sorted(entries, key=lambda entry: order.index(entry.family)))


def entry_of(entries: Iterable[RuleEntry], code: str) -> RuleEntry:
    """The entry of a code, whatever its case; :class:`CatalogueError` when there is none."""
    for entry in entries:
        if entry.code.casefold() == code.casefold():
            return entry
    raise CatalogueError(f"no rule {code}", remedy="look it up with `guiji rules list --text WORD`")


def _collect(found: dict[str, tuple[Rule, list[Category]]], rule: Rule, category: Category) -> None:
    known = found.setdefault(rule.code, (rule, []))
    if known[0] != rule:
        raise CatalogueError(
            f"the code {rule.code} means different things in {known[1][0].category} and {category.category}",
            remedy="give one of the two rules a code of its own",
        )
    known[1].append(category)


def _entry(rule: Rule, categories: Sequence[Category], golden: Mapping[str, tuple[str, ...]]) -> RuleEntry:
    check = check_of(rule, {BUSINESS_DATE: f"<{BUSINESS_DATE}>"}) if rule.type in known_types() else None
    field = categories[0].field(rule.field) if rule.field and categories else None
    return RuleEntry(
        code=rule.code,
        title=Bilingual(rule.message_zh, rule.message_en),
        remedy=Bilingual(rule.fix_zh, rule.fix_en),
        family=rule.family,
        family_name=FAMILIES[rule.family],
        severity=rule.severity,
        severity_name=SEVERITIES[rule.severity],
        owner=rule.owner,
        owner_name=OWNERS[rule.owner],
        dimension=rule.dimension,
        dimension_name=DIMENSIONS[rule.dimension],
        scope=rule.scope,
        scope_name=SCOPES[rule.scope],
        source=rule.source,
        version=rule.version,
        since=rule.since,
        until=rule.until,
        defects=rule.defects,
        conditions=rule.conditions,
        waivable=rule.waivable,
        personal=rule.personal,
        field=rule.field,
        field_name=Bilingual(field.name_zh, field.name_en) if field else None,
        categories=tuple(category.category for category in categories),
        derived=rule.derived,
        type=rule.type,
        applies="" if check is None or check.applies == ALWAYS else check.applies,
        holds="" if check is None else check.holds,
        golden_cases=golden.get(rule.code, ()),
    )
