"""The monthly bulletin: collected from facts, written as a document and a workbook."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pipelines.catalogue.figure_profiles import FigureProfile
from pipelines.deadlines.calendar import DAY
from pipelines.errors import GuijiError, StorageError
from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context
from pipelines.operations.figure_questions import feeds_of, unreported_of, what_if_of
from pipelines.operations.reports import rule_texts
from pipelines.reporting.bulletin import Bulletin, collect
from pipelines.reporting.bulletin_document import bulletin_document
from pipelines.reporting.bulletin_workbook import bulletin_workbook


def collect_bulletin(
    context: Context, first: date, last: date, profile: FigureProfile, today: date | None = None
) -> Bulletin:
    """The bulletin of the month ``first``..``last``, up to the day before ``today`` while it is running."""
    now = today or today_in_shanghai()
    until = min(last, now - DAY)
    if until < first:
        raise GuijiError(f"the month {first:%Y-%m} has not begun", remedy="name a month that has")
    feeds = feeds_of(context)
    found = what_if_of(context, profile, feeds, first, until)
    unreported = unreported_of(context, feeds, first, until, now)
    return collect(context.ledger, context.catalogue, profile, first, until, rule_texts(context), found, unreported)


def write_bulletin(
    context: Context,
    first: date,
    last: date,
    profile: FigureProfile,
    folder: Path | None = None,
    today: date | None = None,
) -> list[Path]:
    """Write ``bulletin-YYYY-MM-PROFILE`` as .docx and .xlsx; returns both.

    Raises :class:`StorageError` when the folder cannot be written.
    """
    bulletin = collect_bulletin(context, first, last, profile, today)
    target = folder or context.settings.reports / "bulletins"
    stem = f"bulletin-{first:%Y-%m}-{profile.profile}"
    files = {
        target / f"{stem}.docx": bulletin_document(bulletin),
        target / f"{stem}.xlsx": bulletin_workbook(bulletin),
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            beside = path.with_name(f".{path.name}.writing")
            beside.write_bytes(data)
            beside.replace(path)
    except OSError as error:
        raise StorageError(
            f"the bulletin cannot be written ({error.strerror})",
            file=target,
            remedy="name a folder that can be written, or free disk space",
        ) from error
    return list(files)
