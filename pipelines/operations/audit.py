"""The audit: whether everything published is still as the hash chain says, and where not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from itertools import islice
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session as LedgerSession

from pipelines.errors import CatalogueError
from pipelines.ledger import chain
from pipelines.ledger.operation_models import ChainEntry
from pipelines.operations.audit_entries import Claim, claims_of
from pipelines.operations.audit_lake import open_lake, removed_files, unknown_files
from pipelines.operations.audit_ledger import batch_problems, row_problems, unchained_problems
from pipelines.operations.audit_problems import ENTRIES, Problem
from pipelines.operations.clock import SHANGHAI
from pipelines.operations.context import Context

# Runs that are compared with the ledger by one query.
AT_ONCE = 500
_HEAD = re.compile(r"(?:\b(\d+)\s+)?\b([0-9a-f]{64})\b")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Head:
    """An end of the chain as somebody has kept it elsewhere; ``position`` is None where only the hash was kept."""

    position: int | None
    hash: str


@dataclass
class Audit:
    """What was looked at, and what is wrong, in the order of the chain; ``head`` is where the chain ends."""

    head: Head
    first: int = 1
    entries: int = 0
    runs: int = 0
    files: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)


def heads_of(text: str) -> list[Head]:
    """Heads as they were kept, each a hash or a position and a hash: in a file of this name, else in the text itself.

    Raises :class:`CatalogueError` when there is none.
    """
    # Several heads in one text are too long for the name of a file, which Path.is_file does not forgive.
    told = Path(text).read_text(encoding="utf-8") if os.path.isfile(text) else text  # noqa: PTH113
    heads = [Head(int(position) if position else None, found) for position, found in _HEAD.findall(told)]
    if not heads:
        raise CatalogueError(f"there is no head in {text}", remedy="give what 'guiji audit head' printed")
    return heads


def current_head(context: Context) -> Head:
    """Where the chain ends now."""
    with context.ledger.read() as ledger:
        return Head(*chain.head(ledger))


def verify(
    context: Context,
    *,
    since: int | date | None = None,
    quick: bool = False,
    heads: Sequence[Head] = (),
    progress: Progress = lambda _done, _total: None,
) -> Audit:
    """Compare the chain with itself, with the ledger, with the files and with the logs of the Delta tables.

    ``since`` is a position, or a day in Shanghai: entries before it are not looked at. ``quick`` compares the sizes of
    files and does not read them. ``heads`` are ends of the chain that were kept elsewhere and must still be in it.
    ``progress`` is told entries done and entries in all. What is published meanwhile is left to the next audit.
    """
    with context.ledger.read() as ledger:
        last, last_hash, end_problems = chain.end_of(ledger)
        audit = Audit(Head(last, last_hash), _first(ledger, since))
        lake = open_lake(context, ledger, quick=quick)
        claimed: set[str] = set()
        before_the_chain = {claim.run for claim in _start_claims(ledger)}
        links = chain.walk(ledger, audit.first, last)
        with ThreadPoolExecutor(context.settings.threads, "audit") as pool:
            while some := list(islice(links, AT_ONCE)):
                claims = list(_read(audit, some))
                # The first entry may tell of more runs than one query takes names.
                for start in range(0, len(claims), AT_ONCE):
                    audit.problems += row_problems(ledger, claims[start : start + AT_ONCE])
                for found in pool.map(lake.check, claims):
                    audit.problems += found
                _count(audit, some, claims)
                claimed.update(mark.path for claim in claims for mark in claim.files)
                progress(audit.entries, last - audit.first + 1)
        audit.problems += [Problem(None, None, "chain_head", problem, ENTRIES) for problem in end_problems]
        audit.problems += [problem for head in heads for problem in _head_problems(ledger, head, last)]
        audit.problems += unchained_problems(ledger, before_the_chain)
        audit.problems += batch_problems(ledger)
        audit.problems += unknown_files(context, ledger, lake, claimed)
        _excuse(ledger, audit, last)
    return audit


def _first(ledger: LedgerSession, since: int | date | None) -> int:
    """The position of the first entry to be looked at; one after the last when the chain is older than ``since``."""
    if not isinstance(since, date):
        return max(since or 1, 1)
    midnight = datetime.combine(since, time(), SHANGHAI).astimezone(UTC).replace(tzinfo=None)
    found = ledger.scalar(select(func.min(ChainEntry.position)).where(ChainEntry.at >= midnight))
    return found if found is not None else chain.end_of(ledger)[0] + 1


def _start_claims(ledger: LedgerSession) -> list[Claim]:
    start = ledger.get(ChainEntry, 1)
    try:
        return claims_of(start) if start is not None else []
    except ValueError:
        return []


def _read(audit: Audit, links: Sequence[chain.Link]) -> Iterator[Claim]:
    """What entries say, with what is wrong about themselves noted; the claims of an altered entry are compared too."""
    for link in links:
        entry, run = link.entry, link.entry.subject if link.entry.kind == chain.RUN else None
        audit.problems += [Problem(entry.position, run, "", problem, ENTRIES) for problem in link.problems]
        try:
            yield from claims_of(entry)
        except ValueError as error:
            audit.problems.append(Problem(entry.position, run, "content", str(error), ENTRIES))


def _count(audit: Audit, links: Sequence[chain.Link], claims: Sequence[Claim]) -> None:
    audit.entries += len(links)
    audit.runs += len(claims)
    audit.files += sum(len(claim.files) for claim in claims)
    audit.bytes += sum(mark.bytes for claim in claims for mark in claim.files)


def _head_problems(ledger: LedgerSession, kept: Head, last: int) -> Iterator[Problem]:
    remedy = "the chain was cut off or written anew after this head was kept: restore the ledger from a backup"
    if kept.position is None:
        if kept.hash != chain.BEFORE_THE_FIRST and not _has_hash(ledger, kept.hash):
            yield Problem(None, None, "kept head", f"no entry has the hash {kept.hash}", remedy)
        return
    if kept.position > last:
        found = f"expected an entry with {kept.hash}, the chain ends at {last}"
        yield Problem(kept.position, None, "kept head", found, remedy)
        return
    entry = ledger.get(ChainEntry, kept.position)
    found_hash = entry.hash if entry is not None else "no entry"
    if kept.position > 0 and found_hash != kept.hash:
        yield Problem(kept.position, None, "kept head", f"expected {kept.hash}, found {found_hash}", remedy)


def _has_hash(ledger: LedgerSession, wanted: str) -> bool:
    return ledger.scalar(select(ChainEntry.position).where(ChainEntry.hash == wanted)) is not None


def _excuse(ledger: LedgerSession, audit: Audit, last: int) -> None:
    """Take out what is missing because it was removed on purpose while the audit ran."""
    removed = removed_files(ledger, after=last)
    audit.problems = [problem for problem in audit.problems if problem.path not in removed]
