"""That nothing of an extract is lost: rows, rejects and lines that are neither, added up."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from pipelines.intake.reading import IntakeResult

KEPT_WHOLE = {"csv"}


def account(result: IntakeResult, data: bytes) -> None:
    """Everything that was counted exists, and every line of plain text was counted."""
    assert result.rows_decoded == sum(part.row_count for part in result.parts)
    for part in result.parts:
        assert pq.read_metadata(part.path).num_rows == part.row_count
    rejects = pq.read_table(result.rejects_path)
    assert rejects.num_rows == result.lines_undecoded
    for manifest in result.extracts:
        if manifest["kind"] == "csv" and b'"' not in data and not manifest["encoding"].startswith("utf-16"):
            # Without quotes a record is a line: each is the header's, a row, a reject or blank.
            counted = manifest["lines_before_header"] + manifest["header_rows"] + manifest["blank_lines"]
            assert counted + manifest["rows_decoded"] + manifest["lines_undecoded"] == manifest["physical_lines"]


def leftovers(folder: Path) -> list[Path]:
    """Files that should not outlive the reading."""
    return [path for path in folder.rglob("*") if path.suffix in {".writing", ".utf8", ".unpacked"}]
