"""Feeds and departments: who sends what, where it lies and how its columns are called."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field as Value
from pydantic import field_validator

from pipelines.catalogue.formats import Format
from pipelines.catalogue.gate_settings import Gates
from pipelines.catalogue.mappings import Column
from pipelines.catalogue.notices import Addressee
from pipelines.catalogue.sources import FileSource, Source
from pipelines.catalogue.yaml_layers import Layer, LayeredDocument, lay
from pipelines.catalogue.yaml_source import Document, Strict, parse, read
from pipelines.errors import CatalogueError
from pipelines.settings import Settings

DEFAULT_SCHEDULE = "0 1 * * *"
# What only a feed's own file says about it.
OWN_KEYS = frozenset({"feed", "name_zh", "category", "department", "extracts"})


class Department(Strict):
    """Who produces records. ``contact`` is an office, not a person; ``feeds`` are settings of all its feeds.

    ``regions``: where the department may decide, as the first digits of region codes; empty says nothing about it.
    ``corrections`` is where its workbooks come back to, filled in. ``notify``: how it is told about deadlines.
    """

    department: str = Value(pattern=r"^[a-z][a-z0-9_]*$")
    name_zh: str
    uscc: str
    contact: str | None = None
    regions: tuple[str, ...] = ()
    feeds: dict[str, Any] = Value(default_factory=dict)
    corrections: FileSource | None = None
    notify: Addressee = Addressee()

    @field_validator("corrections")
    @classmethod
    def _are_no_extracts(cls, value: FileSource | None) -> FileSource | None:
        if value is not None and (value.dated_by == "column" or value.totals is not None):
            raise ValueError("workbooks that come back have neither a date column nor control totals")
        return value


class Exclusion(Strict):
    """Rows that are declared not reportable: any of ``values`` stands in the source column or field."""

    column: str
    values: tuple[str, ...] = Value(min_length=1)
    match: Literal["equals", "contains"] = "equals"
    reason_zh: str


class Withdrawals(Strict):
    """When a record that a full dump no longer holds is believed to be withdrawn.

    After ``sightings`` dumps in a row without it, and only while a dump lacks at most ``max_share`` of the records that
    the feed has (rounded up to whole records, those already believed to be withdrawn left aside): a larger gap is a
    broken dump.
    """

    sightings: int = Value(default=2, ge=2)
    max_share: float = Value(default=0.05, gt=0, le=1)


class Volume(Strict):
    """How many rows a batch may have, compared with the median of the feed's last ``batches`` published ones.

    Fewer than median ÷ ``factor`` or more than median × ``factor`` are out of range; nothing is compared while neither
    the batch nor the median has ``ignore_below`` rows. Batches without rows do not count for the median.
    """

    factor: float = Value(default=3.0, gt=1)
    batches: int = Value(default=10, ge=1)
    ignore_below: int = Value(default=50, ge=0)


class Silence(Strict):
    """When a feed without rows is an incident: so many working days later than its usual rhythm."""

    working_days: int = Value(default=1, ge=0, le=250)


class ExtractSettings(Strict):
    """What holds for single extracts only, those whose name matches ``match``."""

    match: str
    format: dict[str, Any] = Value(default_factory=dict)
    columns: dict[str, str | Column] = Value(default_factory=dict)
    values: dict[str, dict[str, str]] = Value(default_factory=dict)
    edition: int | None = None

    def holds_for(self, name: str) -> bool:
        """Whether an extract is one of these.

        An entry of an archive is called ``archive.zip/entry.csv``; what matches the archive or the entry holds for it.
        """
        return any(fnmatchcase(called, self.match) for called in {name, *name.split("/", 1)})


class Feed(Strict):
    """One department × one category × one source: what is scheduled, fails and is backfilled.

    ``columns`` overrides the category's header aliases, ``values`` its code lists (field → source value →
    standard value). ``priority``: when two feeds report one decision, the lower number survives.
    ``conflict`` says what happens to rows of one batch that state different things about one decision.
    ``undeclared_status``: a status that neither its code list nor ``values`` knows holds the batch, or quarantines its
    rows where the feed says so.
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
    undeclared_status: Literal["hold", "quarantine"] = "hold"
    dump: Literal["increment", "full"] = "increment"
    withdrawals: Withdrawals = Withdrawals()
    volume: Volume = Volume()
    gates: Gates = Gates()
    silence: Silence = Silence()
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
            if own.holds_for(name):
                found = found.laid(own)
        return found

    def laid(self, own: ExtractSettings) -> Feed:
        """The feed with the settings of some extracts laid over it."""
        return self.model_copy(
            update={
                "format": Format.model_validate({**self.format.model_dump(), **own.format}),
                "columns": {**self.columns, **own.columns},
                "values": {
                    **self.values,
                    **{field: {**self.values.get(field, {}), **map_} for field, map_ in own.values.items()},
                },
                "edition": own.edition or self.edition,
            }
        )


def feed_documents(settings: Settings) -> list[Path]:
    """All feed files, sorted; a department's own file is not one of them."""
    folder = settings.schemas / "departments"
    return sorted(path for path in folder.glob("*/*.yaml") if path.name != "department.yaml")


def feed_document(settings: Settings, path: Path) -> LayeredDocument:
    """A feed's file laid over what its department and ``schemas/defaults.yaml`` say about all feeds."""
    layers = []
    defaults = settings.schemas / "defaults.yaml"
    if defaults.is_file():
        layers.append(Layer("defaults", read(defaults)))
    department = path.parent / "department.yaml"
    if department.is_file():
        layers.append(Layer("department", read(department), "feeds"))
    for layer in layers:
        check_shared_keys(layer)
    return lay([*layers, Layer("feed", read(path))])


def feed_schedules(settings: Settings) -> dict[str, str]:
    """Feed code → cron, read without loading the rest of the catalogue; cheap enough for a DAG file.

    A feed whose file is wrong keeps its place with the default schedule: its runs fail with what is wrong.
    """
    schedules: dict[str, str] = {}
    for path in feed_documents(settings):
        try:
            schedules[feed_code(path)] = parse(feed_document(settings, path), Feed).schedule
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
    check_shared_keys(Layer("department", document, "feeds"))
    return loaded


def check_shared_keys(layer: Layer) -> None:
    """Whether all keys of a layer below the feeds are settings of a feed."""
    if not isinstance(layer.data, dict):
        origin = layer.origin(())
        raise CatalogueError(
            "settings of feeds are a mapping", remedy="write key: value", file=origin.file, line=origin.line
        )
    settings = sorted(set(Feed.model_fields) - OWN_KEYS)
    for key in layer.data:
        if key not in settings:
            origin = layer.origin((key,))
            raise CatalogueError(
                f"{key}: no setting that feeds can share",
                remedy=f"mend the spelling or say it in the feed's own file; shared settings are {', '.join(settings)}",
                file=origin.file,
                line=origin.line,
            )
