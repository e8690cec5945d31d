"""The defect catalogue: ``schemas/defects.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pipelines.catalogue.yaml_source import Strict, parse, read

DEFECTS = tuple(range(1, 78))
CONDITIONS = tuple(f"C{number}" for number in range(1, 18))


class Otherwise(Strict):
    """Who takes care of a defect beside rules and repairs, and the test that shows it."""

    by: Literal["intake", "key", "endpoint", "export", "publication"]
    how_zh: str
    how_en: str
    test: str


class Defect(Strict):
    number: int
    name_zh: str
    name_en: str
    otherwise: Otherwise | None = None


class Condition(Strict):
    condition: str
    name_zh: str
    name_en: str
    otherwise: Otherwise | None = None


class DefectFile(Strict):
    source: str
    defects: tuple[Defect, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class DefectCatalogue:
    """Every defect by its number, every conditional rule of the standard by its name."""

    defects: dict[int, Defect]
    conditions: dict[str, Condition]


@lru_cache(maxsize=8)
def load_defects(schemas: Path) -> DefectCatalogue:
    """The catalogue; :class:`CatalogueError` with file and line when a number is missing, unknown or stands twice."""
    document = read(schemas / "defects.yaml")
    loaded = parse(document, DefectFile)
    numbers = [defect.number for defect in loaded.defects]
    names = [condition.condition for condition in loaded.conditions]
    if tuple(numbers) != DEFECTS:
        raise document.error("the defects are not 1 to 77, each once", remedy="keep their order", at=("defects",))
    if tuple(names) != CONDITIONS:
        raise document.error(
            "the conditions are not C1 to C17, each once", remedy="keep their order", at=("conditions",)
        )
    return DefectCatalogue(
        {defect.number: defect for defect in loaded.defects},
        {condition.condition: condition for condition in loaded.conditions},
    )
