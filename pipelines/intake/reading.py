"""From landed extracts to rows: everything of one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session
from pipelines.engine.rows import RowsPart
from pipelines.errors import ExtractError
from pipelines.intake.archive_reading import read_archive
from pipelines.intake.content_kind import Kind, content_kind, extension_fits
from pipelines.intake.landing import LandedExtract, land
from pipelines.intake.rejects import RejectLog
from pipelines.intake.structured import STRUCTURED
from pipelines.intake.table_reading import Batch, Found, Table, read_table

_WORKBOOKS = frozenset({"xlsx", "xls", "ods"})


@dataclass(frozen=True)
class IntakeResult:
    """All extracts of one batch, read. ``extracts`` holds one manifest each, fit for JSON.

    ``rows_decoded`` + ``lines_undecoded`` is what the conservation law starts from.
    """

    parts: tuple[RowsPart, ...]
    extracts: tuple[dict[str, Any], ...]
    rows_decoded: int
    lines_undecoded: int
    rejects_path: Path


def inspect_file(
    session: Session, path: Path, category: Category, folder: Path, *, feed: Feed | None = None
) -> IntakeResult:
    """Read one file from anywhere as an extract of ``category``; everything it writes lies below ``folder``.

    For a department that checks its own file: ``folder`` is temporary and the caller deletes it.
    """
    return read_landed(session, [land(path, folder / "landing")], feed, category, folder)


def read_landed(
    session: Session, landed: Sequence[LandedExtract], feed: Feed | None, category: Category, folder: Path
) -> IntakeResult:
    """Read landed extracts, in the order given, as one batch into ``folder``.

    Rows go to ``rows/NNN.parquet``, lines that are no rows to ``rejects.parquet``. Without extracts, or with extracts
    of an interface or a database that have no rows, there are no parts. Raises :class:`ExtractError` when a file is no
    table, is not what the feed declares, has no header that is known, or is a file without rows.
    """
    manifests: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    rejects_path = folder / "rejects.parquet"
    with RejectLog(rejects_path) as rejects:
        batch = Batch(session, category, folder / "rows", rejects)
        for extract in landed:
            if extract.sha256 in names:
                # Rows are located by hash, sheet and line: the same bytes are the same rows, once.
                same = {"name": extract.name, "sha256": extract.sha256, "same_bytes_as": names[extract.sha256]}
                manifests.append(same)
                continue
            names[extract.sha256] = extract.name
            manifests.append(_read_extract(batch, extract, feed))
    return IntakeResult(tuple(batch.parts), tuple(manifests), batch.row_count, rejects.count, rejects_path)


def _read_extract(batch: Batch, landed: LandedExtract, feed: Feed | None) -> dict[str, Any]:
    """Read one extract by what it is, not by what it is called; returns its manifest."""
    own = None if feed is None else feed.for_extract(landed.name)
    kind = content_kind(landed.path, landed.name, own)
    rows_before, rejects_before, parts_before = batch.row_count, batch.rejects.count, len(batch.parts)
    facts: dict[str, Any] = {}
    if kind == "zip":
        found, facts = read_archive(batch, landed, own)
    else:
        found = read_table(batch, Table(landed, landed.path, kind, own))
    rows, undecoded = batch.row_count - rows_before, batch.rejects.count - rejects_before
    if rows == 0 and undecoded == 0 and (own is None or own.source.kind not in {"http", "database"}):
        raise _without_rows(kind, landed.name)
    return {
        "name": landed.name,
        "sha256": landed.sha256,
        "bytes": landed.size,
        "kind": kind,
        "extension_fits": extension_fits(kind, landed.name),
        "rows_decoded": rows,
        "lines_undecoded": undecoded,
        **facts,
        **_sheets(kind, found),
        "parts": [part.as_json() for part in batch.parts[parts_before:]],
    }


def _sheets(kind: Kind, found: Found) -> dict[str, Any]:
    """What was found out about each sheet; a file that has no sheets is described itself."""
    left_out = {"sheets_left_out": found.left_out} if found.left_out or kind in _WORKBOOKS else {}
    if kind == "zip" or kind in _WORKBOOKS:
        return {"sheets": list(found.sheets), **left_out}
    own = {"sheet", "kind", "rows", "lines_undecoded"}
    return {**{name: fact for name, fact in found.sheets[0].items() if name not in own}, **left_out}


def _without_rows(kind: Kind, name: str) -> ExtractError:
    return ExtractError(
        "there are no rows in the file" if kind in STRUCTURED else "the file has a header and no rows",
        remedy="ask the department for the rows; for a day without records no file is to be sent",
        file=name,
    )
