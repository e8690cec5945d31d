"""What each repair is called: ``schemas/repairs.yaml``."""

from __future__ import annotations

from pathlib import Path

from pipelines.catalogue.yaml_source import Strict, parse, read


class RepairRule(Strict):
    """One kind of repair: a stable code and what a department reads about it."""

    rule: str
    name_zh: str
    name_en: str


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
