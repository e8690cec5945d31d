"""Profiles: whose definitions of the figures, as sums and quotients of counts that are stored with every batch."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Tag, model_validator
from pydantic import Field as Value

from pipelines.catalogue.yaml_source import Document, Strict, parse, read

SHARED_FILE = "shared.yaml"
DEFAULT_PROFILE = "national"
Basis = Literal["first_received", "published", "accepted_by_upper"]
Level = Literal["good", "fair", "bad"]

# What can be counted; None stands for any item. Measures first, then what the ledger counts afterwards.
COUNTED: dict[str, frozenset[str] | None] = {
    "rows": frozenset({"received", "decoded", "undecoded", "judged", "new", "changed", "unchanged", "outdated", "late"})
    | {"accepted", "duplicate", "quarantined", "blocked", "excluded"},
    "filled": None,
    "value": None,
    "dimension": None,
    "content": frozenset({"inaccurate"}),
    "cells": frozenset({"required", "provided"}),
    "codes": frozenset(
        {"subjects", "valid", "wrong", "linked", "different", "several_names", "names", "several_codes"}
    ),
    "timing": frozenset({"all", "on_time", "late", "open"}),
    "delivery": frozenset({"owed", "confirmed", "rejected", "withheld", "waiting"}),
    "closing": frozenset({"rows", "days"}),
}


@dataclass(frozen=True)
class Term:
    """One count of a sum: ``rows/received``, or ``-rows/excluded`` to take it off."""

    sign: Literal[1, -1]
    name: str
    item: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what nobody counts."""
        name, slash, item = text.removeprefix("-").partition("/")
        known = COUNTED.get(name)
        if not slash or name not in COUNTED or (known is not None and item not in known):
            raise ValueError(
                f"{text} is not counted; counted are {', '.join(COUNTED)}, each with an item after a slash"
            )
        return cls(-1 if text.startswith("-") else 1, name, item)


class Clock(Strict):
    """What makes a record late.

    ``basis``: the day that is compared with the deadline. ``first_received``: the business date of the batch;
    ``published``: the day in China on which the run was published; ``accepted_by_upper``: the moment at which the
    receiver accepted it, counted per record and receiver (of ``endpoint`` only, where one is named). ``working_days``:
    the limit, the decision's own day not counted. With ``include_updates`` changed records are timed too.
    """

    basis: Basis
    working_days: int = Value(default=7, ge=1, le=40)
    include_updates: bool = False
    endpoint: str | None = None


class FigureDefinition(Strict):
    """One figure: the sum ``numerator`` divided by the sum ``denominator``, or a plain count without one.

    ``target``: at least as good is good; ``alarm``: worse is bad. Both are in per cent for a percentage, and otherwise
    in the figure's unit.
    """

    figure: str = Value(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    name_zh: str
    name_en: str
    unit: Literal["percent", "rows", "codes", "days"]
    better: Literal["higher", "lower", "neither"] = "neither"
    numerator: tuple[str, ...] = Value(min_length=1)
    denominator: tuple[str, ...] = ()
    definition_zh: str
    definition_en: str
    source: str
    target: Decimal | None = None
    alarm: Decimal | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for text in (*self.numerator, *self.denominator):
            Term.parse(text)
        if bool(self.denominator) != (self.unit in {"percent", "days"}):
            raise ValueError(
                f"{self.figure}: a figure in {self.unit} has {'no' if self.denominator else 'a'} denominator"
            )
        if self.better == "neither" and (self.target is not None or self.alarm is not None):
            raise ValueError(f"{self.figure}: target and alarm need a direction (better: higher or lower)")
        return self

    @property
    def is_share(self) -> bool:
        """Whether the figure is a percentage."""
        return self.unit == "percent"

    def terms(self, part: Literal["numerator", "denominator"]) -> tuple[Term, ...]:
        texts = self.numerator if part == "numerator" else self.denominator
        return tuple(Term.parse(text) for text in texts)

    @property
    def counts(self) -> frozenset[str]:
        """Names of what the figure is made of."""
        return frozenset(Term.parse(text).name for text in (*self.numerator, *self.denominator))

    def level(self, numerator: int, denominator: int | None) -> Level | None:
        """How good a value is, compared exactly; None where nothing says so."""
        if self.better == "neither" or denominator == 0 or (self.target is None and self.alarm is None):
            return None
        value = Fraction(numerator, denominator or 1) * (100 if self.is_share else 1)
        sign = 1 if self.better == "higher" else -1
        if self.alarm is not None and sign * value < sign * Fraction(self.alarm):
            return "bad"
        return "good" if self.target is not None and sign * value >= sign * Fraction(self.target) else "fair"


class _Profile(Strict):
    profile: str = Value(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    name_zh: str
    name_en: str
    source: str
    verified: bool
    notes_zh: str
    notes_en: str
    clock: Clock


class FigureProfile(_Profile):
    """The figures by the definitions of one authority, in the order in which they are shown.

    ``verified`` says whether the wording was seen in a source.
    """

    figures: tuple[FigureDefinition, ...]

    def figure(self, code: str) -> FigureDefinition:
        """The definition with this code; ``KeyError`` when the profile has none."""
        for definition in self.figures:
            if definition.figure == code:
                return definition
        raise KeyError(code)


def _kind_of(entry: object) -> str:
    return "code" if isinstance(entry, str) else "definition"


class _ProfileFile(_Profile):
    """A profile as written: a code stands for the definition of ``shared.yaml``."""

    figures: tuple[
        Annotated[
            Annotated[str, Tag("code")] | Annotated[FigureDefinition, Tag("definition")], Discriminator(_kind_of)
        ],
        ...,
    ] = Value(min_length=1)


class _Shared(Strict):
    figures: tuple[FigureDefinition, ...]


def load_profiles(folder: Path, endpoints: set[str]) -> dict[str, FigureProfile]:
    """The profiles of a folder by code, completed by the definitions they share; none where the folder is missing."""
    if not folder.is_dir():
        return {}
    shared = {one.figure: one for one in parse(read(folder / SHARED_FILE), _Shared).figures}
    documents = (read(path) for path in sorted(folder.glob("*.yaml")) if path.name != SHARED_FILE)
    profiles = (_load_profile(document, shared, endpoints) for document in documents)
    return {profile.profile: profile for profile in profiles}


def _load_profile(document: Document, shared: dict[str, FigureDefinition], endpoints: set[str]) -> FigureProfile:
    written = parse(document, _ProfileFile)
    if written.profile != document.path.stem:
        raise document.error(
            f"the profile {written.profile} lies in {document.path.name}",
            remedy="give both the same name",
            at=("profile",),
        )
    if written.clock.endpoint is not None and written.clock.endpoint not in endpoints:
        raise document.error(
            f"there is no endpoint {written.clock.endpoint}",
            remedy=f"name one of {', '.join(sorted(endpoints))}",
            at=("clock", "endpoint"),
        )
    figures: dict[str, FigureDefinition] = {}
    for place, entry in enumerate(written.figures):
        at = ("figures", place)
        if isinstance(entry, str) and entry not in shared:
            raise document.error(f"there is no shared figure {entry}", remedy=f"use one of {', '.join(shared)}", at=at)
        definition = shared[entry] if isinstance(entry, str) else entry
        if definition.figure in figures:
            raise document.error(f"the figure {definition.figure} stands twice", remedy="keep one of them", at=at)
        figures[definition.figure] = definition
    return FigureProfile(**{**written.model_dump(), "figures": tuple(figures.values())})
