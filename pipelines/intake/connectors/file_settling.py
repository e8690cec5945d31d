"""Moving or renaming the files of a published batch at their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import count
from typing import Any

from pipelines.catalogue.sources import FolderSource, SftpSource
from pipelines.errors import ExtractError, SourceError
from pipelines.intake.connectors.file_names import FileName, dated, free_name
from pipelines.intake.connectors.file_tree import FileTree, SourceFile


def settle_files(tree: FileTree, source: FolderSource | SftpSource, receipt: Mapping[str, Any]) -> list[str]:
    """Do with the files of ``receipt`` what the feed says now; safe to repeat.

    Returns a sentence for each file that stays where it is. A file that is no longer what was landed is never touched:
    it is new, and waits for its own batch.
    """
    if receipt["source"] != source.kind:
        return [f"files of {receipt['business_date']} stay where they are: the feed has another kind of source now"]
    if source.afterwards.do == "leave":
        return []
    try:
        remarks = [_settle(tree, source, receipt, owed) for owed in receipt["files"]]
    except ExtractError as error:
        raise SourceError(error.problem, remedy=error.remedy, file=error.file) from error
    return [remark for remark in remarks if remark is not None]


def _settle(
    tree: FileTree, source: FolderSource | SftpSource, receipt: Mapping[str, Any], owed: Mapping[str, Any]
) -> str | None:
    folder, business_date = receipt["folder"], date.fromisoformat(receipt["business_date"])
    name = FileName(owed["name"], owed["encoding"])
    if source.afterwards.folder is not None:
        target_folder, suffix = dated(source.afterwards.folder, business_date), ""
    else:
        target_folder, suffix = folder, source.afterwards.suffix
    file = tree.find(folder, name)
    if file is None:
        if tree.find(target_folder, name.called(name.text + suffix)) is not None:
            return None
        return f"{tree.place(folder, name.text)}: the file is gone, somebody else has taken it"
    if not _is_what_was_landed(tree, folder, file, owed):
        return (
            f"{tree.place(folder, name.text)}: the file has changed since it was landed and stays; "
            f"run the batch it belongs to (this one was {business_date.isoformat()}) to take it"
        )
    for number in count():
        target = name.called(free_name(name.text, number) + suffix)
        there = tree.find(target_folder, target)
        if there is None:
            tree.rename(folder, file, target_folder, target)
            return None
        if owed["sha256"] is not None and tree.sha256(target_folder, there) == owed["sha256"]:
            tree.remove_copy(folder, file)
            return None
    raise AssertionError("numbers do not end")


class OwedFiles:
    """Files that published batches took and that only could not be moved yet."""

    def __init__(self, folder: str, receipts: Iterable[Mapping[str, Any]]) -> None:
        self._marks = {
            (owed["name"], owed["encoding"], owed["bytes"], owed["modified"])
            for receipt in receipts
            if receipt.get("folder") == folder
            for owed in receipt["files"]
        }

    def __contains__(self, file: SourceFile) -> bool:
        return (file.name.text, file.name.encoding, file.size, file.modified) in self._marks


def _is_what_was_landed(tree: FileTree, folder: str, file: SourceFile, owed: Mapping[str, Any]) -> bool:
    if file.trouble is not None or file.size != owed["bytes"]:
        return False
    found = None if owed["sha256"] is None else tree.sha256(folder, file)
    return bool(file.modified == owed["modified"] if found is None else found == owed["sha256"])
