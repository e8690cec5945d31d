"""YAML files read so that every complaint can name its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.errors import CatalogueError

# libyaml reads hundreds of feeds several times as fast, where the package was built with it.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """Base of everything read from a file: unknown keys are errors, values do not change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Document:
    """The content of one YAML file and the line each part of it starts at."""

    path: Path
    data: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """Line of the innermost known part of ``location``; 1 when nothing of it is known.

        Pydantic puts the chosen model among the parts where a value may be one of several: those are passed over.
        """
        known: Location = ()
        for part in location:
            if (*known, part) in self.lines:
                known = (*known, part)
        return self.lines.get(known, 1)

    def place(self, location: Location) -> tuple[Path, int]:
        """File and line of ``location``."""
        return self.path, self.line(location)

    def error(self, problem: str, *, remedy: str, at: Location = ()) -> CatalogueError:
        """A complaint about one place in this document."""
        file, line = self.place(at)
        return CatalogueError(problem, remedy=remedy, file=file, line=line)


def read(path: Path) -> Document:
    """Read one YAML file; raises :class:`CatalogueError` for a missing file, bad syntax or a repeated key."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CatalogueError(
            "the file is missing", remedy="create it or mend the reference to it", file=path
        ) from error
    except UnicodeDecodeError as error:
        raise CatalogueError("the file is not UTF-8", remedy="save it as UTF-8", file=path) from error
    try:
        loader = _LOADER(text)
        node = loader.get_single_node()
        lines: dict[Location, int] = {}
        if node is not None:
            _collect(node, (), lines, path)
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise CatalogueError(
            f"not valid YAML: {error.problem}", remedy="mend the syntax on that line", file=path, line=line
        ) from error
    except ValueError as error:
        # PyYAML makes dates while it reads; an impossible one is a ValueError without a place.
        line = _impossible_date(node)
        raise CatalogueError(f"not valid YAML: {error}", remedy="mend the date", file=path, line=line) from error
    return Document(path, data, lines)


def parse(document: Document, model: type[Model]) -> Model:
    """Validate a document against a model; the first complaint becomes a :class:`CatalogueError` with its line."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        # A misspelt key is reported twice, as unknown and as missing: the unknown one shows where it stands.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        at = tuple(first["loc"])
        where = ".".join(str(part) for part in at) + ": " if at else ""
        problem = first["msg"].removeprefix("Value error, ")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        if not at:
            # What is wrong between several parts of a file begins with the name of the one to look at.
            at = next((known for word in re.findall(r"\w+", problem)[:3] if (known := (word,)) in document.lines), ())
        raise document.error(
            f"{where}{problem}{more}", remedy=_remedy(first["type"], model, first["loc"]), at=at
        ) from error


def _impossible_date(node: yaml.Node | None) -> int | None:
    """Line of the first date below a node that no calendar has; None when there is none."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:timestamp":
        try:
            yaml.SafeLoader("").construct_yaml_timestamp(node)
        except ValueError:
            return node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        below = [part for pair in node.value for part in pair]
    else:
        below = node.value if isinstance(node, yaml.SequenceNode) else []
    return next((line for part in below if (line := _impossible_date(part)) is not None), None)


def _remedy(kind: str, model: type[BaseModel], location: Location) -> str:
    if kind == "extra_forbidden":
        known = ", ".join(model.model_fields) if len(location) == 1 else "those of its neighbours"
        return f"mend the spelling or remove the key; known keys are {known}"
    if kind == "missing":
        return "add the key"
    if kind == "union_tag_not_found":
        return "say of which kind it is (kind:)"
    return "mend the value"


def _collect(node: yaml.Node, location: Location, lines: dict[Location, int], path: Path) -> None:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise CatalogueError(
                    f"the key {name} stands twice",
                    remedy="keep one of them",
                    file=path,
                    line=key.start_mark.line + 1,
                )
            seen.add(name)
            lines[(*location, name)] = key.start_mark.line + 1
            _collect(value, (*location, name), lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _collect(item, (*location, index), lines, path)
