"""What decides the result of a batch, in one hash: same fingerprint, same records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from sqlalchemy import func, select

from pipelines.catalogue.feeds import Feed
from pipelines.ledger.delivery_models import RecordAct
from pipelines.operations.context import Context
from pipelines.quality.golden_cases import GOLDEN_CASES

# Parts that come with a batch and are no configuration.
_OF_BATCH = ("extracts", "corrections", "waivers", "reinstatements")
_WORDS = {
    "extracts": "other extracts",
    "corrections": "corrected workbooks came back",
    "waivers": "waivers",
    "reinstatements": "records were reinstated",
    "category": "the category",
    "code_lists": "code lists",
    "authorities": "the dictionary of authorities",
    "regions": "regions of the department",
}
_MARK = 12


def deciding_parts(
    context: Context,
    feed: Feed,
    extract_hashes: Iterable[str],
    corrections: Iterable[str] = (),
    waivers: Iterable[str] = (),
) -> dict[str, Any]:
    """What decides a batch, by name.

    Extract hashes, corrected workbooks in their order, waivers in force on its date, feed, category, code lists, the
    dictionary of authorities, where the department may decide, rules, calendars, program version; and how many records
    of the feed were reinstated, because rows about them were blocked before and are not any more.
    """
    category = context.catalogue.category_of(feed)
    # Which golden case breaks which rule is for the rule book.
    suites = sorted(path for path in context.settings.expectations.glob("*.json") if path.name != GOLDEN_CASES)
    policies = sorted((context.settings.schemas / "calendars").glob("*.yaml"))
    reinstated = select(func.count()).where(RecordAct.feed == feed.feed, RecordAct.kind == "reinstate")
    with context.ledger.read() as ledger:
        reinstatements = ledger.scalar(reinstated)
    return {
        "program": version("guiji"),
        "extracts": sorted(extract_hashes),
        "corrections": list(corrections),
        "waivers": sorted(waivers),
        "reinstatements": reinstatements,
        # When somebody is told that a feed is silent decides nothing about its records.
        "feed": feed.model_dump(mode="json", exclude={"silence"}),
        "category": category.model_dump(mode="json"),
        "code_lists": {name: data.model_dump(mode="json") for name, data in context.catalogue.code_lists.items()},
        "authorities": context.catalogue.authorities.model_dump(mode="json"),
        "regions": context.catalogue.department_of(feed).regions,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (*suites, *policies)},
    }


def fingerprint_of(parts: Mapping[str, Any]) -> str:
    """SHA-256 over what decides a batch: same fingerprint, same records."""
    return _hash(parts)


def configuration_hash(context: Context, feed: Feed) -> str:
    """SHA-256 over what decides every batch of a feed, whatever it brings."""
    parts = deciding_parts(context, feed, ())
    return _hash({name: part for name, part in parts.items() if name not in _OF_BATCH})


def marks_of(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts as short hashes, for the manifest of a run: from two of these :func:`differences` tells what changed.

    Of the feed each key has a mark of its own, of the rules and calendars each file.
    """
    marks: dict[str, Any] = {}
    for name, part in parts.items():
        if name == "program":
            marks[name] = part
        elif name in {"feed", "files"}:
            marks[name] = {key: _hash(value)[:_MARK] for key, value in part.items()}
        else:
            marks[name] = _hash(part)[:_MARK]
    return marks


def differences(then: Mapping[str, Any], today: Mapping[str, Any]) -> list[str]:
    """What differs between two sets of marks, in words, the feed's own settings first."""
    found = []
    keys = _differing(then["feed"], today["feed"])
    if keys:
        found.append(f"feed: {', '.join(keys)}")
    files = _differing(then["files"], today["files"])
    if files:
        found.append(f"rules and calendars: {', '.join(files)}")
    if then["program"] != today["program"]:
        found.append(f"program {then['program']} → {today['program']}")
    return found + [words for name, words in _WORDS.items() if then.get(name) != today.get(name)]


def _differing(then: Mapping[str, str], today: Mapping[str, str]) -> list[str]:
    return sorted(key for key in {*then, *today} if then.get(key) != today.get(key))


def _hash(part: object) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
