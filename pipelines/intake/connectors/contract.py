"""What a connector is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.intake.landing import LandedExtract
from pipelines.settings import Settings


@dataclass(frozen=True)
class Declared:
    """What the department says an extract holds: rows, the sum of one source column. ``where``: where it says so.

    ``of`` are the SHA-256 of the extracts it speaks for, where these are several but not all of the batch.
    """

    where: str
    rows: int | None = None
    amount: Decimal | None = None
    amount_column: str | None = None
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class PullRequest:
    """One batch to pull.

    ``workspace`` is a folder that the feed keeps between attempts (for transfers to be resumed); the connector owns
    what lies in it. ``watermark`` is what the last published batch before ``business_date`` gave as its own.
    ``earlier`` are the extracts of this batch's published run, when it is pulled again: a source that gives out
    everything once (read flags, files moved away) answers with them and what is new. ``lost`` are the names of those
    that the landing no longer has: such a source cannot give them out again. ``owed`` are receipts of other
    batches whose source could not be told yet: what they name is taken already. ``category`` is needed only where
    a file has to be read to know its day. ``may_be_empty``: that there are no files is no problem. ``progress`` takes a
    short text for whoever watches.
    """

    settings: Settings
    feed: Feed
    business_date: date
    workspace: Path
    watermark: str | None = None
    earlier: tuple[LandedExtract, ...] = ()
    lost: tuple[str, ...] = ()
    owed: tuple[Mapping[str, Any], ...] = ()
    category: Category | None = None
    may_be_empty: bool = False
    progress: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True)
class Pull:
    """What was pulled and landed.

    ``extracts`` may be empty where the source answers that it has nothing (an increment without rows), never because it
    could not be asked. ``declared``: control totals by SHA-256 of the extract, under ``""`` those of all extracts
    together. ``facts`` go into the manifest: where from, how many pages or files, bytes, attempts. ``receipt`` is
    what :meth:`Connector.settle` needs once the batch is published; None when there is nothing to settle. Facts and
    receipt are fit for JSON, hold no secret and no personal data.
    """

    extracts: tuple[LandedExtract, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    declared: Mapping[str, Declared] = field(default_factory=dict)
    receipt: Mapping[str, Any] | None = None
    watermark: str | None = None


class Connector(Protocol):
    """A module that pulls from one kind of source.

    ``pull`` lands what belongs to the batch below ``request.settings.landing`` and changes nothing at the source.
    It raises :class:`SourceError` when the source is down or refuses, :class:`ExtractError` when the department has to
    act.
    ``settle`` runs after the batch was published, maybe long after and more than once for the same receipt: it tells
    the source what was taken (moves files, sets read flags). It raises :class:`SourceError` when that failed and has to
    be tried again; it returns a sentence for everything it left undone for good, such as a file that changed meanwhile.
    """

    def pull(self, request: PullRequest) -> Pull: ...

    def settle(self, settings: Settings, feed: Feed, receipt: Mapping[str, Any]) -> Sequence[str] | None: ...
