"""Who decided how a field is filled: every layer that says something about it, the most specific one first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed, feed_document
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.mappings import Column
from pipelines.catalogue.origins import field_origins, status_codes
from pipelines.catalogue.yaml_layers import LayeredDocument
from pipelines.catalogue.yaml_source import Location, read
from pipelines.errors import CatalogueError
from pipelines.settings import Settings

_SHOWN_HEADERS = 6


@dataclass(frozen=True)
class Decision:
    """What one layer says, and where. ``decides``: nothing more specific overrides it."""

    layer: Literal["extract", "feed", "department", "defaults", "edition", "category"]
    file: Path
    line: int
    what: str
    decides: bool


def explain(
    settings: Settings, feed: str, field: str, extract_name: str | None = None, columns: Sequence[str] = ()
) -> list[Decision]:
    """Every decision about a field of a feed, the most specific layer first.

    ``field`` is the code or a header of a field, or a setting of the feed (``schedule``, ``format.encoding``).
    ``extract_name`` also asks the settings of single extracts; with the ``columns`` of an extract the answer names the
    column that is read. Raises :class:`CatalogueError` for a feed that is unknown or wrong, and for an unknown field.
    """
    catalogue = load_catalogue(settings)
    known = catalogue.feed(feed)
    category = catalogue.category_of(known)
    folder = settings.schemas / "departments" / known.department
    document = feed_document(settings, folder / f"{feed.removeprefix(f'{known.department}_')}.yaml")
    laid = known if extract_name is None else known.for_extract(extract_name)
    code = _field_code(field, laid, category)
    if code is None:
        if field.split(".", maxsplit=1)[0] in Feed.model_fields:
            return _first_decides(_said(known, document, tuple(field.split(".")), extract_name, str))
        raise CatalogueError(
            f"{field} is neither a field of {category.category} nor a setting of feeds",
            remedy=f"name one of {', '.join(category.field_codes)}",
        )
    filled = [
        *_said(known, document, ("columns", code), extract_name, _mapping),
        *_of_edition(settings, laid, category, code),
        *_by_header(settings, laid, category, code, columns),
    ]
    decisions = _first_decides(filled) if not columns else _in_force(filled, laid, category, code, columns)
    decisions += _assumed(settings, laid, category, code)
    spelt: set[str] = set()
    for decision, value in _values(known, document, code, extract_name):
        decisions.append(replace(decision, decides=value not in spelt))
        spelt.add(value)
    return decisions


def _field_code(field: str, feed: Feed, category: Category) -> str | None:
    codes = (*category.field_codes, *status_codes(category.editions.get(feed.edition)))
    return field if field in codes else category.headers().get(normalise_header(field))


def _said(
    feed: Feed, document: LayeredDocument, at: Location, extract_name: str | None, words: Callable[[Any], str]
) -> Iterator[Decision]:
    """What extracts, feed, department and defaults say at one place."""
    for place, own in reversed(list(enumerate(feed.extracts))):
        location = ("extracts", place, *at)
        said = _at(document.data, location)
        if extract_name is not None and own.holds_for(extract_name) and said is not None:
            origin = document.origin(location)
            yield Decision("extract", origin.file, origin.line, f"{words(said)} (extracts {own.match})", False)
    for layer in reversed(document.layers):
        said = _at(layer.data, at)
        if said is not None:
            origin = layer.origin(at)
            yield Decision(layer.name, origin.file, origin.line, words(said), False)


def _values(
    feed: Feed, document: LayeredDocument, code: str, extract_name: str | None
) -> Iterator[tuple[Decision, str]]:
    """What layers say about single values of the field, each with the value."""
    spelt = {value: None for layer in document.layers for value in _at(layer.data, ("values", code)) or {}}
    spelt |= {value: None for own in feed.extracts for value in own.values.get(code, {})}
    for value in spelt:
        means = f"{value} means ".__add__
        for decision in _said(feed, document, ("values", code, value), extract_name, means):
            yield decision, value


def _of_edition(settings: Settings, feed: Feed, category: Category, code: str) -> Iterator[Decision]:
    edition = category.editions.get(feed.edition)
    if edition is None:
        return
    how = Column(column=code) if code == edition.status.column else edition.column(code)
    if how is not None:
        names = {field.code: field.name_zh for field in edition.fields}
        came = " + ".join(f"{source} {names[source]}" for source in how.sources)
        file, line = _edition_place(settings, category, feed, ("columns", code))
        yield Decision("edition", file, line, f"edition {edition.edition}: {came} → {code}", False)


def _assumed(settings: Settings, feed: Feed, category: Category, code: str) -> list[Decision]:
    edition = category.editions.get(feed.edition)
    found = []
    for place, assumption in enumerate(edition.assumptions if edition else ()):
        if assumption.field == code:
            file, line = _edition_place(settings, category, feed, ("assumptions", place))
            came = assumption.copy_of or f'"{assumption.value}"'
            found.append(Decision("edition", file, line, f"where empty assumed: {came} ({assumption.rule})", True))
    return found


def _edition_place(settings: Settings, category: Category, feed: Feed, at: Location) -> tuple[Path, int]:
    document = read(settings.schemas / "editions" / f"{category.category}_{feed.edition}.yaml")
    return document.place(at)


def _by_header(
    settings: Settings, feed: Feed, category: Category, code: str, columns: Sequence[str]
) -> Iterator[Decision]:
    if code not in category.field_codes:
        return
    field = category.field(code)
    document = read(settings.schemas / "categories" / f"{category.category}.yaml")
    file, line = document.place(("fields", category.field_codes.index(code)))
    origin = field_origins(columns, feed, category).fields.get(code)
    if origin is not None and origin.layer == "header":
        what = f"column {origin.columns[0]} by a header that the category knows"
    else:
        headers = list(dict.fromkeys((field.name_zh, *field.aliases)))
        more = f" and {len(headers) - _SHOWN_HEADERS} more" if len(headers) > _SHOWN_HEADERS else ""
        what = f"a column called {', '.join(headers[:_SHOWN_HEADERS])}{more}"
    yield Decision("category", file, line, what, False)


def _first_decides(decisions: Iterable[Decision]) -> list[Decision]:
    return [replace(decision, decides=place == 0) for place, decision in enumerate(decisions)]


def _in_force(
    decisions: list[Decision], feed: Feed, category: Category, code: str, columns: Sequence[str]
) -> list[Decision]:
    """Which decision holds for an extract with these columns: an edition's columns may be missing in it."""
    origin = field_origins(columns, feed, category).fields.get(code)
    if origin is None or origin.layer == "feed":
        return _first_decides(decisions) if origin is not None else decisions
    layer = "edition" if origin.layer == "edition" else "category"
    return [replace(decision, decides=decision.layer == layer) for decision in decisions]


def _mapping(said: Any) -> str:
    return str(Column(column=said) if isinstance(said, str) else Column.model_validate(said))


def _at(data: Any, location: Location) -> Any:
    """What stands at a place of a YAML document; None when there is nothing."""
    for part in location:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part] if part < len(data) else None
        else:
            return None
    return data
