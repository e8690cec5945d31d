"""Acceptance profiles: what a receiver takes beyond, or short of, what the national standard asks (domain 1.6).

A profile is a suite in ``expectations/acceptance/`` in the form of all suites. Its rules never make a record wrong;
they only say that one receiver does not take it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier, literal
from pipelines.errors import CatalogueError
from pipelines.quality.checks import check_of
from pipelines.quality.compile import naming_faulty, parameters
from pipelines.quality.facts import FACTS, create_plain_facts
from pipelines.quality.rules import Rule, Suite
from pipelines.quality.suite import load_rules
from pipelines.settings import Settings

FOLDER = "acceptance"
REFUSALS = "refusals"
_STANDARD = "stored_standard"
_BESIDE_FIELDS = ("feed", "record_key", "version")
# What the outbox keeps of a reason.
_LONGEST_REASON = 200


def load_acceptance(
    settings: Settings, profiles: Iterable[str], category: Category, categories: Mapping[str, Category]
) -> Suite | None:
    """The rules of some profiles for one category, as one suite; None when they ask nothing of it.

    An entry about a field of another category is for that one. Raises :class:`CatalogueError` with file and line for a
    missing or wrong file, a field that no category has, a code that stands twice, and a severity other than critical:
    a receiver takes a record or does not.
    """
    rules: list[Rule] = []
    others = {code for other in categories.values() for code in other.field_codes}
    for name in profiles:
        path = settings.expectations / FOLDER / f"{name}.json"
        for rule in load_rules(path, category, others):
            if not rule.blocking:
                raise CatalogueError(
                    f"{rule.code}: an acceptance profile only says what is taken and what is not",
                    remedy="make its severity critical, or take it out",
                    file=path,
                )
            if any(rule.code == known.code for known in rules):
                raise CatalogueError(
                    f"the code {rule.code} stands twice", remedy="give every rule a code of its own", file=path
                )
            rules.append(rule)
    return Suite("+".join(profiles), tuple(rules)) if rules else None


def find_refusals(session: Session, suite: Suite, category: Category, business_date: date, versions: str) -> int:
    """Make the table ``refusals`` of the record versions that a profile refuses; returns how many.

    ``versions`` is a relation in the form of the record store. Columns: feed, record_key, version, rule (the first that
    is broken), reason (in Chinese and English, at most 200 characters; quotes no value).
    """
    fields = ", ".join(_as_standard(field.code, field.type) for field in category.fields)
    beside = ", ".join(identifier(name) for name in _BESIDE_FIELDS)
    session.execute(f"CREATE OR REPLACE TEMP VIEW {_STANDARD} AS SELECT {beside}, {fields} FROM {identifier(versions)}")
    create_plain_facts(session, category, _STANDARD)
    checks = [check_of(rule, parameters(business_date)) for rule in suite.rules]
    first = " ".join(
        f"WHEN {check.broken} THEN {literal(rule.code)}" for rule, check in zip(suite.rules, checks, strict=True)
    )
    texts = " ".join(
        f"WHEN {literal(rule.code)} THEN {literal(f'{rule.code} {rule.message_zh} ({rule.message_en})')}"
        for rule in suite.rules
    )
    with naming_faulty(session, suite.rules, checks):
        session.execute(
            f"CREATE OR REPLACE TABLE {REFUSALS} AS "
            f"SELECT {beside}, rule, left(CASE rule {texts} END, {_LONGEST_REASON}) AS reason "
            f"FROM (SELECT {beside}, CASE {first} END AS rule FROM {FACTS}) WHERE rule IS NOT NULL"
        )
    return session.count(REFUSALS)


def _as_standard(code: str, kind: str) -> str:
    """A stored field as the text that rules read."""
    column = identifier(code)
    if kind == "date":
        return f"strftime({column}, '%Y/%m/%d') AS {column}"
    if kind == "amount":
        whole = f"regexp_replace(CAST({column} AS VARCHAR), '(\\.[0-9]*?)0+$', '\\1')"
        return f"regexp_replace({whole}, '\\.$', '') AS {column}"
    return column
