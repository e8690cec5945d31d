"""All defects by name."""

from __future__ import annotations

from data_samples.generator import lost, repairable
from data_samples.generator.defects import Defect

KNOWN: dict[str, Defect] = {defect.name: defect for defect in (*repairable.DEFECTS, *lost.DEFECTS)}
