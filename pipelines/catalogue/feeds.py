"""Feeds and departments: who sends what, where it lies and how its columns are called."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field as Value

from pipelines.catalogue.categories import Category
from pipelines.catalogue.formats import Format
from pipelines.catalogue.mappings import Column
from pipelines.catalogue.sources import Source
from pipelines.catalogue.yaml_source import Document, Strict, parse, read
from pipelines.errors import CatalogueError
from pipelines.settings import Settings

DEFAULT_SCHEDULE = "0 1 * * *"


class Department(Strict):
    """Who produces records. ``contact`` is an office, not a person."""

    department: str = Value(pattern=r"^[a-z][a-z0-9_]*$")
    name_zh: str
    uscc: str
    contact: str | None = None


class Exclusion(Strict):
    """Rows that are declared not reportable: any of ``values`` stands in the source column or field."""

    column: str
    values: tuple[str, ...] = Value(min_length=1)
    match: Literal["equals", "contains"] = "equals"
    reason_zh: str


class Withdrawals(Strict):
    """When a record that a full dump no longer holds is believed to be withdrawn.

    After ``sightings`` dumps in a row without it, and only while a dump lacks at most ``max_share`` of the records that
    the feed has: a larger gap is a broken dump.
    """

    sightings: int = Value(default=2, ge=2)
    max_share: float = Value(default=0.05, gt=0, le=1)


class Volume(Strict):
    """How many rows a batch may have, compared with the median of the feed's last ``batches`` published ones.

    Fewer than median ÷ ``factor`` or more than median × ``factor`` are out of range; batches of fewer than
    ``ignore_below`` rows are not compared.
    """

    factor: float = Value(default=3.0, gt=1)
    batches: int = Value(default=10, ge=1)
    ignore_below: int = Value(default=50, ge=0)


class ExtractSettings(Strict):
    """What holds for single extracts only, those whose name matches ``match``."""

    match: str
    format: dict[str, Any] = Value(default_factory=dict)
    columns: dict[str, str | Column] = Value(default_factory=dict)
    values: dict[str, dict[str, str]] = Value(default_factory=dict)
    edition: int | None = None


class Feed(Strict):
    """One department × one category × one source: what is scheduled, fails and is backfilled.

    ``columns`` overrides the category's header aliases, ``values`` its code lists (field → source value →
    standard value). ``priority``: when two feeds report one decision, the lower number survives.
    ``conflict`` says what happens to rows of one batch that state different things about one decision.
    ``dump``: ``full`` extracts hold everything the department has, so that what is absent may be withdrawn; an
    ``increment`` says nothing about what it does not hold. ``extracts`` is the most specific layer.
    """

    feed: str = Value(pattern=r"^[a-z][a-z0-9_]*$")
    name_zh: str
    category: str
    edition: int
    schedule: str = DEFAULT_SCHEDULE
    priority: int = 100
    endpoints: tuple[str, ...] = ()
    source: Source
    format: Format = Format()
    columns: dict[str, str | Column] = Value(default_factory=dict)
    values: dict[str, dict[str, str]] = Value(default_factory=dict)
    exclude: tuple[Exclusion, ...] = ()
    source_timestamp: str | None = None
    conflict: Literal["latest_timestamp", "last_row", "steward"] = "steward"
    dump: Literal["increment", "full"] = "increment"
    withdrawals: Withdrawals = Withdrawals()
    volume: Volume = Volume()
    extracts: tuple[ExtractSettings, ...] = ()
    department: str = ""

    def column(self, field: str) -> Column | None:
        """How ``field`` is filled when the feed says so itself."""
        found = self.columns.get(field)
        return Column(column=found) if isinstance(found, str) else found

    def for_extract(self, name: str) -> Feed:
        """The feed as it holds for the extract with this name: its ``extracts`` laid over the rest, in order."""
        found = self
        for own in self.extracts:
            if fnmatchcase(name, own.match):
                found = found.model_copy(
                    update={
                        "format": Format.model_validate({**found.format.model_dump(), **own.format}),
                        "columns": {**found.columns, **own.columns},
                        "values": {
                            **found.values,
                            **{field: {**found.values.get(field, {}), **map_} for field, map_ in own.values.items()},
                        },
                        "edition": own.edition or found.edition,
                    }
                )
        return found


def feed_documents(settings: Settings) -> list[Path]:
    """All feed files, sorted; a department's own file is not one of them."""
    folder = settings.schemas / "departments"
    return sorted(path for path in folder.glob("*/*.yaml") if path.name != "department.yaml")


def feed_schedules(settings: Settings) -> dict[str, str]:
    """Feed code → cron, read without loading the rest of the catalogue; cheap enough for a DAG file.

    A feed whose file is wrong keeps its place with the default schedule: its runs fail with what is wrong.
    """
    schedules: dict[str, str] = {}
    for path in feed_documents(settings):
        try:
            schedules[feed_code(path)] = parse(read(path), Feed).schedule
        except CatalogueError:
            schedules[feed_code(path)] = DEFAULT_SCHEDULE
    return schedules


def feed_code(path: Path) -> str:
    """The code of the feed that a file describes: its department and its own name."""
    return f"{path.parent.name}_{path.stem}"


def load_department(document: Document) -> Department:
    loaded = parse(document, Department)
    if loaded.department != document.path.parent.name:
        raise document.error(
            f"department {loaded.department} lies in the folder {document.path.parent.name}",
            remedy="give both the same name",
            at=("department",),
        )
    return loaded


def load_feed(
    document: Document,
    categories: dict[str, Category],
    endpoints: set[str],
    values: dict[str, tuple[str, ...]],
) -> Feed:
    """Parse one feed and check it against categories, endpoints and the standard values of each code list."""
    loaded = parse(document, Feed)
    expected = feed_code(document.path)
    if loaded.feed != expected:
        raise document.error(
            f"the feed is called {loaded.feed}, its file says {expected}",
            remedy="give both the same name",
            at=("feed",),
        )
    category = categories.get(loaded.category)
    if category is None:
        raise document.error(
            f"unknown category {loaded.category}",
            remedy=f"use one of {', '.join(sorted(categories))}",
            at=("category",),
        )
    if loaded.edition != category.edition:
        raise document.error(
            f"edition {loaded.edition} of {loaded.category} is not known",
            remedy=f"use {category.edition}, or add the edition's schema",
            at=("edition",),
        )
    for name in loaded.endpoints:
        if name not in endpoints:
            raise document.error(f"unknown endpoint {name}", remedy="add it under schemas/endpoints", at=("endpoints",))
    for section, codes in (("columns", loaded.columns), ("values", loaded.values)):
        for code in codes:
            if code not in category.field_codes:
                raise document.error(
                    f"{section}: {code} is no field of {loaded.category}",
                    remedy="mend the spelling; the fields are listed in the category's file",
                    at=(section, code),
                )
    for code, mapping in loaded.values.items():
        allowed = values.get(category.field(code).code_list or "")
        for source_value, standard in mapping.items():
            if allowed is not None and standard.split("-", 1)[0] not in allowed:
                raise document.error(
                    f"values: {standard} is not in the code list of {code}",
                    remedy=f"use one of {', '.join(allowed)}",
                    at=("values", code, source_value),
                )
    if loaded.conflict == "latest_timestamp" and loaded.source_timestamp is None:
        raise document.error(
            "conflict: latest_timestamp needs source_timestamp",
            remedy="name the column that holds the time of the row",
            at=("conflict",),
        )
    return loaded.model_copy(update={"department": document.path.parent.name})
