"""Why a field of a feed is filled as it is, and which feeds there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz import process

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.layers import Decision, explain
from pipelines.catalogue.origins import named_columns, status_codes
from pipelines.errors import CatalogueError
from pipelines.intake.peeking import peek
from pipelines.settings import Settings

_MOST_NEAR_NAMES = 5


def explain_field(settings: Settings, feed_code: str, field: str, extract: Path | None = None) -> list[Decision]:
    """Every layer that speaks of a field or a setting of a feed, the most specific first.

    ``field`` is a code, a header or a setting such as ``schedule``; ``extract`` a file, or only the name of one: if it
    is there, the answer names the column that is read. Raises :class:`CatalogueError` for an unknown feed and, with
    the nearest names, for an unknown field.
    """
    catalogue = load_catalogue(settings)
    feed = catalogue.feed(feed_code)
    category = catalogue.category_of(feed)
    names = dict(_names(category, feed))
    is_setting = field.partition(".")[0] in Feed.model_fields
    if not is_setting and field not in names.values() and normalise_header(field) not in category.headers():
        near = [f"{name} ({names[name]})" for name, *_ in process.extract(field, list(names), limit=_MOST_NEAR_NAMES)]
        raise CatalogueError(
            f"{field} is neither a field of {category.category} nor a setting of feeds",
            remedy=f"did you mean {', '.join(near)}?",
        )
    if extract is None:
        return explain(settings, feed_code, field)
    return explain(settings, feed_code, field, extract.name, _columns_of(extract, feed, category))


def _columns_of(extract: Path, feed: Feed, category: Category) -> tuple[str, ...]:
    """The headers of all tables in a file; none when only its name is known."""
    if not extract.exists():
        return ()
    known = category.all_headers() | {normalise_header(column) for column in named_columns(feed)}
    return tuple(dict.fromkeys(column for table in peek(extract, known).tables for column in table.columns))


def _names(category: Category, feed: Feed) -> Iterator[tuple[str, str]]:
    """Everything that a field may be called, with its code."""
    for code in status_codes(category.editions.get(feed.edition)):
        yield code, code
    for field in category.fields:
        for name in (*field.aliases, field.name_en, field.name_zh, field.code):
            yield name, field.code


@dataclass(frozen=True)
class FeedLine:
    """One feed in the list; ``problem`` says what is wrong with its file, then nothing else is known."""

    feed: str
    department: str = ""
    name_zh: str = ""
    category: str = ""
    edition: int | None = None
    source: str = ""
    schedule: str = ""
    dump: str = ""
    problem: str | None = None


def list_feeds(catalogue: Catalogue) -> list[FeedLine]:
    """All feeds, also those whose file is wrong, by code."""
    lines = []
    for code in catalogue.feed_codes:
        if code in catalogue.broken_feeds:
            lines.append(FeedLine(code, problem=str(catalogue.broken_feeds[code])))
            continue
        feed = catalogue.feeds[code]
        lines.append(
            FeedLine(
                feed=code,
                department=catalogue.department_of(feed).name_zh,
                name_zh=feed.name_zh,
                category=feed.category,
                edition=feed.edition,
                source=feed.source.kind,
                schedule=feed.schedule,
                dump=feed.dump,
            )
        )
    return lines
