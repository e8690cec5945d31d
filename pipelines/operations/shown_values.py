"""Values of records and source rows as they may be shown: no document of a person, no name of a private person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.catalogue.categories import Category
from pipelines.dedupe.keys import PERSON_KIND
from pipelines.identity.masking import mask_code, mask_document_number, mask_person_name, mask_text

_ORGANISATION = "法人及非法人组织"
# Of any other subject, a name as short as this is taken for a person's.
_LONGEST_PERSON_NAME = 4


def masked_record(category: Category, record: Mapping[str, Any]) -> dict[str, str]:
    """The filled fields of a record, fit to be shown: no document of a person, no name of a private person."""
    shown = {code: masked_value(category, code, value, record) for code, value in record.items() if value}
    return {code: value for code, value in shown.items() if value is not None}


def masked_value(category: Category, code: str, value: str | None, record: Mapping[str, Any]) -> str | None:
    """A value of a field as it may be shown; ``record`` tells whose names may not stand in it."""
    field = next((field for field in category.fields if field.code == code), None)
    if value is None or field is None:
        return mask_text(value)
    roles = category.roles
    if field.exposure == "restricted":
        return mask_document_number(value)
    if code == roles.representative or (code == roles.subject_name and is_person(category, record, value)):
        return mask_person_name(value)
    if field.type == "code" or code == roles.subject_name:
        return mask_code(value)
    return mask_text(text_without_names(category, value, record))


def is_person(category: Category, record: Mapping[str, Any], name: str) -> bool:
    kind = record.get(category.roles.subject_kind)
    return kind == PERSON_KIND or (len(name) <= _LONGEST_PERSON_NAME and kind != _ORGANISATION)


def text_without_names(category: Category, text: str, record: Mapping[str, Any]) -> str:
    """Free text with the names of this row's persons masked."""
    roles = category.roles
    subject, representative = record.get(roles.subject_name), record.get(roles.representative)
    names = [subject] if subject and is_person(category, record, subject) else []
    names += [representative] if representative else []
    for name in names:
        if len(name) > 1:
            text = text.replace(name, mask_person_name(name) or "")
    return text
