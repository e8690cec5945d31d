"""Which business date a file belongs to."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.sources import Files
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.engine.duck import Session, identifier, session
from pipelines.engine.rows import RowsPart
from pipelines.errors import ExtractError
from pipelines.intake.connectors.contract import PullRequest
from pipelines.intake.connectors.file_tree import SourceFile
from pipelines.intake.landing import LandedExtract
from pipelines.intake.reading import read_landed

_SPREADSHEET_EPOCH = {False: "1899-12-30", True: "1904-01-01"}


class FileDays:
    """The days of the files of one source.

    By name every file belongs to the date asked for; the modification time is a day in China. A column has to be read:
    what was found is kept in the workspace by the file's hash, so that each file is read once.
    """

    def __init__(self, request: PullRequest, source: Files) -> None:
        self._request = request
        self._dated_by = source.dated_by
        self._column = source.date_column
        self._memory = request.workspace / "days.json"
        self._known = self._recall()

    def may_belong(self, file: SourceFile) -> bool:
        """Whether the file belongs to the batch, as far as that can be told without reading it."""
        return self._expected(file) in {None, self._request.business_date}

    def left_out(self, files: Iterable[SourceFile]) -> Counter[str]:
        """How many files belong to which other day, of those that need not be read to know it."""
        expected = (self._expected(file) for file in files)
        return Counter(day.isoformat() for day in expected if day is not None and day != self._request.business_date)

    def day(self, file: SourceFile, landed: LandedExtract) -> date:
        """The day of a landed file. Raises :class:`ExtractError` when its column holds none, or cannot be read."""
        if self._dated_by != "column":
            return self._expected(file) or self._request.business_date
        days: dict[str, str] = self._known["days"]
        if landed.sha256 not in days:
            days[landed.sha256] = self._latest_day(landed).isoformat()
        self._known["files"][_mark(file)] = landed.sha256
        self._keep()
        return date.fromisoformat(days[landed.sha256])

    def _expected(self, file: SourceFile) -> date | None:
        """The day as far as it is known without reading the file."""
        if self._dated_by == "name":
            return self._request.business_date
        if self._dated_by == "modified":
            return file.modified_day
        known = self._known["days"].get(self._known["files"].get(_mark(file)))
        return None if known is None else date.fromisoformat(known)

    def _latest_day(self, landed: LandedExtract) -> date:
        settings, feed, category = self._request.settings, self._request.feed, self._request.category
        if category is None or self._column is None:
            raise ValueError("a file is dated by its column only with a category and a column")
        self._request.progress(f"reading {landed.name} to know its day")
        with (
            tempfile.TemporaryDirectory(prefix="day-", dir=self._request.workspace) as folder,
            session(settings.scratch, threads=settings.threads, memory_limit=settings.memory_limit) as duck,
        ):
            parts = read_landed(duck, [landed], feed, category, Path(folder)).parts
            found = [day for part in parts if (day := latest_day(duck, part, self._column)) is not None]
        if not found:
            raise ExtractError(
                f"the column {self._column}, which says to which day the file belongs, holds no day up to today",
                remedy="ask the department to fill it, or mend source.date_column in the feed's YAML",
                file=landed.name,
            )
        return max(found)

    def _recall(self) -> dict[str, Any]:
        """What earlier pulls found out; forgotten when the feed names another column."""
        empty: dict[str, Any] = {"column": self._column, "files": {}, "days": {}}
        if not self._memory.exists():
            return empty
        known: dict[str, Any] = json.loads(self._memory.read_text(encoding="utf-8"))
        return known if known["column"] == self._column else empty

    def _keep(self) -> None:
        beside = self._memory.with_suffix(".writing")
        beside.write_text(json.dumps(self._known, ensure_ascii=False), encoding="utf-8")
        beside.rename(self._memory)


def latest_day(duck: Session, part: RowsPart, header: str) -> date | None:
    """The latest day up to today in a source column; None when the part has no such column or no day in it.

    Days to come are typing errors: nothing can have been decided on them yet. Instants with a zone count as the day
    that they are in China.
    """
    column = next((name for name in part.columns if normalise_header(name) == normalise_header(header)), None)
    if column is None:
        return None
    sql = f"""
        WITH texts AS (SELECT DISTINCT trim(half_width({identifier(column)})) AS text FROM {part.source}),
        days AS (
            SELECT CASE
                WHEN regexp_full_match(text, '[2-6][0-9]{{4}}(?:\\.[0-9]+)?')
                THEN DATE '{_SPREADSHEET_EPOCH[part.date_system_1904]}' + CAST(split_part(text, '.', 1) AS INTEGER)
                WHEN regexp_full_match(text, '[0-9-]{{10}}[Tt ][0-9:.]+ *(?:[Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})')
                THEN CAST(make_timestamp(epoch_us(try_cast(text AS TIMESTAMPTZ)) + 28800000000) AS DATE)
                ELSE try_cast(
                    regexp_replace(
                        text,
                        '^([0-9]{{4}})(?: *[-/.年] *([0-9]{{1,2}}) *[-/.月] *([0-9]{{1,2}})(?:[^0-9].*)?'
                        || '|([0-9]{{2}})([0-9]{{2}})(?:[0-9]{{6}}|[0-9]{{9}})?)$',
                        '\\1-\\2\\4-\\3\\5'
                    ) AS DATE
                )
            END AS day
            FROM texts
        )
        SELECT max(day) FROM days WHERE day <= CAST($today AS DATE)
    """
    today = datetime.now(BEIJING_TIME).date()
    found: date | None = duck.one(sql, {"today": today.isoformat()})[0]
    return found


def _mark(file: SourceFile) -> str:
    return f"{file.name.text}|{file.size}|{file.modified}|{file.changed}"
