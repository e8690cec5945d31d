"""How an extract is to be read, as a feed declares it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Value

from pipelines.catalogue.yaml_source import Strict

Kind = Literal["csv", "xlsx", "xls", "ods", "xml", "json", "jsonl", "parquet"]


class Archive(Strict):
    """Which entries of a zip archive are extracts, by name pattern; everything else is named in the manifest."""

    entries: str = "*"


class Format(Strict):
    """How an extract is to be read; ``auto`` looks at the bytes.

    ``row_path`` leads to the rows of XML (``ROWDATA/ROW``) or JSON (``data.list``). ``sheet`` is the one sheet to read;
    ``sheets`` a name pattern for several. Hidden sheets are left out unless the feed says ``read``, hidden rows are
    read unless it says ``skip``; both are counted in the manifest.
    """

    kind: Literal["auto", "csv", "xlsx", "xls", "ods", "xml", "json", "jsonl"] = "auto"
    encoding: Literal["auto", "utf-8", "gb18030"] = "auto"
    delimiter: Literal["auto", "comma", "tab", "semicolon", "pipe"] = "auto"
    sheet: str | None = None
    sheets: str = "*"
    header_row: int | None = Value(default=None, ge=1)
    header_rows: int = Value(default=1, ge=1, le=3)
    hidden_sheets: Literal["skip", "read"] = "skip"
    hidden_rows: Literal["skip", "read"] = "read"
    row_path: str | None = None
    archive: Archive = Archive()
