"""One entry of the hash chain as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select

from pipelines.errors import RunConflictError
from pipelines.ledger import chain
from pipelines.ledger.operation_models import ChainEntry
from pipelines.operations.context import Context


def find_entry(context: Context, name: str) -> ChainEntry:
    """The entry at a position or about a run; raises :class:`RunConflictError` when there is none.

    A run that was published before the chain began is told of by its first entry.
    """
    with context.ledger.read() as ledger:
        if name.isdecimal():
            entry = ledger.get(ChainEntry, int(name))
        else:
            query = select(ChainEntry).where(ChainEntry.kind == chain.RUN, ChainEntry.subject == name)
            entry = ledger.scalars(query).one_or_none()
    if entry is None:
        raise RunConflictError(
            f"no entry of the chain is called {name}",
            remedy="give a published run or a position; entry 1 tells of runs from before the chain began",
        )
    return entry


def entry_lines(entry: ChainEntry) -> Iterator[str]:
    """Everything an entry says, a line each, what belongs to a line below it and further in."""
    yield f"entry {entry.position}: {entry.kind} {entry.subject}".rstrip() + f", {entry.at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"  hash {entry.hash}"
    yield f"  previous {entry.previous}"
    yield from _lines(json.loads(entry.content), "  ")


def _lines(content: Mapping[str, Any], margin: str) -> Iterator[str]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield f"{margin}{name}: {_pairs(value)}"
        elif isinstance(value, list):
            yield f"{margin}{name}: {len(value)}"
            for one in value:
                yield from _item_lines(one, f"{margin}  ")
        else:
            yield f"{margin}{name}: {value}"


def _item_lines(item: Any, margin: str) -> Iterator[str]:
    if not isinstance(item, dict):
        yield f"{margin}{item}"
    elif item.keys() == {"path", "sha256", "bytes"}:
        yield f"{margin}{item['sha256']} {item['bytes']:>12,} {item['path']}"
    elif "run" in item:
        yield f"{margin}{item['run']}"
        yield from _lines({name: value for name, value in item.items() if name != "run"}, f"{margin}  ")
    else:
        yield f"{margin}{_pairs(item)}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
