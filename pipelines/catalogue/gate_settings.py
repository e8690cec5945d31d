"""What a feed says about its gates: how unlike the last good batches a batch may be before it waits for a steward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field as Value

from pipelines.catalogue.yaml_source import Strict

CompareWith = Literal["same_kind_of_day", "same_weekday", "all_days"]


@dataclass(frozen=True)
class Tolerance:
    """The settings that hold for one gate of a feed; see :class:`Gates` for what each says."""

    share: float
    floor: int
    min_batches: int
    batches: int
    compare_with: CompareWith
    off: bool


class GateSettings(Strict):
    """What holds for one gate only; what it does not say is taken from the feed's ``gates``."""

    share: float | None = Value(default=None, ge=0, le=10)
    floor: int | None = Value(default=None, ge=0)
    min_batches: int | None = Value(default=None, ge=1)
    batches: int | None = Value(default=None, ge=1)
    compare_with: CompareWith | None = None
    off: bool | None = None


class Gates(Strict):
    """When a batch is so unlike the good ones before it that a steward has to look.

    ``share``: how far a figure may lie from the usual one: a share of it for counts of rows (0.10: ±10 %), points for
    shares (0.10: ±10 percentage points). ``floor``: never held for so few rows. ``batches``: how many good batches say
    what is usual, ``min_batches`` how many it takes. ``compare_with``: batches of working days with those of working
    days and of days off with those of days off; of the same weekday; or of all days. Each gate may say otherwise
    under its own name.
    """

    share: float = Value(default=0.10, ge=0, le=10)
    floor: int = Value(default=5, ge=0)
    min_batches: int = Value(default=5, ge=1)
    batches: int = Value(default=10, ge=1)
    compare_with: CompareWith = "same_kind_of_day"
    off: bool = False
    no_rows: GateSettings = GateSettings()
    row_count: GateSettings = GateSettings()
    fill_rate: GateSettings = GateSettings()
    outcome_share: GateSettings = GateSettings()
    duplicate_share: GateSettings = GateSettings()
    value_share: GateSettings = GateSettings()
    value_distribution: GateSettings = GateSettings()
    rekeyed_share: GateSettings = GateSettings()

    def of(self, gate: str) -> Tolerance:
        """The settings of one gate; ``AttributeError`` for a gate that does not exist."""
        own: GateSettings = getattr(self, gate)
        said = {name: value for name, value in own.model_dump().items() if value is not None}
        shared = {name: getattr(self, name) for name in GateSettings.model_fields}
        return Tolerance(**{**shared, **said})


GATE_NAMES = frozenset(name for name in Gates.model_fields if name not in GateSettings.model_fields)
