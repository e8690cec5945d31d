"""Waiting until the files of a batch are finished."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.catalogue.sources import Files
from pipelines.errors import ExtractError
from pipelines.intake.connectors.file_names import FileName, NameRules
from pipelines.intake.connectors.file_tree import NANOSECONDS, FileTree, SourceFile

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class Listing:
    """A folder at one moment: the extracts in it, sorted by name, and every file by its name."""

    extracts: tuple[SourceFile, ...]
    by_name: dict[str, SourceFile]
    folder_exists: bool


def wait_for_files(
    tree: FileTree,
    rules: NameRules,
    source: Files,
    may_belong: Callable[[SourceFile], bool],
    progress: Callable[[str], None],
) -> Listing:
    """List the folder until every extract that may belong to the batch is finished.

    Only files that are there are waited for. Raises :class:`ExtractError` when one is unfinished after
    ``source.complete.wait_seconds``.
    """
    watch = _Watch(tree, rules, source)
    deadline = time.monotonic() + source.complete.wait_seconds
    pause = _FIRST_PAUSE
    while True:
        listing = list_folder(tree, rules)
        unfinished = [
            (file, reason)
            for file in listing.extracts
            if may_belong(file) and (reason := watch.unfinished(file, listing)) is not None
        ]
        if not unfinished:
            return listing
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise _still_unfinished(tree, rules, unfinished)
        progress(f"waiting for {len(unfinished)} file(s) in {tree.place(rules.folder)} to be finished")
        time.sleep(min(pause, remaining))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def list_folder(tree: FileTree, rules: NameRules) -> Listing:
    """What lies in the folder now."""
    found = tree.files(rules.folder)
    files = sorted(found or [], key=lambda file: file.name)
    return Listing(
        extracts=tuple(file for file in files if rules.is_extract(file.name.text)),
        by_name={file.name.text: file for file in files},
        folder_exists=found is not None,
    )


class _Watch:
    """Remembers since when each file has looked as it does."""

    def __init__(self, tree: FileTree, rules: NameRules, source: Files) -> None:
        self._tree = tree
        self._rules = rules
        self._stable_seconds = source.complete.stable_seconds
        self._needs_totals = source.totals is not None and source.totals.required
        self._seen: dict[FileName, tuple[SourceFile, float]] = {}

    def unfinished(self, file: SourceFile, listing: Listing) -> str | None:
        """Why the file does not count as finished; None when it does."""
        marker = self._rules.marker(file.name.text)
        if marker is not None:
            found = listing.by_name.get(marker)
            if found is None:
                return f"its marker {marker} is missing"
            if found.modified < file.modified:
                return f"its marker {marker} is older than the file"
        totals = self._rules.totals(file.name.text)
        if self._needs_totals and totals is not None and totals not in listing.by_name:
            return f"its control totals {totals} are missing"
        if not self._is_stable(file):
            return f"it changed less than {self._stable_seconds:g} seconds ago"
        return None

    def _is_stable(self, file: SourceFile) -> bool:
        age = time.time() - file.changed / NANOSECONDS - self._tree.clock_doubt_seconds
        if age >= self._stable_seconds:
            return True
        seen, since = self._seen.get(file.name, (None, 0.0))
        if seen is None or not seen.is_as(file):
            since = time.monotonic()
            self._seen[file.name] = (file, since)
        return time.monotonic() - since >= self._stable_seconds


def _still_unfinished(tree: FileTree, rules: NameRules, unfinished: list[tuple[SourceFile, str]]) -> ExtractError:
    file, reason = unfinished[0]
    more = f" (and {len(unfinished) - 1} more)" if len(unfinished) > 1 else ""
    return ExtractError(
        f"the file is not finished: {reason}{more}",
        remedy="wait until the department has finished and run again; source.complete in the feed's YAML says what "
        "counts as finished and how long to wait",
        file=tree.place(rules.folder, file.name.text),
    )
