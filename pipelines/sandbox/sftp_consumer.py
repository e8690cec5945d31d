"""What happens to files behind the SFTP server: taken by moving them, judged, answered by a receipt file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from lxml import etree

from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import SftpFile
from pipelines.errors import StorageError
from pipelines.sandbox.desk import AnotherPackageError, Desk
from pipelines.sandbox.sftp_list import full_list
from pipelines.sandbox.sftp_reading import UnreadableFileError, read_file
from pipelines.sandbox.spoiled_receipts import NOBODY
from pipelines.sandbox.store import IssuedReceipt

RECEIPT = ".receipt.xml"
DONE, BAD = "done", "bad"
_log = logging.getLogger(__name__)


class Consumer:
    """Takes what lies complete in the folder of one endpoint.

    Files that begin with a dot are not complete. What was taken and not answered, because the receiver was stopped, is
    answered after the next start. ``interval`` is how often the folder is looked at, in seconds; :meth:`wake` makes it
    now.
    """

    def __init__(self, desk: Desk, endpoint: Endpoint, section: SftpFile, root: Path, interval: float = 1.0) -> None:
        self._desk = desk
        self._endpoint = endpoint
        self._section = section
        self._incoming = root / section.folder
        self._done = root / (section.done or DONE)
        self._receipts = root / section.receipts
        self._bad = root / BAD
        for folder in (self._incoming, self._done, self._receipts, self._bad):
            folder.mkdir(parents=True, exist_ok=True)
        self._interval = interval
        self._answered = {path.name.removesuffix(RECEIPT) for path in self._receipts.glob(f"*{RECEIPT}")}
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sftp-consumer", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the file at hand and end."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self.sweep()
            self._wake.wait(self._interval)

    def sweep(self) -> None:
        """Take and answer everything there is."""
        ending = f".{self._section.format}"
        for path in sorted(self._incoming.iterdir()):
            is_whole = path.suffix == ending and not path.name.startswith(".")
            if is_whole and not self._is_busy():
                self._take(path)
        for path in sorted(self._done.iterdir()):
            if path.stem not in self._answered and not self._is_busy():
                self._answer(path)

    def _is_busy(self) -> bool:
        return self._desk.misbehaviour.takes("processing") is not None

    def write_list(self, name: str) -> None:
        """Write the full list of a table, if ``name`` is that of one."""
        if self._section.holdings is None:
            return
        for code, kinds in self._section.tables.items():
            for kind, table in kinds.items():
                if name == self._section.holdings.format(table=table):
                    content = full_list(self._desk, self._desk.categories[code], kind, self._endpoint, self._section)
                    self._publish(name, content)

    def _take(self, path: Path) -> None:
        try:
            path.rename(self._done / path.name)
        except FileNotFoundError:
            # Its sender has taken it back.
            return
        self._answered.discard(path.stem)

    def _answer(self, path: Path) -> None:
        try:
            count = self._judge(path)
        except StorageError:
            _log.warning("the store is full; %s is judged later", path.name)
            return
        except (UnreadableFileError, AnotherPackageError, ValueError):
            # Without the reason: it may repeat what stands in the file.
            _log.warning("%s is not what was agreed", path.name)
            path.rename(self._bad / path.name)
            return
        told = list(self._desk.told(path.stem) or ())
        self._write(path.stem, told, count)
        if self._section.identity is not None or all(line.record_id != NOBODY for line in told):
            self._answered.add(path.stem)

    def _judge(self, path: Path) -> int:
        number = path.name[4:6]
        for code, kinds in self._section.tables.items():
            for kind, table in kinds.items():
                if table == number:
                    category = self._desk.categories[code]
                    package = read_file(path, category, kind, self._endpoint, self._section)
                    self._desk.receive(category, package, path.stem, via="sftp_file")
                    return len(package.records)
        raise UnreadableFileError("there is no such table")

    def _write(self, name: str, told: Sequence[IssuedReceipt], count: int) -> None:
        root = etree.Element("RECEIPTS")
        for line in told:
            # Where the sender names no records, one that nobody sent can only be told by its line.
            is_nobodys = self._section.identity is None and line.record_id == NOBODY
            receipt = etree.SubElement(root, "RECEIPT")
            texts = {
                "LINE": str(count + 1 if is_nobodys else line.position + 1),
                "RESULT": line.result,
                "RULE_CODE": line.rule_code,
                "FIELD": line.field,
                "MESSAGE": line.message,
                "UPPER_ID": line.upper_id,
            }
            if self._section.identity is not None:
                texts[self._section.identity.record] = line.record_id
            for element, text in texts.items():
                if text is not None:
                    etree.SubElement(receipt, element).text = text
        self._publish(f"{name}{RECEIPT}", etree.tostring(root, encoding="UTF-8", xml_declaration=True))

    def _publish(self, name: str, content: bytes) -> None:
        draft = self._receipts / f".{name}.part"
        draft.write_bytes(content)
        draft.replace(self._receipts / name)
