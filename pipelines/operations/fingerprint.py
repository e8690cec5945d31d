"""What decides the result of a batch, in one hash: same fingerprint, same records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version

from pipelines.catalogue.feeds import Feed
from pipelines.operations.context import Context
from pipelines.quality.golden_cases import GOLDEN_CASES


def fingerprint(
    context: Context,
    feed: Feed,
    extract_hashes: Iterable[str],
    corrections: Iterable[str] = (),
    waivers: Iterable[str] = (),
) -> str:
    """SHA-256 over what decides a batch.

    Extract hashes, corrected workbooks in their order, waivers in force on its date, feed, category, code lists, the
    dictionary of authorities, where the department may decide, rules, calendars, program version.
    """
    category = context.catalogue.category_of(feed)
    # Which golden case breaks which rule is for the rule book.
    suites = sorted(path for path in context.settings.expectations.glob("*.json") if path.name != GOLDEN_CASES)
    policies = sorted((context.settings.schemas / "calendars").glob("*.yaml"))
    parts = {
        "program": version("guiji"),
        "extracts": sorted(extract_hashes),
        "corrections": list(corrections),
        "waivers": sorted(waivers),
        "feed": feed.model_dump(mode="json"),
        "category": category.model_dump(mode="json"),
        "code_lists": {name: data.model_dump(mode="json") for name, data in context.catalogue.code_lists.items()},
        "authorities": context.catalogue.authorities.model_dump(mode="json"),
        "regions": context.catalogue.department_of(feed).regions,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (*suites, *policies)},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
