"""Records that should no longer exist, as the reports and the command line show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

REASONS = {"absent": "全量数据中已不见", "revoked": "报送部门已标记撤销"}
BELIEVED, DOUBTED = "已确认可撤回", "待确认"


@dataclass(frozen=True)
class Withdrawal:
    """A proposal to withdraw one record; nothing is deleted by it.

    ``reason``: ``absent`` from the full dumps since ``first_seen``, in ``sightings`` of them one after the other, or
    ``revoked`` by its own department. It is believed at once when it was revoked, and otherwise after ``needed``
    sightings. ``document_number`` is masked for natural persons; None when the feed has no such record.
    """

    feed: str
    category: str
    record_key: str
    document_number: str | None
    reason: str
    first_seen: date
    sightings: int
    needed: int
    believed: bool

    @property
    def reason_name(self) -> str:
        return REASONS[self.reason]

    @property
    def state_name(self) -> str:
        return BELIEVED if self.believed else f"{DOUBTED}（{self.sightings}/{self.needed}）"
