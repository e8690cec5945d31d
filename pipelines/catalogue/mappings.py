"""How one field is filled from an extract: data, never code."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field as Value
from pydantic import model_validator

from pipelines.catalogue.yaml_source import Strict


class Split(Strict):
    """One part of a cell: cut at ``by``, take part number ``part`` (from 1; -1 is the last)."""

    by: str = Value(min_length=1)
    part: int

    @model_validator(mode="after")
    def _counts_from_one(self) -> Self:
        if self.part == 0:
            raise ValueError("parts count from 1, or from -1 backwards")
        return self


class Column(Strict):
    """How one field is filled: from a source column, from a part of one, from several joined, or with a constant.

    A constant beside a column fills empty cells. ``separator`` stands between joined values; empty ones are left
    out. ``unit`` is the unit of an amount without one (the standard is 万元).
    """

    column: str | None = None
    join: tuple[str, ...] = ()
    separator: str = ";"
    split: Split | None = None
    constant: str | None = None
    unit: Literal["元", "万元"] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.column is not None and self.join:
            raise ValueError("name either column or join")
        if len(self.join) == 1:
            raise ValueError("join needs two columns or more")
        if self.split is not None and self.column is None:
            raise ValueError("split needs a column")
        if self.column is None and not self.join and self.constant is None:
            raise ValueError("needs a column, columns to join or a constant")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The source columns that are read."""
        return self.join or ((self.column,) if self.column is not None else ())

    def __str__(self) -> str:
        """The mapping in words, for people who ask where a value comes from."""
        if self.join:
            said = f"columns {', '.join(self.join)} joined with {self.separator!r}"
        elif self.split is not None:
            said = f"part {self.split.part} of column {self.column} cut at {self.split.by!r}"
        else:
            said = f"column {self.column}" if self.column is not None else ""
        if self.constant is not None:
            said = f'{said}, "{self.constant}" where it is empty' if said else f'constant "{self.constant}"'
        return said if self.unit is None else f"{said}, in {self.unit}"
