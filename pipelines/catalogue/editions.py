"""Older editions of the standard: which columns they have and how those fill the fields of today's category.

An edition is data, ``schemas/editions/<category>_<year>.yaml``. Two editions use the same numerals for opposite states
and number the codes of a subject differently, so that a header or a value is only ever read by the edition that its
feed declares.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field as Value
from pydantic import model_validator

from pipelines.catalogue.code_lists import CodeList, Entry
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.mappings import Column
from pipelines.catalogue.yaml_source import Strict


class SourceField(Strict):
    """A column of the edition: its code, its name and what else it is called."""

    code: str
    name_zh: str
    aliases: tuple[str, ...] = ()


class State(Strict):
    """One value of the edition's status column.

    ``valid`` rows are records like any other. A ``revoked`` decision is never collected: its row is excluded with
    ``reason_zh`` and marked as a revocation. What is ``withheld`` waits for the department, accused by ``rule``.
    """

    code: str
    name: str
    synonyms: tuple[str, ...] = ()
    means: Literal["valid", "revoked", "withheld"]
    reason_zh: str | None = None
    rule: str | None = None

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if (self.means == "revoked") != (self.reason_zh is not None):
            raise ValueError("a revoked state has reason_zh, the others have none")
        if (self.means == "withheld") != (self.rule is not None):
            raise ValueError("a withheld state has rule, the others have none")
        return self


class StatusColumn(Strict):
    """The column that says whether a decision stands.

    ``field`` is the field of today's category that it fills, with ``valid`` for a decision that stands; without a
    field the status decides only what becomes of the row. ``empty_rule`` accuses rows without a status where no field
    does.
    """

    column: str
    field: str | None = None
    valid: str | None = None
    empty_rule: str | None = None
    states: tuple[State, ...] = Value(min_length=1)

    @model_validator(mode="after")
    def _fills_a_field(self) -> Self:
        if (self.field is None) != (self.valid is None):
            raise ValueError("field and valid belong together")
        if (self.field is None) != (self.empty_rule is not None):
            raise ValueError("empty_rule is for a status without a field")
        return self

    @property
    def code(self) -> str:
        """What the status is called among the fields of a row."""
        return self.field or self.column

    @property
    def names(self) -> tuple[str, ...]:
        """The words for the states: unlike the numerals they mean the same in every edition."""
        return tuple(state.name for state in self.states)

    def code_list(self) -> CodeList:
        """The states as a list of values, so that every spelling finds its word."""
        entries = tuple(Entry(code=state.code, name=state.name, synonyms=state.synonyms) for state in self.states)
        return CodeList(code_list=self.column, title=self.column, source="edition", entries=entries)


class Assumption(Strict):
    """How an empty field of today's category follows from others; each use is recorded under ``rule``.

    The field takes ``value``, or what the field ``copy_of`` holds, in rows where every field of ``present`` is filled
    and every field of ``absent`` is empty.
    """

    field: str
    rule: str
    copy_of: str | None = None
    value: str | None = None
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.copy_of is None) == (self.value is None):
            raise ValueError("name either copy_of or value")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that it speaks of."""
        return (self.field, *((self.copy_of,) if self.copy_of else ()), *self.present, *self.absent)


class Edition(Strict):
    """An older edition of a category.

    ``columns`` says how its ``fields`` fill those of the category. ``dropped`` are columns that nothing of today takes.
    ``numbered_codes``: which word stands in brackets behind 行政相对人代码_N.
    """

    category: str
    edition: int
    name_zh: str
    source: str
    numbered_codes: dict[str, str] = Value(default_factory=dict)
    fields: tuple[SourceField, ...]
    columns: dict[str, str | Column]
    dropped: tuple[str, ...] = ()
    timestamp: str | None = None
    status: StatusColumn
    assumptions: tuple[Assumption, ...] = ()

    @property
    def field_codes(self) -> tuple[str, ...]:
        return tuple(field.code for field in self.fields)

    def headers(self) -> dict[str, str]:
        """Every header of the edition, normalised → code of its own column."""
        known: dict[str, str] = {}
        for field in self.fields:
            for header in (field.code, field.name_zh, *field.aliases):
                known.setdefault(normalise_header(header), field.code)
        return known

    def column(self, field: str) -> Column | None:
        """How a field of the category is filled, by codes of this edition."""
        found = self.columns.get(field)
        return Column(column=found) if isinstance(found, str) else found
