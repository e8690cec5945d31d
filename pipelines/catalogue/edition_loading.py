"""An older edition of a category, read and checked against the category that it fills."""

from __future__ import annotations

from pipelines.catalogue.categories import Category
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.editions import Edition
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.yaml_source import Document, Location, parse


def load_edition(document: Document, categories: dict[str, Category], code_lists: dict[str, CodeList]) -> Edition:
    """Parse one older edition and check it against the category that its columns fill."""
    loaded = parse(document, Edition)
    category = categories.get(loaded.category)
    if category is None or loaded.edition >= category.edition:
        raise document.error(
            f"there is no later edition of {loaded.category} than {loaded.edition}",
            remedy=f"use one of {', '.join(sorted(categories))} and an earlier year than its own",
            at=("category",),
        )
    if document.path.stem != f"{loaded.category}_{loaded.edition}":
        raise document.error(
            f"edition {loaded.edition} of {loaded.category} lies in {document.path.name}",
            remedy=f"call the file {loaded.category}_{loaded.edition}.yaml",
            at=("edition",),
        )
    known: dict[str, str] = {}
    for index, field in enumerate(loaded.fields):
        for header in (field.code, field.name_zh, *field.aliases):
            owner = known.setdefault(normalise_header(header), field.code)
            if owner != field.code:
                raise document.error(
                    f"the header {header} belongs to {owner} and {field.code}",
                    remedy="keep it at one of them",
                    at=("fields", index),
                )
    assumed = [assumption.field for assumption in loaded.assumptions]
    if len(assumed) != len(set(assumed)):
        raise document.error("two assumptions fill one field", remedy="keep one of them", at=("assumptions",))
    codes = loaded.field_codes
    read: list[tuple[str, Location]] = [
        (code, ("columns", target)) for target in loaded.columns for code in _sources(loaded, target)
    ]
    read += [(code, ("dropped",)) for code in loaded.dropped]
    read += [(loaded.timestamp, ("timestamp",))] if loaded.timestamp else []
    read.append((loaded.status.column, ("status", "column")))
    for code, at in read:
        if code not in codes:
            raise document.error(f"{code} is no column of this edition", remedy="name one of its fields", at=at)
    filled: list[tuple[str, Location]] = [(code, ("columns", code)) for code in loaded.columns]
    filled += [(loaded.status.field, ("status", "field"))] if loaded.status.field else []
    filled += [(code, ("assumptions",)) for assumption in loaded.assumptions for code in assumption.fields]
    for code, at in filled:
        if code not in category.field_codes:
            raise document.error(f"{code} is no field of {loaded.category}", remedy="mend the spelling", at=at)
    status = loaded.status
    if status.field is not None:
        code_list = code_lists.get(category.field(status.field).code_list or "")
        if code_list is None or status.valid not in code_list.values:
            raise document.error(
                f"{status.valid} is not in the code list of {status.field}",
                remedy="name the value of a decision that stands",
                at=("status", "valid"),
            )
    spelt = [text for state in status.states for text in {state.code, state.name, *state.synonyms}]
    if len(spelt) != len(set(spelt)):
        raise document.error("two states share a spelling", remedy="keep it at one of them", at=("status", "states"))
    return loaded


def _sources(edition: Edition, field: str) -> tuple[str, ...]:
    column = edition.column(field)
    return () if column is None else column.sources
