"""The receiver's subject base: which name belongs to which unified social credit code."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import CatalogueError

Subjects = Mapping[str, frozenset[str]]
"""Code → the comparable names it may go by."""


def comparable(name: str) -> str:
    """A name without width differences and blanks; receivers compare names strictly otherwise."""
    return "".join(unicodedata.normalize("NFKC", name).split())


def load_subjects(path: Path) -> Subjects:
    """Read a CSV (UTF-8) with the columns ``code`` and ``name``; several names per code are possible."""
    names: dict[str, set[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"code", "name"} <= set(reader.fieldnames or ()):
                raise CatalogueError(
                    "the subject base lacks the column code or name", remedy="begin it with code,name", file=path
                )
            for row in reader:
                if not row["code"] or not row["name"]:
                    raise CatalogueError(
                        "a subject without code or name",
                        remedy="complete or remove the line",
                        file=path,
                        line=reader.line_num,
                    )
                names.setdefault(row["code"].strip(), set()).add(comparable(row["name"]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogueError(
            "the subject base cannot be read", remedy="name a CSV file in UTF-8 with code,name", file=path
        ) from error
    return {code: frozenset(known) for code, known in names.items()}
