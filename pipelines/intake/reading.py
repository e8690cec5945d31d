"""From landed extracts to rows: everything of one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Format
from pipelines.engine.duck import Session
from pipelines.engine.rows import RowsPart
from pipelines.errors import ExtractError
from pipelines.intake.content_kind import Kind, content_kind, extension_fits
from pipelines.intake.csv_reader import read_csv
from pipelines.intake.header_search import known_headers
from pipelines.intake.landing import LandedExtract, land
from pipelines.intake.rejects import RejectLog
from pipelines.intake.workbook_reader import read_workbook


@dataclass(frozen=True)
class ReadResult:
    """One extract, read: ``rows_decoded`` + ``lines_undecoded`` is what the conservation law starts from."""

    parts: tuple[RowsPart, ...]
    rows_decoded: int
    lines_undecoded: int
    manifest: dict[str, Any]


@dataclass(frozen=True)
class IntakeResult:
    """All extracts of one batch, read. ``extracts`` holds one manifest each, fit for JSON."""

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


def read_extract(
    session: Session,
    landed: LandedExtract,
    feed: Feed | None,
    category: Category,
    rows_folder: Path,
    rejects: RejectLog,
    *,
    row_offset: int = 0,
    part_no: int = 0,
) -> ReadResult:
    """Read one landed extract by what it is, not by what it is called.

    Rows go to ``rows_folder/NNN.parquet`` from ``part_no`` on, numbered from ``row_offset``; lines that are no
    rows go to ``rejects``. Raises :class:`ExtractError` when the file is no table, is not what the feed
    declares, has no header that is known, or holds neither rows nor rejects.
    """
    layout = feed.format if feed is not None else Format()
    kind = content_kind(landed.path, landed.name)
    _check_declared(kind, layout, landed.name)
    if kind == "csv":
        result = _read_csv(session, landed, feed, category, layout, rows_folder, rejects, row_offset, part_no)
    else:
        result = _read_workbook(landed, feed, category, layout, rows_folder, kind, row_offset, part_no)
    if result.rows_decoded == 0 and result.lines_undecoded == 0:
        raise ExtractError(
            "the file has a header and no rows",
            remedy="ask the department for the rows; for a day without records no file is to be sent",
            file=landed.name,
        )
    manifest = {
        "name": landed.name,
        "sha256": landed.sha256,
        "bytes": landed.size,
        "kind": kind,
        "extension_fits": extension_fits(kind, landed.name),
        "rows_decoded": result.rows_decoded,
        "lines_undecoded": result.lines_undecoded,
        **result.manifest,
        "parts": [part.as_json() for part in result.parts],
    }
    return ReadResult(result.parts, result.rows_decoded, result.lines_undecoded, manifest)


def read_landed(
    session: Session, landed: Sequence[LandedExtract], feed: Feed | None, category: Category, folder: Path
) -> IntakeResult:
    """Read landed extracts, in the order given, as one batch into ``folder``."""
    parts: list[RowsPart] = []
    manifests: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    rows = undecoded = 0
    rejects_path = folder / "rejects.parquet"
    with RejectLog(rejects_path) as rejects:
        for extract in landed:
            if extract.sha256 in names:
                # Rows are located by hash, sheet and line: the same bytes are the same rows, once.
                same = {"name": extract.name, "sha256": extract.sha256, "same_bytes_as": names[extract.sha256]}
                manifests.append(same)
                continue
            names[extract.sha256] = extract.name
            result = read_extract(
                session, extract, feed, category, folder / "rows", rejects, row_offset=rows, part_no=len(parts)
            )
            parts += result.parts
            manifests.append(result.manifest)
            rows += result.rows_decoded
            undecoded += result.lines_undecoded
    return IntakeResult(tuple(parts), tuple(manifests), rows, undecoded, rejects_path)


def _read_csv(
    session: Session,
    landed: LandedExtract,
    feed: Feed | None,
    category: Category,
    layout: Format,
    rows_folder: Path,
    rejects: RejectLog,
    row_offset: int,
    part_no: int,
) -> ReadResult:
    target = _part_path(rows_folder, part_no)
    found = read_csv(
        session,
        landed.path,
        landed.name,
        known_headers(category, feed),
        layout,
        target,
        lambda reject: rejects.add(landed.sha256, landed.name, "", reject),
    )
    part = RowsPart(
        extract=landed.sha256,
        extract_name=landed.name,
        sheet="",
        path=target,
        columns=found.header.columns,
        row_offset=row_offset,
        row_count=found.row_count,
        first_line=found.first_line,
        template=found.header.template,
        fixed_subject_kind=found.header.fixed_subject_kind,
    )
    manifest = {**found.manifest, "template": found.header.template}
    return ReadResult((part,), found.row_count, found.reject_count, manifest)


def _read_workbook(
    landed: LandedExtract,
    feed: Feed | None,
    category: Category,
    layout: Format,
    rows_folder: Path,
    kind: Kind,
    row_offset: int,
    part_no: int,
) -> ReadResult:
    paths = (_part_path(rows_folder, number) for number in range(part_no, part_no + 1000))
    sheets, skipped = read_workbook(
        landed.path,
        landed.name,
        known_headers(category, feed),
        layout,
        lambda: next(paths),
        is_zip=kind == "xlsx",
    )
    parts: list[RowsPart] = []
    rows = 0
    for sheet in sheets:
        part = RowsPart(
            extract=landed.sha256,
            extract_name=landed.name,
            sheet=sheet.sheet,
            path=sheet.path,
            columns=sheet.header.columns,
            row_offset=row_offset + rows,
            row_count=sheet.row_count,
            first_line=None,
            template=sheet.header.template,
            fixed_subject_kind=sheet.header.fixed_subject_kind,
            date_system_1904=sheet.date_system_1904,
        )
        parts.append(part)
        rows += sheet.row_count
    manifest = {
        "sheets": [{**sheet.manifest, "template": sheet.header.template} for sheet in sheets],
        "sheets_left_out": skipped,
    }
    return ReadResult(tuple(parts), rows, 0, manifest)


def _check_declared(kind: Kind, layout: Format, name: str) -> None:
    if layout.kind not in {"auto", kind}:
        raise ExtractError(
            f"the file is {kind}, the feed declares {layout.kind}",
            remedy="ask the department for the declared format, or set format.kind in the feed's YAML",
            file=name,
        )


def _part_path(folder: Path, number: int) -> Path:
    return folder / f"{number:03d}.parquet"
