"""Suites: the rules of a category, read from ``expectations/`` and completed with what the schema implies.

A file is a Great Expectations suite as that library writes it. Its ``meta`` holds what the library does not know:
the code of the rule, its owner and its texts. Field and severity stand where the library wants them (``column``,
``severity``), not twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field as Value
from pydantic import ValidationError

from pipelines.catalogue.categories import Category
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.gate_settings import GATE_NAMES
from pipelines.catalogue.yaml_source import Document, Strict, parse, read
from pipelines.errors import CatalogueError
from pipelines.quality.checks import check_of, known_types
from pipelines.quality.derived import derived_rules
from pipelines.quality.rules import (
    BUSINESS_DATE,
    FOREVER,
    Dimension,
    Family,
    Owner,
    Rule,
    Scope,
    Severity,
    Suite,
)
from pipelines.settings import Settings

BATCH_RULES = "batch_rules.json"
SET_RULES = "set_rules.json"
GATES = "gates.json"
GATE_TYPE = "expect_figures_to_be_as_usual"
_ROLE = re.compile(r"\$([a-z_]+)")
Model = TypeVar("Model", bound=Strict)
_SEVERITIES: dict[str, Severity] = {"critical": "block", "warning": "warn", "info": "info"}


class RuleMeta(Strict):
    """What a suite's file says about one rule beside the expectation itself."""

    code: str = Value(pattern=r"^[A-Z]+(-[A-Z0-9_]+)+[a-z]?$")
    owner: Owner
    dimension: Dimension
    message_zh: str = Value(min_length=1)
    fix_zh: str = Value(min_length=1)
    message_en: str = Value(min_length=1)
    fix_en: str = Value(min_length=1)
    source: str = Value(min_length=1)
    family: Family
    version: int = Value(default=1, ge=1)
    since: date = FOREVER
    until: date | None = None
    scope: Scope = "row"
    defects: tuple[int, ...] = ()
    conditions: tuple[str, ...] = ()
    waivable: bool = True
    personal: bool = False


class Expectation(Strict):
    """One entry of a suite's file."""

    type: str
    kwargs: dict[str, Any]
    meta: RuleMeta
    severity: Literal["critical", "warning", "info"]
    id: str | None = None


class SuiteFile(Strict):
    """A suite's file."""

    name: str
    expectations: tuple[Expectation, ...]
    meta: dict[str, Any] = Value(default_factory=dict)
    notes: str | None = None
    id: str | None = None


class BatchRule(RuleMeta):
    """A rule that another step judges; only its texts are kept here."""

    severity: Severity
    field: str | None = None


class BatchRules(Strict):
    notes: str
    rules: tuple[BatchRule, ...]


def load_suite(settings: Settings, category: Category, code_lists: Mapping[str, CodeList]) -> Suite:
    """The suite of a category: derived rules in field order, then the file's own, then those on sets of rows.

    Raises :class:`CatalogueError` with file and line for a missing file, a wrong key, a code that stands twice, a
    field the category does not have or an unknown expectation type.
    """
    path = settings.expectations / f"{category.category}.json"
    written = _load(path, SuiteFile)
    own = _own_rules(path, written, category)
    by_code = {rule.code: rule for rule in own}
    derived = [by_code.pop(rule.code, rule) for rule in derived_rules(category, code_lists)]
    taken_over = {rule.code for rule in derived}
    sets = load_set_rules(settings, category)
    rules = (*derived, *(rule for rule in own if rule.code not in taken_over), *sets)
    batch = load_batch_rules(settings)
    for rule in rules:
        check_of(rule, {BUSINESS_DATE: "2000-01-01"})
    _no_code_twice(path, (*rules, *batch))
    return Suite(written.name, rules, batch)


def load_batch_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules that other steps judge: undecodable lines, duplicates, tombstones, exclusions, gates."""
    loaded = _load(settings.expectations / BATCH_RULES, BatchRules)
    return (*(Rule(**entry.model_dump()) for entry in loaded.rules), *load_gates(settings).rules)


def load_gates(settings: Settings) -> Suite:
    """The gates: what a whole batch is asked before it is published.

    Raises :class:`CatalogueError` with file and line for an entry that is no gate or names one that does not exist.
    """
    path = settings.expectations / GATES
    written = _load(path, SuiteFile)
    rules = []
    for index, entry in enumerate(written.expectations):
        gate = entry.kwargs.get("gate")
        if entry.type != GATE_TYPE or gate not in GATE_NAMES:
            raise read(path).error(
                f"{entry.meta.code}: {entry.type} of {gate} is no gate",
                remedy=f"use {GATE_TYPE} with a gate of {', '.join(sorted(GATE_NAMES))}",
                at=("expectations", index, "kwargs"),
            )
        severity = _SEVERITIES[entry.severity]
        rules.append(
            Rule(field=None, severity=severity, type=entry.type, kwargs=entry.kwargs, **entry.meta.model_dump())
        )
    return Suite(written.name, tuple(rules))


def load_set_rules(settings: Settings, category: Category) -> tuple[Rule, ...]:
    """The rules on sets of rows, which hold for every category: ``$role`` stands for the field that plays the role.

    Raises :class:`CatalogueError` for a role that no category has and for a rule that blocks or looks at single rows:
    one row's fate must not hang on another's. A role that only this category lacks leaves the rule out.
    """
    path = settings.expectations / SET_RULES
    written = _load(path, SuiteFile)
    roles = category.roles.model_dump()
    told = []
    for index, entry in enumerate(written.expectations):
        named = {role for text in _texts(entry) for role in _ROLE.findall(text)}
        problem = None
        if not named <= roles.keys():
            problem = f"there is no role {sorted(named - roles.keys())[0]}"
        elif entry.meta.scope != "set" or entry.severity == "critical":
            problem = "a rule of this file has the scope set and does not block"
        if problem is not None:
            raise read(path).error(
                f"{entry.meta.code}: {problem}",
                remedy="name roles of schemas/categories, warn or inform",
                at=("expectations", index),
            )
        if all(isinstance(roles[role], str) for role in named):
            told.append(entry.model_copy(update={"kwargs": _played(entry.kwargs, roles)}))
    return _own_rules(path, written.model_copy(update={"expectations": tuple(told)}), category)


def _texts(entry: Expectation) -> Iterable[str]:
    return (value for value in entry.kwargs.values() if isinstance(value, str))


def _played(kwargs: Mapping[str, Any], roles: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with fields in the place of roles."""
    return {
        name: _ROLE.sub(lambda found: str(roles[found[1]]), value) if isinstance(value, str) else value
        for name, value in kwargs.items()
    }


def load_rules(path: Path, category: Category, elsewhere: Container[str]) -> tuple[Rule, ...]:
    """The rules of a suite's file that is about several categories, as far as they are about one of them.

    ``elsewhere`` are the fields of all categories; an entry about a field that none has is a :class:`CatalogueError`.
    """
    rules = _own_rules(path, _load(path, SuiteFile), category, elsewhere)
    for rule in rules:
        check_of(rule, {BUSINESS_DATE: "2000-01-01"})
    return rules


def _own_rules(
    path: Path, written: SuiteFile, category: Category, elsewhere: Container[str] = frozenset()
) -> tuple[Rule, ...]:
    rules = []
    for index, entry in enumerate(written.expectations):
        at = ("expectations", index)
        column = entry.kwargs.get("column")
        if column not in category.field_codes and column in elsewhere:
            continue
        if column not in category.field_codes:
            raise read(path).error(
                f"{entry.meta.code}: {column} is no field of {category.category}",
                remedy="name a field of the category as column",
                at=(*at, "kwargs"),
            )
        if entry.type not in known_types():
            raise read(path).error(
                f"{entry.meta.code}: unknown expectation type {entry.type}",
                remedy=f"use one of {', '.join(sorted(known_types()))}",
                at=(*at, "type"),
            )
        severity = _SEVERITIES[entry.severity]
        rules.append(
            Rule(field=column, severity=severity, type=entry.type, kwargs=entry.kwargs, **entry.meta.model_dump())
        )
    return tuple(rules)


def _no_code_twice(path: Path, rules: Iterable[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.code in seen:
            raise CatalogueError(
                f"the code {rule.code} stands twice", remedy="give every rule a code of its own", file=path
            )
        seen.add(rule.code)


def _load(path: Path, model: type[Model]) -> Model:
    """Read a JSON file; only a wrong one is read again slowly, by the reader that knows lines."""
    try:
        return model.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise CatalogueError(
            "the file is missing", remedy="create it or mend the reference to it", file=path
        ) from error
    except json.JSONDecodeError as error:
        raise CatalogueError(
            f"not valid JSON: {error.msg}", remedy="mend the syntax on that line", file=path, line=error.lineno
        ) from error
    except ValidationError:
        document: Document = read(path)
        return parse(document, model)
