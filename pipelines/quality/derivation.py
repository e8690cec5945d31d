"""How a derived rule is put together: its code from kind and field, its texts from what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.catalogue.categories import Field
from pipelines.quality.rules import Dimension, Family, Owner, Rule, Severity


@dataclass(frozen=True)
class Kind:
    """What all derived rules of one kind have in common: family, defects and conditions (domain reference 8, 1.3)."""

    family: Family
    defects: tuple[int, ...] = ()
    conditions: tuple[str, ...] = ()


KINDS = {
    "REQ": Kind("required", (21, 22)),
    "LEN": Kind("format", (65,)),
    "ENUM": Kind("code_list"),
    "OPEN": Kind("code_list", (50,), ("C6",)),
    "ERA": Kind("code_list"),
    "DATE": Kind("date", (30, 31, 32), ("C9",)),
    "AMT": Kind("amount", (46, 48), ("C7",)),
    "GARB": Kind("format", (58, 60)),
    "CHAR": Kind("format", (61,), ("C16",)),
    "PIN": Kind("format", (59,)),
    "CELL": Kind("format", (57,)),
    "MASK": Kind("person", (18,)),
    "LOST": Kind("name", (60,)),
    "PII": Kind("person", (69,)),
    "PERSON": Kind("person", (14,)),
    "CODE": Kind("organisation_code"),
    "FULL": Kind("organisation_code", (5,)),
    "ISSUED": Kind("organisation_code", (7,)),
    "PLACE": Kind("organisation_code", (12,), ("C4",)),
    "SCI": Kind("organisation_code", (9, 10)),
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
    defects: tuple[int, ...] = (),
    conditions: tuple[str, ...] = (),
    waivable: bool = True,
    family: Family | None = None,
    **kwargs: Any,
) -> Rule:
    """A rule about one field; ``texts`` are message and fix in Chinese, message and fix in English.

    ``defects`` and ``conditions`` add to those of the kind. What protects persons is never ``waivable``.
    """
    of_kind = KINDS[kind]
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
        family=family or of_kind.family,
        defects=of_kind.defects + defects,
        conditions=of_kind.conditions + conditions,
        waivable=waivable and dimension != "privacy",
        personal=personal or field.exposure == "restricted",
        derived=True,
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
