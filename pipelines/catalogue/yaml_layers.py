"""YAML documents laid over each other, so that of every key it is still known which file and line decided it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipelines.catalogue.yaml_source import Document, Location

LayerName = Literal["defaults", "department", "feed"]


@dataclass(frozen=True)
class Origin:
    """Which layer said something, in which file and line."""

    layer: LayerName
    file: Path
    line: int


@dataclass(frozen=True)
class Layer:
    """One document, or the part of it below the key ``section``."""

    name: LayerName
    document: Document
    section: str | None = None

    @property
    def data(self) -> Any:
        """What the layer says; an empty mapping when it says nothing."""
        data = self.document.data
        if self.section is not None:
            data = (data or {}).get(self.section)
        return {} if data is None else data

    def origin(self, location: Location) -> Origin:
        """Where this layer says what stands at ``location`` of the merged document."""
        at = location if self.section is None else (self.section, *location)
        return Origin(self.name, self.document.path, self.document.line(at))


@dataclass(frozen=True)
class LayeredDocument(Document):
    """Several layers as one document; ``path`` is the file of the most specific one."""

    layers: tuple[Layer, ...] = ()
    origins: dict[Location, Origin] = field(default_factory=dict)

    def origin(self, location: Location) -> Origin:
        """Who decided what stands at ``location``: the innermost part of it that is known counts."""
        known: Location = ()
        for part in location:
            if (*known, part) in self.origins:
                known = (*known, part)
        return self.origins.get(known) or Origin("feed", self.path, 1)

    def place(self, location: Location) -> tuple[Path, int]:
        """File and line of the layer that decided."""
        origin = self.origin(location)
        return origin.file, origin.line


def lay(layers: Sequence[Layer]) -> LayeredDocument:
    """Merge layers, the most specific one last.

    Mappings are merged key by key; everything else is replaced as a whole. So are the filling of a field
    (``columns``, where a constant and a column exclude each other) and a ``source`` of another kind.
    """
    merged: dict[str, Any] = {}
    origins: dict[Location, Origin] = {}
    for layer in layers:
        if isinstance(layer.data, dict):
            _put(merged, layer.data, (), layer, origins)
        else:
            # A document that is no mapping is nobody's default: let the model complain about it.
            return LayeredDocument(layer.document.path, layer.data, {}, tuple(layers), {(): layer.origin(())})
    last = layers[-1]
    origins[()] = last.origin(())
    return LayeredDocument(last.document.path, merged, last.document.lines, tuple(layers), origins)


def _put(
    target: dict[str, Any], added: dict[str, Any], location: Location, layer: Layer, origins: dict[Location, Origin]
) -> None:
    for key, value in added.items():
        here = (*location, key)
        below = target.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and not _replaces(here, below, value):
            _put(below, value, here, layer, origins)
            continue
        target[key] = deepcopy(value)
        for known in [known for known in origins if known[: len(here)] == here]:
            del origins[known]
        _remember(value, here, layer, origins)


def _remember(value: Any, location: Location, layer: Layer, origins: dict[Location, Origin]) -> None:
    origins[location] = layer.origin(location)
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        _remember(part, (*location, key), layer, origins)


def _replaces(location: Location, below: dict[str, Any], above: dict[str, Any]) -> bool:
    if location == ("source",):
        return below.get("kind") != above.get("kind") and None not in (below.get("kind"), above.get("kind"))
    return len(location) == 2 and location[0] == "columns"
