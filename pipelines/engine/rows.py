"""What intake hands to the next steps: rows of text with their locators, in Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.engine.duck import file_literal, identifier, literal

LINE_COLUMN = "_line"
SHEET_COLUMN = "_sheet"


@dataclass(frozen=True)
class RowsPart:
    """The rows of one sheet of one extract.

    ``path`` is a Parquet file with one VARCHAR column per source column, in ``columns`` order; its row ``n``
    (0-based) is row number ``row_offset + n`` of the run. Lines are consecutive from ``first_line``, unless
    ``first_line`` is None: then they stand in a BIGINT column ``_line``, of this file or, where it could be written
    without looking at lines, of the one at :func:`lines_beside`. Lines and sheets are counted as a person sees them:
    the first line of a file is line 1. With ``sheet_column`` each row has its own sheet in a VARCHAR column ``_sheet``
    (pages or archive entries of one shape read as one part), and ``sheet`` is empty. ``names_left_out``: records of XML
    and JSON, which leave out a name that has no value, so that a column nobody has is one that is empty everywhere.
    ``extract_name`` is what the department called the extract, ``archive.zip/entry.csv`` for a part of one entry.
    """

    extract: str
    extract_name: str
    sheet: str
    path: Path
    columns: tuple[str, ...]
    row_offset: int
    row_count: int
    first_line: int | None
    template: str | None = None
    fixed_subject_kind: str | None = None
    date_system_1904: bool = False
    sheet_column: bool = False
    names_left_out: bool = False

    @property
    def source(self) -> str:
        """SQL to select rows from: all columns of the part and ``file_row_number``."""
        lines = lines_beside(self.path)
        if self.first_line is None and lines.exists():
            return f"{_numbered(self.path)} AS cells JOIN {_numbered(lines)} AS lines USING (file_row_number)"
        return _numbered(self.path)

    @property
    def line_expression(self) -> str:
        """SQL that gives the line of a row of :attr:`source`."""
        return LINE_COLUMN if self.first_line is None else f"({self.first_line} + file_row_number)"

    @property
    def sheet_expression(self) -> str:
        """SQL that gives the sheet of a row of :attr:`source`."""
        return SHEET_COLUMN if self.sheet_column else literal(self.sheet)

    @property
    def as_sent(self) -> RowsPart:
        """The part with the cells as the department sent them, where corrections were laid over them since."""
        kept = sent_beside(self.path)
        return replace(self, path=kept) if kept.exists() else self

    @property
    def reference_expression(self) -> str:
        """SQL that names a row of :attr:`source` for good: first 12 digits of the extract's hash, sheet, line."""
        return f"{literal(self.extract[:12])} || '/' || {self.sheet_expression} || '/' || {self.line_expression}"

    def as_json(self) -> dict[str, Any]:
        """A form that the manifest of a run can keep."""
        return {**asdict(self), "path": self.path.name, "columns": list(self.columns)}

    @staticmethod
    def from_json(data: dict[str, Any], folder: Path) -> RowsPart:
        return RowsPart(**{**data, "path": folder / data["path"], "columns": tuple(data["columns"])})


def lines_beside(path: Path) -> Path:
    """Where the lines of a rows file stand that has none itself: Parquet with the one column ``_line``."""
    return path.with_suffix(".lines")


def sent_beside(path: Path) -> Path:
    """Where the rows stand as they were sent, once corrections have been laid over those of a rows file."""
    return path.with_suffix(".sent")


def row_hash(columns: Sequence[str]) -> str:
    """SQL of a hash of what a row of a part with these columns holds: 32 hexadecimal digits.

    An empty cell and an absent one are the same: which of both a file has depends on how it was read.
    """
    cells = ", ".join(f"coalesce({identifier(column)}, '')" for column in columns)
    return f"left(sha256(concat_ws(chr(31), {literal(chr(30).join(columns))}, {cells})), 32)"


def _numbered(path: Path) -> str:
    return f"read_parquet({file_literal(path)}, file_row_number = true)"
