"""A feed read from its layers and checked against everything it names."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed, feed_code
from pipelines.catalogue.yaml_layers import LayeredDocument
from pipelines.catalogue.yaml_source import Document, Location, parse


def load_feed(
    document: Document,
    categories: dict[str, Category],
    endpoints: set[str],
    values: dict[str, tuple[str, ...]],
) -> Feed:
    """Parse one feed and check it against categories, endpoints and the standard values of each code list."""
    loaded = parse(document, Feed)
    expected = feed_code(document.path)
    if loaded.feed != expected:
        raise document.error(
            f"the feed is called {loaded.feed}, its file says {expected}",
            remedy="give both the same name",
            at=("feed",),
        )
    category = categories.get(loaded.category)
    if category is None:
        raise document.error(
            f"unknown category {loaded.category}",
            remedy=f"use one of {', '.join(sorted(categories))}",
            at=("category",),
        )
    loaded = _without_fields_of_others(loaded, document, category, categories)
    for name in loaded.endpoints:
        if name not in endpoints:
            raise document.error(f"unknown endpoint {name}", remedy="add it under schemas/endpoints", at=("endpoints",))
    if loaded.conflict == "latest_timestamp" and loaded.source_timestamp is None:
        raise document.error(
            "conflict: latest_timestamp needs source_timestamp",
            remedy="name the column that holds the time of the row",
            at=("conflict",),
        )
    _check_mapping(loaded, document, category, values)
    for place, own in enumerate(loaded.extracts):
        at = ("extracts", place)
        try:
            laid = loaded.laid(own)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise document.error(
                f"format: {where}: {first['msg']}", remedy="mend the key or its value", at=(*at, "format")
            ) from error
        _check_mapping(laid, document, category, values, at)
    return loaded.model_copy(update={"department": document.path.parent.name})


def _check_mapping(
    feed: Feed, document: Document, category: Category, values: dict[str, tuple[str, ...]], at: Location = ()
) -> None:
    """Whether edition, columns and values of a feed fit its category; ``at`` is the layer of single extracts."""
    edition = category.editions.get(feed.edition)
    if edition is None and feed.edition != category.edition:
        known = ", ".join(str(year) for year in sorted({category.edition, *category.editions}))
        raise document.error(
            f"edition {feed.edition} of {feed.category} is not known",
            remedy=f"use one of {known}, or add the edition under schemas/editions",
            at=(*at, "edition"),
        )
    status = None if edition is None else edition.status
    known_codes = {*category.field_codes, *((status.code,) if status else ())}
    for section, codes in (("columns", feed.columns), ("values", feed.values)):
        for code in codes:
            if code not in known_codes:
                raise document.error(
                    f"{section}: {code} is no field of {feed.category}",
                    remedy="mend the spelling; the fields are listed in the category's file",
                    at=(*at, section, code),
                )
    if status is not None:
        if feed.undeclared_status != "hold" and not at:
            raise document.error(
                f"edition {feed.edition} always holds a batch with an undeclared status",
                remedy="take undeclared_status away, or say under values what the status means",
                at=("undeclared_status",),
            )
        how = feed.column(status.code)
        if how is not None and how.constant is not None:
            _check_state(how.constant, status.names, document, (*at, "columns", status.code), feed.edition)
        for source_value, word in feed.values.get(status.code, {}).items():
            _check_state(word, status.names, document, (*at, "values", status.code, source_value), feed.edition)
        for word in (word for rows in feed.exclude if rows.column == status.code for word in rows.values):
            _check_state(word, status.names, document, ("exclude",), feed.edition)
    for code, mapping in feed.values.items():
        if status is not None and code == status.code:
            continue
        allowed = values.get(category.field(code).code_list or "")
        for source_value, standard in mapping.items():
            if allowed is not None and standard.split("-", 1)[0] not in allowed:
                raise document.error(
                    f"values: {standard} is not in the code list of {code}",
                    remedy=f"use one of {', '.join(allowed)}",
                    at=(*at, "values", code, source_value),
                )


def _check_state(word: str, names: tuple[str, ...], document: Document, at: Location, edition: int) -> None:
    """A status of an older edition is given in words: its numerals mean the opposite in the next edition."""
    if word not in names:
        raise document.error(
            f"{word} is no status of edition {edition}",
            remedy=f"say what it means in words ({', '.join(names)}): numerals mean other things in other editions",
            at=at,
        )


def _without_fields_of_others(
    feed: Feed, document: Document, category: Category, categories: dict[str, Category]
) -> Feed:
    """The feed without what its department or the defaults say about fields of other categories."""
    if not isinstance(document, LayeredDocument):
        return feed
    others = {code for other in categories.values() for code in _codes(other, set(other.editions))}
    others -= _codes(category, {feed.edition, *(extracts.edition or feed.edition for extracts in feed.extracts)})

    def own(section: str, codes: dict[str, Any]) -> dict[str, Any]:
        return {
            code: said
            for code, said in codes.items()
            if code not in others or document.origin((section, code)).layer == "feed"
        }

    return feed.model_copy(update={"columns": own("columns", feed.columns), "values": own("values", feed.values)})


def _codes(category: Category, editions: set[int]) -> set[str]:
    """Fields of a category, and what the status is called in some of its editions."""
    return {
        *category.field_codes,
        *(edition.status.code for year, edition in category.editions.items() if year in editions),
    }
