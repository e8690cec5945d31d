"""The rule book of an installation."""

from __future__ import annotations

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.quality.rule_book import RuleEntry, rule_entries
from pipelines.settings import Settings


def rule_book(settings: Settings) -> tuple[RuleEntry, ...]:
    """Every rule of every suite; needs no ledger."""
    return rule_entries(settings, load_catalogue(settings))
