"""One family of errors for everything a user can cause and mend.

A ``GuijiError`` says where the trouble is, what it is and what to do. It never holds personal data: whoever
raises one masks the value first. The CLI prints it without a stack trace and exits with ``exit_code``. Names in it may
come from outside: they are shown without what a terminal would obey.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.plain_text import plain_name, plain_text


class GuijiError(Exception):
    """Trouble that a user can act on.

    ``problem`` and ``remedy`` are one sentence each; ``place`` is a file, optionally with line or sheet.
    """

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        remedy: str,
        file: Path | str | None = None,
        line: int | None = None,
        sheet: str | None = None,
    ) -> None:
        self.problem = plain_text(problem)
        self.remedy = plain_text(remedy)
        self.file = plain_name(str(file)) if file is not None else None
        self.line = line
        self.sheet = plain_name(sheet) if sheet is not None else None
        super().__init__(str(self))

    @property
    def place(self) -> str:
        """File, sheet and line as one text, empty when unknown."""
        parts = [self.file or ""]
        if self.sheet is not None:
            parts.append(f"sheet {self.sheet}")
        if self.line is not None:
            parts.append(f"line {self.line}")
        return ", ".join(part for part in parts if part)

    def __str__(self) -> str:
        place = f"{self.place}: " if self.place else ""
        return f"{place}{self.problem} — {self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # The keyword-only arguments would be lost by the default pickling, which Airflow and process pools use.
        return (_rebuild, (type(self), self.problem, self.remedy, self.file, self.line, self.sheet))


def _rebuild(
    kind: type[GuijiError],
    problem: str,
    remedy: str,
    file: str | None,
    line: int | None,
    sheet: str | None,
) -> GuijiError:
    return kind(problem, remedy=remedy, file=file, line=line, sheet=sheet)


class CatalogueError(GuijiError):
    """A file under ``schemas/`` or ``expectations/`` says something that cannot be."""

    exit_code = 2


class ExtractError(GuijiError):
    """An extract is missing, unreadable or not what its feed declares."""

    exit_code = 3


class SourceError(GuijiError):
    """A source is down, refuses us, or answers what its description does not foresee."""

    exit_code = 9


class BatchHeldError(GuijiError):
    """A batch is not what its feed describes; it waits until somebody has looked at it."""

    exit_code = 6


class ConservationError(GuijiError):
    """The rows of a run do not add up; nothing was published."""

    exit_code = 4


class DeliveryError(GuijiError):
    """An endpoint is down, refuses us, or answers what its description does not foresee."""

    exit_code = 5


class RunConflictError(GuijiError):
    """Another run holds this batch, or a newer attempt has replaced this one."""

    exit_code = 6


class FeedBusyError(RunConflictError):
    """Another process works on the feed right now."""


class CalendarError(GuijiError):
    """The working-day calendar cannot answer."""

    exit_code = 7


class StorageError(GuijiError):
    """The disk, the lake or the ledger cannot be written."""

    exit_code = 8


class NoticeError(GuijiError):
    """A warning could not be sent."""

    exit_code = 12


class ClockStalledError(GuijiError):
    """The clock that watches deadlines does not run, or does not see everything."""

    exit_code = 13
