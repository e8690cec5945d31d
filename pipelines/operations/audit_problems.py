"""What an audit finds: where it is, what was expected and what was found, what to do."""

from __future__ import annotations

from dataclasses import dataclass

ENTRIES = "restore the tables chain_entry and chain_head from a backup and look for who wrote to the ledger"
LEDGER = "restore the ledger from a backup and look for who wrote to it"
FILES = "restore the file from a backup and look for who wrote to the disk"
LOG = "restore the table's folder _delta_log from a backup and look for who wrote to the disk"


@dataclass(frozen=True)
class Problem:
    """One thing that is not as the chain says, or a fault of the chain itself.

    ``place`` is a column of the ledger, a file below the installation's home, or empty for the entry itself; ``path``
    is set for a file that is missing, which a removal may excuse.
    """

    position: int | None
    run: str | None
    place: str
    found: str
    remedy: str
    path: str | None = None

    def __str__(self) -> str:
        where = [f"entry {self.position}" if self.position is not None else "", self.run or "", self.place]
        return f"{', '.join(part for part in where if part)}: {self.found} — {self.remedy}"
