"""Categories: the schema of one kind of record, field by field."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Value

from pipelines.catalogue.editions import Edition
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.yaml_source import Document, Strict, parse

FieldType = Literal["text", "name", "document_number", "code", "date", "amount", "enum", "enum_multi"]
CodeSystem = Literal[
    "uscc",
    "registration_number",
    "organisation_code",
    "tax_registration",
    "institution_certificate",
    "identity_document",
    "plain",
]


class Field(Strict):
    """One field of a category.

    ``length`` counts ``length_unit`` (characters, or bytes in GBK or UTF-8: receivers differ). ``amount``
    fields are in 万元, ``DECIMAL(18, 6)``. A ``restricted`` field never leaves the sharing platforms and is
    masked before it may appear in findings; it is text, because only text can be sealed. ``stated_in`` is the text
    field that states an amount in words too, behind one of the words of ``stated_after``.
    """

    code: str
    name_zh: str
    name_en: str
    type: FieldType
    length: int | None = None
    length_unit: Literal["characters", "bytes_gbk", "bytes_utf8"] = "characters"
    required: Literal["always", "conditional", "optional"]
    condition: str | None = None
    code_list: str | None = None
    code_system: CodeSystem | None = None
    open_end: bool = False
    stated_in: str | None = None
    stated_after: tuple[str, ...] = ()
    exposure: Literal["public", "restricted"] = "public"
    aliases: tuple[str, ...] = ()
    source: str


class Roles(Strict):
    """Which field plays which part, so that no step needs to know a category by name.

    ``publication_end`` is the last day on which the record may be shown.
    """

    subject_name: str
    subject_kind: str
    subject_code: str
    subject_codes: tuple[str, ...]
    representative: str
    representative_id_type: str
    representative_id: str
    person_id_type: str
    person_id: str
    document_number: str
    document_number_fallback: str | None = None
    decision_date: str
    authority: str
    authority_code: str
    source_unit: str
    source_unit_code: str
    status: str | None = None
    content: str | None = None
    fine: str | None = None
    publication_end: str | None = None


class Template(Strict):
    """An official upload template: recognised when all its headers stand in one row."""

    template: str
    name_zh: str
    subject_kind: str | None
    columns: tuple[str, ...]


class Category(Strict):
    """A kind of record with its own schema, in one edition of the standard.

    ``editions`` are the older ones that feeds may declare. ``numbered_codes``: which word stands in brackets behind
    行政相对人代码_N in this edition.
    """

    category: str
    name_zh: str
    name_en: str
    edition: int
    source: str
    prefix: str
    roles: Roles
    fields: tuple[Field, ...]
    templates: tuple[Template, ...] = ()
    numbered_codes: dict[str, str] = Value(default_factory=dict)
    editions: dict[int, Edition] = Value(default_factory=dict)

    def field(self, code: str) -> Field:
        """The field with this code; ``KeyError`` when there is none."""
        for field in self.fields:
            if field.code == code:
                return field
        raise KeyError(code)

    @property
    def field_codes(self) -> tuple[str, ...]:
        return tuple(field.code for field in self.fields)

    def headers(self) -> dict[str, str]:
        """Every known header of this edition, normalised → field code."""
        known: dict[str, str] = {}
        for field in self.fields:
            for header in (field.code, field.name_zh, *field.aliases):
                known.setdefault(normalise_header(header), field.code)
        return known

    def all_headers(self) -> frozenset[str]:
        """Every header that any edition knows, normalised."""
        return frozenset(self.headers()).union(*(edition.headers() for edition in self.editions.values()))


def load_category(document: Document, code_lists: set[str]) -> Category:
    """Parse and check one category against the known code lists."""
    loaded = parse(document, Category)
    if loaded.category != document.path.stem:
        raise document.error(
            f"the category {loaded.category} lies in {document.path.name}",
            remedy="give both the same name",
            at=("category",),
        )
    codes = loaded.field_codes
    known: dict[str, str] = {}
    for index, field in enumerate(loaded.fields):
        at = ("fields", index)
        if codes.index(field.code) != index:
            raise document.error(f"the field {field.code} stands twice", remedy="keep one of them", at=at)
        if field.type in {"enum", "enum_multi"} and field.code_list not in code_lists:
            raise document.error(
                f"{field.code}: no code list {field.code_list}",
                remedy="add it under schemas/code_lists",
                at=(*at, "code_list"),
            )
        if field.exposure == "restricted" and field.type in {"date", "amount"}:
            raise document.error(
                f"{field.code}: a restricted field is text, because only text can be sealed",
                remedy="give it the type text, or the exposure public",
                at=(*at, "exposure"),
            )
        if field.type == "code" and field.code_system is None:
            raise document.error(f"{field.code}: code_system is missing", remedy="name the code system", at=at)
        if field.stated_in is not None and (field.stated_in not in codes or not field.stated_after):
            raise document.error(
                f"{field.code}: stated_in needs a field of the category and words in stated_after",
                remedy="name the text field and the words behind which the amount stands",
                at=(*at, "stated_in"),
            )
        if field.required == "conditional" and not field.condition:
            raise document.error(f"{field.code}: condition is missing", remedy="say when it is required", at=at)
        for header in (field.code, field.name_zh, *field.aliases):
            owner = known.setdefault(normalise_header(header), field.code)
            if owner != field.code:
                raise document.error(
                    f"the header {header} belongs to {owner} and {field.code}",
                    remedy="keep it at one of them",
                    at=at,
                )
    for role, value in loaded.roles.model_dump().items():
        for code in value if isinstance(value, (list, tuple)) else (value,):
            if code is not None and code not in codes:
                raise document.error(
                    f"the role {role} names the unknown field {code}",
                    remedy="name a field",
                    at=("roles", role),
                )
    for index, template in enumerate(loaded.templates):
        for header in template.columns:
            if normalise_header(header) not in known:
                raise document.error(
                    f"the template column {header} belongs to no field",
                    remedy="add it to the aliases of its field",
                    at=("templates", index),
                )
    return loaded
