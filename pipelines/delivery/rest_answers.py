"""The answers of the REST protocol, read strictly where it matters: what else they say is passed over."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint, ResultMeaning
from pipelines.delivery.adapter import Holding
from pipelines.delivery.replies import Meaning, ReceiptReply


class ReceiptAnswer(BaseModel):
    """The decision about one record."""

    record_id: str = Field(alias="recordId")
    idempotency_key: str = Field(alias="idempotencyKey")
    result: str
    rule_code: str | None = Field(default=None, alias="ruleCode", max_length=60)
    field: str | None = Field(default=None, max_length=60)
    message: str | None = None
    upper_id: str | None = Field(default=None, alias="upperId", min_length=1, max_length=100)

    def reply(self, results: ResultMeaning) -> ReceiptReply:
        """In our words."""
        meaning: Meaning = "other"
        if self.result in results.accepted:
            meaning = "accepted"
        elif self.result in results.rejected:
            meaning = "rejected"
        elif self.result in results.duplicate:
            meaning = "duplicate"
        return ReceiptReply(
            self.record_id,
            self.idempotency_key,
            self.result,
            meaning,
            self.rule_code,
            self.field,
            self.message,
            self.upper_id,
        )


class ReceiptsAnswer(BaseModel):
    """The receipts of a package, as soon as it is done."""

    package_id: str = Field(alias="packageId")
    state: Literal["processing", "done"]
    receipts: tuple[ReceiptAnswer, ...] = ()


class SubmitAnswer(BaseModel):
    """A package was taken; ``state`` and ``receipts`` come from a receiver that decides at once."""

    package_id: str = Field(alias="packageId")
    received: int
    state: Literal["processing", "done"] | None = None
    receipts: tuple[ReceiptAnswer, ...] = ()


class RecordAnswer(BaseModel):
    """A record that the receiver holds."""

    upper_id: str = Field(alias="upperId")
    record_id: str | None = Field(default=None, alias="recordId")
    content_hash: str | None = Field(default=None, alias="contentHash")
    state: Literal["shown", "withdrawn"] = "shown"
    objection: bool | None = None
    data: dict[str, str | None]

    def holding(self, category: Category, endpoint: Endpoint) -> Holding:
        """In our words."""
        names = endpoint.fields.get(category.category, {})
        number, name = (names.get(code, code) for code in (category.roles.document_number, category.roles.subject_name))
        return Holding(
            upper_id=self.upper_id,
            record_key=self.record_id,
            content_hash=self.content_hash,
            document_number=self.data.get(number),
            subject_name=self.data.get(name),
            state=self.state,
            objection=self.objection,
        )


class RecordsAnswer(BaseModel):
    """One page of what the receiver holds."""

    records: tuple[RecordAnswer, ...]
