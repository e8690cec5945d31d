"""The part of a department workbook that machines read: written by reporting, read back by intake.

Nothing here is secret: the checks find accidents (a cell pasted over, half a table sorted), not bad intentions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

FORMAT = "guiji-workbook"
VERSION = 2
META_SHEET = "_归集"
# Headers by which a returned sheet is recognised; the others are for people.
FIELD, CORRECTION = "字段", "更正后的值"
REFERENCE, ROW_HASH, FIELD_CODE, CODE, CHECK = "行引用", "行校验", "字段代码", "问题代码", "行签"
REQUIRED_HEADERS = (FIELD, CORRECTION, CODE, REFERENCE, ROW_HASH, FIELD_CODE, CHECK)
# An empty correction cell says nothing; whoever means that the field has to be empty writes this.
EMPTY_WORDS = ("（空）", "(空)")
# Longer texts are cut in the workbook: no spreadsheet program holds more than 32,767 characters in a cell.
LONGEST_CELL = 32_000


@dataclass(frozen=True)
class WorkbookMeta:
    """Which batch a workbook is about; ``fingerprint`` is that of the run whose rows it shows, in whatever attempt."""

    feed: str
    business_date: date
    fingerprint: str

    @property
    def digest(self) -> str:
        """Hash over everything that stands on the hidden sheet."""
        told = "\n".join((FORMAT, str(VERSION), self.feed, self.business_date.isoformat(), self.fingerprint))
        return hashlib.sha256(told.encode()).hexdigest()

    def items(self) -> tuple[tuple[str, str], ...]:
        """What stands on the hidden sheet, in order."""
        return (
            ("format", FORMAT),
            ("version", str(VERSION)),
            ("feed", self.feed),
            ("business_date", self.business_date.isoformat()),
            ("fingerprint", self.fingerprint),
            ("digest", self.digest),
        )


def check_sql(digest: str, reference: str, row_hash: str, field: str, code: str) -> str:
    """SQL of the check of a line; the arguments but ``digest`` (hexadecimal) are SQL expressions."""
    return f"left(sha256(concat_ws('|', '{digest}', {reference}, {row_hash}, coalesce({field}, ''), {code})), 16)"
