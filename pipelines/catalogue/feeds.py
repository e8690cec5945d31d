"""Feeds and departments: who sends what, where it lies and how its columns are called."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field as Value
from pydantic import field_validator

from pipelines.catalogue.categories import Category
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


class Source(Strict):
    """Where the extracts of one business date lie, below the inbox.

    ``{date}`` in ``path`` and ``pattern`` stands for the business date as ``YYYY-MM-DD``, ``{day}`` for
    ``YYYYMMDD``. Paths cannot leave the inbox.
    """

    kind: Literal["folder"] = "folder"
    path: str
    pattern: str = "*"
    max_bytes: int = Value(default=1 << 30, gt=0)

    @field_validator("path", "pattern")
    @classmethod
    def _stays_below(cls, value: str) -> str:
        if value.startswith(("/", "~")) or ".." in Path(value).parts:
            raise ValueError("must stay below the inbox")
        return value


class Format(Strict):
    """How an extract is to be read; ``auto`` looks at the bytes."""

    kind: Literal["auto", "csv", "xlsx", "xls"] = "auto"
    encoding: Literal["auto", "utf-8", "gb18030"] = "auto"
    delimiter: Literal["auto", "comma", "tab", "semicolon"] = "auto"
    sheet: str | None = None
    header_row: int | None = Value(default=None, ge=1)
    header_rows: int = Value(default=1, ge=1, le=3)


class Column(Strict):
    """How one field is filled: from a source column, or with a constant, or with a constant where empty.

    ``unit`` is the unit of an amount without one (the standard is 万元).
    """

    column: str | None = None
    constant: str | None = None
    unit: Literal["元", "万元"] | None = None


class Exclusion(Strict):
    """Rows that are declared not reportable: any of ``values`` stands in the source column or field."""

    column: str
    values: tuple[str, ...] = Value(min_length=1)
    match: Literal["equals", "contains"] = "equals"
    reason_zh: str


class Feed(Strict):
    """One department × one category × one source: what is scheduled, fails and is backfilled.

    ``columns`` overrides the category's header aliases, ``values`` its code lists (field → source value →
    standard value). ``priority``: when two feeds report one decision, the lower number survives.
    ``conflict`` says what happens to rows of one batch that state different things about one decision.
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
    department: str = ""

    @field_validator("columns", mode="after")
    @classmethod
    def _one_origin(cls, value: dict[str, str | Column]) -> dict[str, str | Column]:
        for field, column in value.items():
            if isinstance(column, Column) and column.column is None and column.constant is None:
                raise ValueError(f"{field} needs a column or a constant")
        return value

    def column(self, field: str) -> Column | None:
        """How ``field`` is filled when the feed says so itself."""
        found = self.columns.get(field)
        return Column(column=found) if isinstance(found, str) else found


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
