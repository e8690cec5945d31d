"""What a CSV held, added up."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.intake.mojibake import Mojibake


@dataclass
class Counted:
    """Rows, rejects and lines of a CSV after its header, and the ``way`` they were read.

    ``first_line`` is set when the rows stand on lines that follow each other.
    """

    way: str
    row_count: int = 0
    reject_count: int = 0
    blank_lines: int = 0
    lines_read: int = 0
    first_line: int | None = None
    encodings: dict[str, int] = field(default_factory=dict)
    traces: Mojibake = field(default_factory=Mojibake)

    def count(self, encoding: str, rows: int) -> None:
        """Add rows that were in an encoding."""
        self.row_count += rows
        self.encodings[encoding] = self.encodings.get(encoding, 0) + rows

    def manifest(self, data_line: int) -> dict[str, Any]:
        """A form that the manifest of an extract can keep; ``data_line`` is the first line after the header."""
        return {
            "way": self.way,
            "physical_lines": data_line - 1 + self.lines_read,
            "blank_lines": self.blank_lines,
            "rows_by_encoding": self.encodings,
            "mojibake": asdict(self.traces),
        }
