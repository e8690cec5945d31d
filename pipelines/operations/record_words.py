"""What a record is called when somebody is asked about it, without a private person's number or name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipelines.catalogue.categories import Roles
from pipelines.dedupe.keys import PERSON_KIND
from pipelines.identity.masking import mask_document_number, mask_person_name
from pipelines.operations.context import Context
from pipelines.records.reading import record_history


@dataclass(frozen=True)
class RecordWords:
    """What the newest version of a record says; number and name of natural persons are masked."""

    document_number: str | None
    subject_name: str | None
    decision_date: date | None
    authority: str | None


def words_of(context: Context, category: str, record_key: str) -> RecordWords:
    """The words of a published record."""
    roles = context.catalogue.categories[category].roles
    with context.session() as session:
        newest = record_history(session, context.stores[category], context.ledger, record_key)[-1]
    number, name = number_and_name(roles, newest)
    return RecordWords(number, name, newest[roles.decision_date], newest[roles.authority])


def number_and_name(roles: Roles, record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Document number and name of the subject, masked where the subject is a natural person."""
    number, name = record.get(roles.document_number), record.get(roles.subject_name)
    if record.get(roles.subject_kind) == PERSON_KIND:
        return mask_document_number(number), mask_person_name(name)
    return number, name
