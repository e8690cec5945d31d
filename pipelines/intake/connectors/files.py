"""Pulling files: what the folder and the SFTP connector have in common."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from pipelines.catalogue.sources import Files, FolderSource, SftpSource
from pipelines.errors import ExtractError, StorageError
from pipelines.intake.connectors.contract import Declared, Pull, PullRequest
from pipelines.intake.connectors.file_days import FileDays
from pipelines.intake.connectors.file_names import NameRules
from pipelines.intake.connectors.file_settling import OwedFiles
from pipelines.intake.connectors.file_totals import MOST_BYTES, declared_in
from pipelines.intake.connectors.file_tree import FileChangedError, FileTree, SourceFile
from pipelines.intake.connectors.file_waiting import Listing, wait_for_files
from pipelines.intake.landing import LandedExtract

Taken = list[tuple[SourceFile, LandedExtract]]

# Where a feed says how to know that a file is finished, one that changes after all is waited for again.
_ROUNDS = 3


def pull_files(tree: FileTree, request: PullRequest, source: FolderSource | SftpSource) -> Pull:
    """Land what belongs to the business date, once all of it is finished.

    Raises :class:`ExtractError` when there is nothing, when a file is unfinished, too large, a link or changes while it
    is landed, and when its day or its control totals cannot be known; then nothing is handed over.
    """
    started = time.monotonic()
    knows_when_finished = source.complete.marker is not None or source.complete.stable_seconds > 0
    rounds = Retrying(
        retry=retry_if_exception_type(FileChangedError),
        stop=stop_after_attempt(_ROUNDS if knows_when_finished else 1),
        reraise=True,
    )
    pulled = rounds(_pull, tree, request, source)
    return replace(pulled, facts={**pulled.facts, "seconds": round(time.monotonic() - started, 3), **tree.effort()})


def _pull(tree: FileTree, request: PullRequest, source: FolderSource | SftpSource) -> Pull:
    rules = NameRules(source, request.business_date)
    days = FileDays(request, source)
    owed = OwedFiles(rules.folder, request.owed)

    def may_belong(file: SourceFile) -> bool:
        return file not in owed and days.may_belong(file)

    listing = wait_for_files(tree, rules, source, may_belong, request.progress)
    taken: Taken = []
    other_days = days.left_out(listing.extracts)
    for file in filter(may_belong, listing.extracts):
        _refuse(tree.place(rules.folder, file.name.text), file, source.max_bytes)
        landed = tree.land(rules.folder, file)
        day = days.day(file, landed)
        if day == request.business_date:
            taken.append((file, landed))
        else:
            other_days[day.isoformat()] += 1
    leaves = source.afterwards.do == "leave"
    if not leaves:
        _check_lost(tree.place(rules.folder), request, taken)
    if not taken and not request.may_be_empty and (leaves or not request.earlier):
        waiting = sum(file in owed for file in listing.extracts)
        raise _nothing(tree.place(rules.folder), rules, request, listing, waiting)
    extracts = tuple(landed for _, landed in taken)
    return Pull(
        extracts=extracts if leaves else _after_earlier(request.earlier, extracts),
        facts={
            "source": source.kind,
            "place": tree.place(rules.folder),
            "files": [_fact(file, landed) for file, landed in taken],
            "files_of_other_days": dict(sorted(other_days.items())),
            "extracts_of_earlier_runs": 0 if leaves else len(request.earlier),
        },
        declared=_declared(tree, rules, source, listing, taken),
        receipt=None if leaves or not taken else _receipt(request, rules, listing, taken, bool(other_days)),
    )


def _refuse(place: str, file: SourceFile, max_bytes: int) -> None:
    if file.trouble is not None:
        raise ExtractError(f"the file {file.trouble}", remedy="put the file itself there", file=place)
    if file.size > max_bytes:
        raise ExtractError(
            f"the file has {file.size:,} bytes, the feed allows {max_bytes:,}",
            remedy="split the file, or raise source.max_bytes in the feed's YAML if this size is right",
            file=place,
        )


def _nothing(place: str, rules: NameRules, request: PullRequest, listing: Listing, waiting: int) -> ExtractError:
    day, feed = request.business_date.isoformat(), request.feed.feed
    files = len(listing.extracts)
    if not listing.folder_exists:
        problem, key = f"there is no such folder for {day}", "source.path"
    elif files:
        problem, key = f"of {files} files that match {rules.pattern} none is of {day}", "source.dated_by"
        problem += f" ({waiting} of another batch could not be moved yet)" if waiting else ""
    else:
        others = len(listing.by_name)
        problem, key = f"no file matches {rules.pattern} for {day}", "source.pattern"
        problem += f" ({others} other files there)" if others else ""
    return ExtractError(
        f"feed {feed}: {problem}",
        remedy=f"ask the department for its file and put it there, or mend {key} in the feed's YAML",
        file=place,
    )


def _check_lost(place: str, request: PullRequest, taken: Taken) -> None:
    put_back = {file.name.text for file, _ in taken}
    lost = [name for name in request.lost if name not in put_back]
    if lost:
        raise StorageError(
            f"the landing no longer has what this batch was made of before: {', '.join(lost)}",
            remedy="put these files back from where they were moved to, or restore the landing from a backup",
            file=place,
        )


def _after_earlier(earlier: Sequence[LandedExtract], new: Sequence[LandedExtract]) -> tuple[LandedExtract, ...]:
    """What this batch was made of before, whose files were moved away, and what has come since."""
    known = {extract.sha256 for extract in earlier}
    return (*earlier, *(extract for extract in new if extract.sha256 not in known))


def _declared(tree: FileTree, rules: NameRules, source: Files, listing: Listing, taken: Taken) -> dict[str, Declared]:
    """Control totals by the hash of the extract, or one for all that were taken now."""
    if source.totals is None or not taken:
        return {}
    declared: dict[str, Declared] = {}
    for file, landed in taken:
        name = rules.totals(file.name.text)
        found = listing.by_name.get(name) if name is not None else None
        if found is None:
            continue
        data = tree.read(rules.folder, found, MOST_BYTES + 1)
        place = tree.place(rules.folder, found.name.text)
        if rules.speaks_for_all(found.name.text):
            return {"": declared_in(data, source.totals, place, of=tuple(landed.sha256 for _, landed in taken))}
        total = declared_in(data, source.totals, place)
        before = declared.setdefault(landed.sha256, total)
        if (before.rows, before.amount) != (total.rows, total.amount):
            raise ExtractError(
                f"two files with the same bytes have different control totals, here and in {before.where}",
                remedy="ask the department which one is right",
                file=place,
            )
    return declared


def _fact(file: SourceFile, landed: LandedExtract) -> dict[str, Any]:
    return {
        "name": file.name.text,
        "bytes": landed.size,
        "modified": file.modified_at.isoformat(timespec="seconds"),
        "sha256": landed.sha256,
    }


def _receipt(
    request: PullRequest, rules: NameRules, listing: Listing, taken: Taken, others_remain: bool
) -> dict[str, Any]:
    """What has to be moved once the batch is published: the extracts, then their markers and control totals.

    Those that speak for the whole folder stay while extracts of other days do.
    """
    beside: dict[str, SourceFile] = {}
    for file, _ in taken:
        for name in (rules.marker(file.name.text), rules.totals(file.name.text)):
            if name is not None and name in listing.by_name and not (others_remain and rules.speaks_for_all(name)):
                beside[name] = listing.by_name[name]
    extracts = [_owed(file, landed.sha256) for file, landed in taken]
    return {
        "source": request.feed.source.kind,
        "folder": rules.folder,
        "business_date": request.business_date.isoformat(),
        "files": extracts + [_owed(file, None) for file in beside.values()],
    }


def _owed(file: SourceFile, sha256: str | None) -> dict[str, Any]:
    return {
        "name": file.name.text,
        "encoding": file.name.encoding,
        "bytes": file.size,
        "modified": file.modified,
        "sha256": sha256,
    }
