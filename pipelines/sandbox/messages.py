"""What the receiver is sent, in the form it insists on."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Key = Annotated[str, StringConstraints(min_length=8, max_length=64, pattern=r"^[0-9A-Za-z_-]+$")]
MOST_RECORDS = 5000


class Message(BaseModel):
    """Unknown keys are errors: a sender that misspells a key must hear of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SentRecord(Message):
    """One record of a package; ``data`` maps field codes to text.

    ``IMPORT`` is for protocols that know no difference between a new record and a changed one.
    """

    record_id: Key = Field(alias="recordId")
    operation: Literal["NEW", "UPDATE", "IMPORT", "WITHDRAW", "OBJECTION_ON", "OBJECTION_OFF"]
    reason: str | None = Field(default=None, max_length=20)
    idempotency_key: Key = Field(alias="idempotencyKey")
    content_hash: Key = Field(alias="contentHash")
    data: dict[str, str | None]


class SentPackage(Message):
    """The body of a submission."""

    package_id: Key = Field(alias="packageId")
    sent_at: datetime = Field(alias="sentAt")
    records: tuple[SentRecord, ...] = Field(min_length=1, max_length=MOST_RECORDS)

    def digest(self) -> str:
        """SHA-256 of the records: a repeated package must hold the same ones; ``sentAt`` may differ."""
        content = [record.model_dump(mode="json") for record in self.records]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
