"""What each repair is called: ``schemas/repairs.yaml``."""

from __future__ import annotations

from pathlib import Path

from pipelines.catalogue.yaml_source import Strict, parse, read


class RepairRule(Strict):
    """One kind of repair: a stable code, what a department reads about it, and what it covers.

    ``defects`` are numbers of the defect catalogue, ``conditions`` the conditional rules of the standard.
    """

    rule: str
    name_zh: str
    name_en: str
    defects: tuple[int, ...] = ()
    conditions: tuple[str, ...] = ()


class RepairRules(Strict):
    """The file as a whole."""

    source: str
    rules: tuple[RepairRule, ...]


def load_repair_rules(schemas: Path) -> dict[str, RepairRule]:
    """Rule code → rule; a :class:`CatalogueError` with file and line when the file is wrong."""
    document = read(schemas / "repairs.yaml")
    loaded = parse(document, RepairRules)
    known: dict[str, RepairRule] = {}
    for index, rule in enumerate(loaded.rules):
        if rule.rule in known:
            raise document.error(f"{rule.rule} stands twice", remedy="keep one of them", at=("rules", index))
        known[rule.rule] = rule
    return known
