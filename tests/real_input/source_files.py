"""The real files as somebody else reads them: the csv module and calamine, nothing of ours."""

from __future__ import annotations

import csv
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import python_calamine as calamine

Cell = str | float


@dataclass(frozen=True)
class SourceRow:
    """One row of a file: sheet ("" in text), line as a person counts it, cells from left to right."""

    sheet: str
    line: int
    cells: tuple[Cell, ...]

    @property
    def place(self) -> tuple[str, int]:
        return self.sheet, self.line

    def text(self, column: int) -> str:
        return str(self.cells[column])


@dataclass(frozen=True)
class RealFile:
    """A file below ``shared/real``, the feed that reads it, and where its table stands.

    ``notes`` are rows below a table that hold a single cell, such as the date of printing. ``category`` is what a
    person says when `guiji feeds new` is not convinced by any.
    """

    feed: str
    path: str
    header_line: int = 1
    encoding: str | None = None
    notes: tuple[tuple[str, int], ...] = ()
    category: str | None = None

    @property
    def name(self) -> str:
        return Path(self.path).name

    def rows(self, shared: Path) -> list[SourceRow]:
        """All rows below the header that hold anything, without the notes."""
        path = shared / "real" / self.path
        found = _text_rows(path, self.encoding) if self.encoding else _sheet_rows(path, self.header_line)
        return [row for row in found if row.place not in self.notes and any(str(cell).strip() for cell in row.cells)]


PENALTY, LICENCE = "administrative_penalty", "administrative_licence"

SAMR = RealFile("samr_penalty", "penalties/samr_penalties.csv", encoding="utf-8")
NFRA = RealFile("nfra_penalty", "penalties/nfra_penalties_100.csv", encoding="utf-8")
MEE = RealFile("mee_penalty", "messy/env_penalties_mee2017_masked.xlsx")
MEE_TEXT = RealFile("mee_penalty", "penalties/env_penalties_mee2017.csv", encoding="utf-8")
COMMERCE = RealFile("commerce_dishonest", "messy/dishonest_ecommerce_500_masked.xlsx", category=PENALTY)
COMMERCE_TEXT = RealFile("commerce_dishonest", "lists/dishonest_ecommerce_500.csv", encoding="utf-8", category=PENALTY)
TRANSPORT = RealFile("transport_dishonest", "lists/dishonest_transport_270.csv", encoding="utf-8", category=PENALTY)
COURTS = RealFile("courts_crime", "messy/ocr_fin_crime_org_a_masked.xlsx", category=PENALTY)
COURTS_TEXT = RealFile("courts_crime", "lists/ocr_fin_crime_org_a.csv", encoding="utf-8", category=PENALTY)
SAFETY = RealFile("safety_blacklist", "lists/ocr_safety_blacklist.csv", encoding="utf-8", category=PENALTY)
TAX = RealFile(
    "nanhai_tax_arrears",
    "messy/tax_arrears_nanhai_2015Q2_masked.xls",
    header_line=5,
    notes=(("一、企业低于200万", 191),),
    category=PENALTY,
)
NAMES = RealFile("registry_names", "messy/registry_name_anomalies_gb18030.csv", encoding="gb18030", category=LICENCE)
NAMES_UTF8 = RealFile("registry_names", "registry/registry_name_anomalies.csv", encoding="utf-8", category=LICENCE)
ORGANISATIONS = RealFile(
    "registry_organisations", "registry/registry_orgs_100k.csv", encoding="utf-8", category=LICENCE
)
CODES = RealFile(
    "registry_unusual_codes", "registry/registry_code_anomalies_200.csv", encoding="utf-8", category=LICENCE
)
PREFIXES = RealFile(
    "registry_unusual_codes", "registry/uscc_nonenterprise_prefix.csv", encoding="utf-8", category=LICENCE
)
SHARED_CODES = RealFile(
    "registry_unusual_codes", "registry/registry_same_code_diff_name.csv", encoding="utf-8", category=LICENCE
)
RAGGED = RealFile("registry_unusual_codes", "registry/registry_ragged_rows.csv", encoding="utf-8", category=LICENCE)
MONTHLY = RealFile("templates_monthly", "messy/双公示月报表统计模板.xls", category=PENALTY)
POWERS = RealFile("templates_powers", "messy/行政权力目录模板.xlsx", category=PENALTY)

SMALL_LISTS = (
    SAMR,
    NFRA,
    MEE,
    MEE_TEXT,
    COMMERCE,
    COMMERCE_TEXT,
    TRANSPORT,
    COURTS,
    COURTS_TEXT,
    SAFETY,
    TAX,
    NAMES,
    NAMES_UTF8,
    CODES,
    PREFIXES,
    SHARED_CODES,
    RAGGED,
)
LISTS = (*SMALL_LISTS, ORGANISATIONS)
TEMPLATES = (MONTHLY, POWERS)
# The same list twice: as a workbook and as text, or in two encodings.
TWINS = ((MEE, MEE_TEXT), (COMMERCE, COMMERCE_TEXT), (COURTS, COURTS_TEXT), (NAMES, NAMES_UTF8))


def half_width(text: str) -> str:
    """Half-width, upper case, no blanks: what may be done to a code without knowing it."""
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()


def _text_rows(path: Path, encoding: str) -> list[SourceRow]:
    """Rows of a CSV file; a row whose cells hold line breaks starts where its first line is."""
    rows = []
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file)
        next(reader)
        line = reader.line_num + 1
        for cells in reader:
            rows.append(SourceRow("", line, tuple(cells)))
            line = reader.line_num + 1
    return rows


def _sheet_rows(path: Path, header_line: int) -> list[SourceRow]:
    workbook = calamine.CalamineWorkbook.from_path(path)
    rows = []
    for sheet in workbook.sheet_names:
        grid = workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
        for line, cells in enumerate(grid[header_line:], header_line + 1):
            if any(str(cell).strip() for cell in cells):
                rows.append(SourceRow(sheet, line, tuple(_cell(cell) for cell in cells)))
    return rows


def _cell(value: object) -> Cell:
    return value if isinstance(value, float) else str(value)
