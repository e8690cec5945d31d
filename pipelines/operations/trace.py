"""The passport of a record: from any of its names back to the source line and forward to its receipts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Select, select

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.origins import field_origins
from pipelines.engine.duck import Session, file_literal
from pipelines.engine.rows import RowsPart
from pipelines.errors import CatalogueError, GuijiError
from pipelines.ledger.delivery_models import Difference
from pipelines.ledger.models import Consolidation, Extract, Outbox, Run, Tombstone
from pipelines.ledger.operation_models import ChainEntry
from pipelines.ledger.quality_models import Resubmission, Waiver
from pipelines.operations.attempts import run_folder
from pipelines.operations.context import Context
from pipelines.operations.corrections import CORRECTIONS_FILE
from pipelines.operations.record_states import has_objection
from pipelines.operations.shown_values import is_person
from pipelines.operations.trace_deliveries import ActTrace, Delivery, deliveries_of, traced_acts
from pipelines.records.reading import hidden_runs, record_history

WAIVED = "waived:"


@dataclass(frozen=True)
class CellCorrection:
    """A cell that a returned workbook corrected: by whom, in which file, sheet and line."""

    column: str
    old: str | None
    new: str | None
    by: str
    workbook: str
    sha256: str
    sheet: str
    line: int


@dataclass(frozen=True)
class VersionTrace:
    """One version: where it came from, what was done to it, where it went.

    ``restricted_columns`` are the source columns whose cells are to be masked wherever they are shown, ``name_columns``
    those that hold names of private persons. ``source_row`` is the row as it was sent, ``corrections`` what departments
    wrote over its cells since, in order. ``waivers`` are those that were ever granted for this content and a rule that
    it is excused from. ``chain_position`` is the entry of the hash chain about the run; None for a run from before the
    chain began.
    """

    version: dict[str, Any]
    run: Run
    extract: Extract | None
    source_row: dict[str, str | None]
    restricted_columns: frozenset[str]
    name_columns: frozenset[str]
    repairs: list[tuple[str, str, str | None, str | None]]
    reasons: list[str]
    waivers: list[Waiver]
    chain_position: int | None
    deliveries: list[Delivery] = field(default_factory=list)
    corrections: list[CellCorrection] = field(default_factory=list)


@dataclass(frozen=True)
class RecordTrace:
    """All versions of one record and all acts on it, oldest first.

    ``withdrawn`` is its tombstone; ``has_objection`` while one is open. ``differences`` are those that reconciliations
    ever found.
    """

    record_key: str
    category: Category
    versions: list[VersionTrace]
    consolidations: list[Consolidation]
    acts: list[ActTrace]
    differences: list[Difference]
    withdrawn: Tombstone | None
    has_objection: bool


def find_record_keys(context: Context, session: Session, name: str) -> list[tuple[str, str]]:
    """(category, record_key) pairs that a name may mean.

    A name is a record key or its first 8 or more characters, a document number in any bracket style, or an id
    that an endpoint assigned.
    """
    found: set[tuple[str, str]] = set()
    with context.ledger.read() as ledger:
        by_upper_id = ledger.execute(select(Outbox.category, Outbox.record_key).where(Outbox.upper_id == name))
        found.update((category, key) for category, key in by_upper_id)
    hidden = hidden_runs(context.ledger)
    for code, store in context.stores.items():
        store.versions(session, "all_versions", hidden)
        rows = session.rows(
            "SELECT DISTINCT record_key FROM all_versions "
            "WHERE document_key = canonical_document_number($name) "
            "OR (length($name) >= 8 AND starts_with(record_key, lower($name))) ORDER BY 1",
            {"name": name},
        )
        found.update((code, row[0]) for row in rows)
    return sorted(found)


def find_record(context: Context, name: str) -> tuple[str, str]:
    """(category, record_key) of the only record that a name means; :class:`CatalogueError` when it is none or several.

    Names are those of :func:`find_record_keys`.
    """
    with context.session() as session:
        found = find_record_keys(context, session, name)
    if not found:
        raise CatalogueError(f"no published record is called {name}", remedy="check the name with 'guiji trace'")
    if len(found) > 1:
        listed = ", ".join(f"{category} {key[:12]}" for category, key in found)
        raise CatalogueError(f"{name} means {len(found)} records: {listed}", remedy="name one of them by its key")
    return found[0]


def trace(context: Context, session: Session, category: str, record_key: str) -> RecordTrace:
    """The whole way of one record; raises :class:`GuijiError` when nothing was published under this key."""
    store = context.stores[category]
    history = record_history(session, store, context.ledger, record_key)
    if not history:
        raise GuijiError(
            f"no published record has the key {record_key}",
            remedy="check the key; rows that were quarantined never become records (see the department workbook)",
        )
    versions = [_trace_version(context, session, version) for version in history]
    with context.ledger.read() as ledger:
        acts = traced_acts(ledger, category, record_key)
        return RecordTrace(
            record_key,
            context.catalogue.categories[category],
            versions,
            list(ledger.scalars(_about(Consolidation, category, record_key))),
            acts,
            list(ledger.scalars(_about(Difference, category, record_key))),
            ledger.scalar(_about(Tombstone, category, record_key)),
            has_objection(one.act for one in acts),
        )


_Found = TypeVar("_Found", Consolidation, Difference, Tombstone)


def _about(model: type[_Found], category: str, record_key: str) -> Select[_Found]:
    return select(model).where(model.category == category, model.record_key == record_key).order_by(model.id)


def _trace_version(context: Context, session: Session, version: dict[str, Any]) -> VersionTrace:
    with context.ledger.read() as ledger:
        run = ledger.get_one(Run, version["run"])
        extract = ledger.scalar(
            select(Extract).where(Extract.run == run.id, Extract.sha256 == version["extract"]).limit(1)
        )
        waivers: list[Waiver] = list(ledger.scalars(_waivers(version)))
        position = ledger.scalar(select(ChainEntry.position).where(ChainEntry.subject == run.id))
        key = {"category": run.category, "feed": version["feed"], "record_key": version["record_key"]}
        deliveries = deliveries_of(ledger, **key, version=version["version"], act=0)
    folder = run_folder(context, run.id)
    locator = {"extract": version["extract"], "sheet": version["sheet"], "line": version["line"]}
    row_no, reasons = session.one(
        f"SELECT row_no, reasons FROM read_parquet({file_literal(folder / 'outcomes.parquet')}) "
        "WHERE extract = $extract AND sheet = $sheet AND line = $line",
        locator,
    )
    repairs = session.rows(
        f"SELECT field, rule, old_value, new_value FROM read_parquet({file_literal(folder / 'repairs.parquet')}) "
        "WHERE row_no = $row ORDER BY ALL",
        {"row": row_no},
    )
    source_row = _source_row(context, session, run, row_no)
    category = context.catalogue.categories[run.category]
    feeds = feeds_of(context.catalogue.feeds.get(run.feed), run.manifest or {}, extract)
    return VersionTrace(
        version=version,
        run=run,
        extract=extract,
        source_row=source_row,
        restricted_columns=frozenset().union(*(restricted_columns(feed, category, source_row) for feed in feeds)),
        name_columns=frozenset().union(
            *(columns_filling(_name_fields(category, version), feed, category, source_row) for feed in feeds)
        ),
        repairs=[(str(row[0]), str(row[1]), row[2], row[3]) for row in repairs],
        reasons=list(reasons),
        waivers=waivers,
        chain_position=position,
        deliveries=deliveries,
        corrections=_corrections(context, session, run, row_no),
    )


def _corrections(context: Context, session: Session, run: Run, row_no: int) -> list[CellCorrection]:
    path = run_folder(context, run.id) / CORRECTIONS_FILE
    if not path.is_file():
        return []
    with context.ledger.read() as ledger:
        resubmissions = ledger.scalars(
            select(Resubmission).where(Resubmission.feed == run.feed, Resubmission.business_date == run.business_date)
        )
        names = {resubmission.sha256: resubmission.name for resubmission in resubmissions}
    found = session.rows(
        'SELECT source_column, old_value, new_value, "by", workbook, book_sheet, book_row '
        f"FROM read_parquet({file_literal(path)}, file_row_number = true) WHERE row_no = $row ORDER BY file_row_number",
        {"row": row_no},
    )
    return [
        CellCorrection(column, old, new, by, names.get(sha256, sha256), sha256, sheet, line)
        for column, old, new, by, sha256, sheet, line in found
    ]


def _waivers(version: Mapping[str, Any]) -> Select[Waiver]:
    excused = [flag.removeprefix(WAIVED) for flag in version["flags"] or () if flag.startswith(WAIVED)]
    query = select(Waiver).where(Waiver.feed == version["feed"], Waiver.content_hash == version["content_hash"])
    return query.where(Waiver.rule.in_(excused)).order_by(Waiver.id)


def feeds_of(feed: Feed | None, manifest: Mapping[str, Any], extract: Extract | None) -> list[Feed | None]:
    """The feed as it holds for an extract and, in an archive, for each of its entries; None when it is gone or wrong.

    ``manifest`` is that of the run. What is restricted in any entry is covered in all of them.
    """
    if feed is None or extract is None:
        return [feed]
    parts = manifest.get("parts", [])
    names = {extract.name, *(part["extract_name"] for part in parts if part["extract"] == extract.sha256)}
    return [feed.for_extract(name) for name in sorted(names)]


def restricted_columns(feed: Feed | None, category: Category, columns: Iterable[str]) -> frozenset[str]:
    """Source columns that fill a restricted field, by the feed's own mapping or by their header.

    A column whose header speaks of identity documents, in any edition, counts as restricted, whatever it fills.
    """
    restricted = frozenset(field.code for field in category.fields if field.exposure == "restricted")
    names = list(columns)
    speaking = {name for name in names if "证件号" in name or "身份" in name}
    return columns_filling(restricted, feed, category, names) | speaking


def columns_filling(
    fields: frozenset[str], feed: Feed | None, category: Category, columns: Iterable[str]
) -> frozenset[str]:
    """Source columns that fill one of these fields in any edition, by the feed's own mapping or by their header."""
    names = list(columns)
    known = category.headers()
    filling = {name for name in names if known.get(normalise_header(name)) in fields}
    if feed is not None:
        for edition in (feed.edition, *(edition.edition for edition in category.editions.values())):
            origins = field_origins(names, feed.model_copy(update={"edition": edition}), category).fields
            filling |= {column for code in fields & set(origins) for column in origins[code].columns}
    return frozenset(filling & set(names))


def _name_fields(category: Category, version: Mapping[str, Any]) -> frozenset[str]:
    """The fields of a record that hold names of private persons."""
    roles = category.roles
    subject = {roles.subject_name} if is_person(category, version, version[roles.subject_name] or "") else set()
    return frozenset(subject | {roles.representative})


def _source_row(context: Context, session: Session, run: Run, row_no: int) -> dict[str, str | None]:
    """The cells of a source row as they were sent, in source order."""
    folder = run_folder(context, run.id) / "rows"
    for data in (run.manifest or {}).get("parts", []):
        part = RowsPart.from_json(data, folder).as_sent
        if part.row_offset <= row_no < part.row_offset + part.row_count:
            file = file_literal(part.path)
            cells = session.arrow(
                f"SELECT * FROM read_parquet({file}, file_row_number = true) WHERE file_row_number = $position",
                {"position": row_no - part.row_offset},
            ).to_pylist()
            return {name: cells[0][name] for name in part.columns}
    raise GuijiError(
        f"the source rows of the run {run.id} are gone",
        file=folder,
        remedy="restore the folder from a backup; the extract itself lies in the landing",
    )
