"""Data Docs: what Great Expectations said about the batches of a night, in the words of the rule book.

The words come from the renderers that our expectation types register with the library. The pages around them are our
own: the library's speak English and fetch style sheets, scripts and fonts from elsewhere. They hold counts and shares,
never a value of a record.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipelines.catalogue.rule_words import DIMENSIONS, OWNERS, SEVERITIES
from pipelines.errors import GuijiError, StorageError
from pipelines.quality.rule_words import (
    ANSWERS_ZH,
    GATES_ZH,
    REASONS_ZH,
    STATES_ZH,
)

SUMMARY = "night.json"
INDEX = "index.html"
_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class GateFigure:
    """One figure that a gate compared, in words."""

    gate: str
    name: str
    observed: str
    usual: str
    limits: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class BatchDocs:
    """What the page of one batch is made of.

    ``rules`` and ``gates`` are the files that keep the validation results; either may be missing where a run ended
    before. ``decision`` is ``release``, ``refuse`` or empty. ``fields`` are the Chinese names of the fields.
    """

    feed: str
    name: str
    run: str
    state: str
    rules: Path | None
    gates: Path | None = None
    figures: tuple[GateFigure, ...] = ()
    decision: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def build_data_docs(batches: Sequence[BatchDocs], business_date: date, folder: Path, keep: int) -> Path:
    """Write the pages of one night and the index over all nights below ``folder``; returns the night's first page.

    A night that is built again replaces its pages. Of the nights, the ``keep`` latest stay; the one just built does in
    any case.
    """
    night = folder / business_date.isoformat()
    beside = folder / f".{business_date.isoformat()}.writing"
    shutil.rmtree(beside, ignore_errors=True)
    summaries = []
    for batch in sorted(batches, key=lambda one: one.feed):
        page, summary = _batch_page(batch, business_date)
        _write(beside / f"{batch.feed}.html", page)
        summaries.append(summary)
    _write(beside / INDEX, _template("night").render(date=business_date, batches=summaries, states=STATES_ZH))
    _write(beside / SUMMARY, json.dumps(summaries, ensure_ascii=False))
    shutil.rmtree(night, ignore_errors=True)
    beside.rename(night)
    _remove_old(folder, keep, night.name)
    _write(folder / INDEX, _template("nights").render(nights=list(_nights(folder))))
    return night / INDEX


def _batch_page(batch: BatchDocs, business_date: date) -> tuple[str, dict[str, Any]]:
    from pipelines.quality.great_expectations_engine import rendered  # noqa: PLC0415 - takes seconds to import

    rules = [] if batch.rules is None else rendered(_read(batch.rules))
    gates = [] if batch.gates is None else rendered(_read(batch.gates))
    broken = [one for one in rules if one.failed]
    summary = {
        "feed": batch.feed,
        "name": batch.name,
        "run": batch.run,
        "state": batch.state,
        "decision": batch.decision,
        "rules": len(rules),
        "broken": len(broken),
        "unasked": sum(not one.applied for one in rules),
        "gates_failed": sum(figure.outcome == "fail" for figure in batch.figures),
    }
    sections = (
        ("未通过的规则", sorted(broken, key=lambda one: (_weight(one.meta), -one.failed))),
        ("通过的规则", [one for one in rules if one.applied and not one.failed]),
        ("本批没有适用行的规则", [one for one in rules if not one.applied]),
    )
    page = _template("batch").render(
        batch=batch,
        date=business_date,
        summary=summary,
        sections=sections,
        gates=gates,
        severities={code: text.zh for code, text in SEVERITIES.items()},
        owners={code: text.zh for code, text in OWNERS.items()},
        dimensions={code: text.zh for code, text in DIMENSIONS.items()},
        states=STATES_ZH,
        answers=ANSWERS_ZH,
        reasons=REASONS_ZH,
        gate_names=GATES_ZH,
    )
    return page, summary


def _weight(meta: Mapping[str, str]) -> int:
    """Blocking rules first."""
    return list(SEVERITIES).index(meta["severity"]) if meta.get("severity") in SEVERITIES else len(SEVERITIES)


def _nights(folder: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The nights below a folder with what is known about their batches, the latest first."""
    for night in sorted(_night_folders(folder), key=lambda path: path.name, reverse=True):
        summary = night / SUMMARY
        yield night.name, _read(summary) if summary.is_file() else []


def _night_folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and _NIGHT.fullmatch(path.name)]


def _remove_old(folder: Path, keep: int, built: str) -> None:
    latest = sorted((path.name for path in _night_folders(folder)), reverse=True)[:keep]
    for path in _night_folders(folder):
        if path.name not in (*latest, built):
            shutil.rmtree(path)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pipelines.quality"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> Any:
    return _environment().get_template(f"{name}.html.j2")


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise GuijiError("no validation result", file=file, remedy="run the batch again") from error


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            "cannot be written", file=path, remedy="free disk space or mend permissions, then run again"
        ) from error
