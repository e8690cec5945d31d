"""What the receiver knows a record by when its sender names none: the decision and whom it is about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pipelines.catalogue.categories import Category
from pipelines.sandbox.subjects import comparable


def natural_record_id(category: Category, data: Mapping[str, str | None]) -> str:
    """Always the same for one decision about one subject: SHA-256 of category, document number and subject name."""
    roles = category.roles
    number = data.get(roles.document_number) or data.get(roles.document_number_fallback or "") or ""
    parts = [category.category, number, comparable(data.get(roles.subject_name) or "")]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def content_hash(data: Mapping[str, str | None]) -> str:
    """SHA-256 of what a record says; a field without text counts like one that is not there."""
    said = {code: text for code, text in data.items() if text}
    return hashlib.sha256(json.dumps(said, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
