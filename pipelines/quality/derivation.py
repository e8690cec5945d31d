"""How a derived rule is put together: its code from kind and field, its texts from what is wrong."""

from __future__ import annotations

from typing import Any

from pipelines.catalogue.categories import Field
from pipelines.quality.rules import Dimension, Family, Owner, Rule, Severity

# Which family of the rule book a kind of derived rule belongs to.
FAMILIES: dict[str, Family] = {
    "REQ": "required",
    "LEN": "format",
    "ENUM": "code_list",
    "OPEN": "code_list",
    "DATE": "date",
    "AMT": "amount",
    "GARB": "format",
    "CHAR": "format",
    "CELL": "format",
    "MASK": "person",
    "LOST": "name",
    "PII": "person",
    "PERSON": "person",
    "CODE": "organisation_code",
    "ISSUED": "organisation_code",
    "PLACE": "organisation_code",
    "SCI": "organisation_code",
}
Texts = tuple[str, str, str, str]


def derived_rule(
    kind: str,
    field: Field,
    type_: str,
    texts: Texts,
    *,
    dimension: Dimension,
    severity: Severity = "block",
    owner: Owner = "department",
    personal: bool = False,
    source: str | None = None,
    **kwargs: Any,
) -> Rule:
    """A rule about one field; ``texts`` are message and fix in Chinese, message and fix in English."""
    message_zh, fix_zh, message_en, fix_en = texts
    return Rule(
        code=f"{kind}-{field.code}",
        field=field.code,
        severity=severity,
        owner=owner,
        dimension=dimension,
        message_zh=f"“{field.name_zh}”{message_zh}",
        fix_zh=fix_zh,
        message_en=f"{field.name_en}: {message_en}",
        fix_en=fix_en,
        source=source or field.source,
        family=FAMILIES[kind],
        personal=personal or field.exposure == "restricted",
        type=type_,
        kwargs={"column": field.code, **kwargs},
    )


def predicate_rule(kind: str, field: Field, predicate: str, texts: Texts, *, dimension: Dimension, **more: Any) -> Rule:
    """A rule whose predicate reads the column as ``{0}``."""
    return derived_rule(
        kind,
        field,
        "expect_rows_to_satisfy",
        texts,
        dimension=dimension,
        predicate=predicate.format(field.code),
        **more,
    )
