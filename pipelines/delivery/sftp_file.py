"""Files over SFTP: a package is a file, its receipts are a file that the receiver puts beside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.deadlines.clock import BEIJING_TIME
from pipelines.delivery.adapter import Adapter, Holding, OutgoingPackage
from pipelines.delivery.replies import Inquiry, Receipts, SubmitReply, Trouble
from pipelines.delivery.sftp_content import xlsx_file, xml_file
from pipelines.delivery.sftp_folders import SftpFolders
from pipelines.delivery.sftp_holdings import listed
from pipelines.delivery.sftp_receipts import ReceiptFileError, ReceiptLine, read_receipt_file, replies
from pipelines.errors import DeliveryError
from pipelines.network.sftp_connection import Account

PERSON_KIND = "自然人"
MOST_NUMBERS = 99_999
MOST_BYTES = 64 << 20
MOST_LIST_BYTES = 1 << 30


class SftpFileAdapter(Adapter):
    """One endpoint that takes files ``DDDDTT_YYYYMMDD_00001.xml`` or ``.xlsx``.

    A file is written under a name that begins with a dot and ends in ``.part``, checked, and renamed: whoever reads the
    folder never sees half of it. The name is the package's own, so asking for it tells whether it got through.
    """

    def __init__(self, endpoint: Endpoint, account: Account) -> None:
        if endpoint.sftp_file is None:
            raise DeliveryError(
                f"{endpoint.endpoint} does not take files over SFTP", remedy="give it a section sftp_file"
            )
        self.place = account.server.address
        self._endpoint = endpoint
        self._section = endpoint.sftp_file
        self._files = SftpFolders(account, endpoint.timeout_seconds)
        self._retracted: list[str] = []

    def close(self) -> None:
        try:
            for path in self._retracted:
                self._files.remove(path)
        except (Trouble, DeliveryError):
            # They are empty and hidden: whoever reads the folder does not mind them.
            self._retracted.clear()
        finally:
            self._files.close()

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        if not self._is_there(package):
            self._files.write(self._draft(package), self._content(package))
            if not self._files.rename(self._draft(package), self._path(package)):
                raise Trouble("broken", f"{self._draft(package)} went away before it could be renamed")
        return SubmitReply(len(package.messages))

    def inquire(self, package: OutgoingPackage) -> Inquiry:
        if self._is_there(package) or self._files.size(self._receipt_path(package, 1)) is not None:
            return Inquiry("taken")
        # Without a folder for what has been read, a file that is gone may have been read or may never have been there;
        # but as long as it has its first name, it was not.
        if self._section.done is not None or self._files.size(self._draft(package)) is not None:
            return Inquiry("unknown")
        return Inquiry("unanswerable")

    def receipts(self, package: OutgoingPackage) -> Receipts:
        lines: list[ReceiptLine] = []
        number = 1
        while (content := self._files.read(path := self._receipt_path(package, number), MOST_BYTES)) is not None:
            with _believed(path):
                lines += read_receipt_file(content, self._record_element)
            number += 1
        if number == 1:
            return Receipts([], complete=self._hidden(package, "retracted") in self._retracted)
        with _believed(self._receipt_path(package, 1)):
            found = replies(package, lines, self._endpoint.results)
        is_all = self._section.receipts_come == "at_once" or len(found) == len(package.messages)
        return Receipts(found, complete=is_all)

    def retract(self, package: OutgoingPackage, record_keys: Collection[str]) -> frozenset[str]:
        """Only a whole file can be taken back: with a line less, the others would have other numbers.

        And only from a receiver that takes files by moving them: then a file which we could rename was not read.
        """
        keys = frozenset(message.record_key for message in package.messages)
        if not self._section.taken_by_moving or keys != frozenset(record_keys):
            return frozenset()
        aside = self._hidden(package, "retracted")
        if self._files.size(aside) is None and not self._files.rename(self._path(package), aside):
            return frozenset()
        # It stays as a mark, without the records, until the ledger knows: a second call must say the same.
        self._files.write(aside, b"")
        self._retracted.append(aside)
        return keys

    def holdings(self, category: Category) -> Iterator[Holding] | None:
        if self._section.holdings is None:
            return None
        return self._all_held(category)

    def shape(self, category: Category, data: Mapping[str, str]) -> str:
        return "person" if data.get(category.roles.subject_kind) == PERSON_KIND else "organisation"

    def reference(
        self,
        package_id: str,
        round_: int,
        category: Category,
        shape: str,
        at: datetime,
        used: Callable[[str], list[str]],
    ) -> str:
        day = at.replace(tzinfo=UTC).astimezone(BEIJING_TIME)
        beginning = f"{self._section.prefix}{self._table(category, shape)}_{day:%Y%m%d}_"
        number = max((int(reference.removeprefix(beginning)) for reference in used(beginning)), default=0) + 1
        if number > MOST_NUMBERS:
            raise DeliveryError(
                f"{self._endpoint.endpoint} got {MOST_NUMBERS} files of one table today; there are no more names",
                remedy="deliver the rest tomorrow, with a larger package_size",
            )
        return f"{beginning}{number:05d}"

    def _is_there(self, package: OutgoingPackage) -> bool:
        """Whether the file has been published, be it read already; one of that name that is not ours is an error."""
        for folder in (self._section.folder, self._section.done):
            if folder is None:
                continue
            path = self._path(package, folder)
            if self._files.size(path) is None:
                continue
            # Without data there is nothing to compare: then only receipts are asked for.
            if all(message.data for message in package.messages):
                found = self._files.read(path, MOST_BYTES)
                if found is None:
                    continue
                if found != self._content(package):
                    raise DeliveryError(
                        "the receiver has another file of this name; everything stays queued",
                        remedy=f"find out who writes files that begin with {self._section.prefix}; if it is an old one "
                        "of ours, move it away",
                        file=f"{self.place}/{path}",
                    )
            return True
        return False

    def _content(self, package: OutgoingPackage) -> bytes:
        if self._section.format == "xlsx":
            return xlsx_file(package)
        return xml_file(package, self._endpoint, self._section)

    def _all_held(self, category: Category) -> Iterator[Holding]:
        for table in self._section.tables[category.category].values():
            path = f"{self._section.receipts}/{(self._section.holdings or '').format(table=table)}"
            content = self._files.read(path, MOST_LIST_BYTES)
            if content is None:
                raise Trouble("broken", f"{path} is not there: the receiver has not written its list")
            with _believed(path):
                held = listed(content, category, self._endpoint, self._section)
            yield from held

    @property
    def _record_element(self) -> str:
        return self._section.identity.record if self._section.identity is not None else "REC_ID"

    def _table(self, category: Category, shape: str) -> str:
        kind: Literal["person", "organisation"] = "person" if shape == "person" else "organisation"
        return self._section.tables[category.category][kind]

    def _path(self, package: OutgoingPackage, folder: str | None = None) -> str:
        return f"{folder or self._section.folder}/{package.reference}.{self._section.format}"

    def _hidden(self, package: OutgoingPackage, ending: str) -> str:
        return f"{self._section.folder}/.{package.reference}.{self._section.format}.{ending}"

    def _draft(self, package: OutgoingPackage) -> str:
        return self._hidden(package, "part")

    def _receipt_path(self, package: OutgoingPackage, number: int) -> str:
        part = "" if number == 1 else f".{number}"
        return f"{self._section.receipts}/{package.reference}{part}.receipt.xml"


@contextmanager
def _believed(path: str) -> Iterator[None]:
    try:
        yield
    except ReceiptFileError as error:
        raise Trouble("broken", f"{path}: {error}") from error
