"""The whole catalogue, loaded and checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pipelines.catalogue.authorities import Authorities, load_authorities
from pipelines.catalogue.categories import Category, load_category
from pipelines.catalogue.code_lists import CodeList, load_code_list
from pipelines.catalogue.edition_loading import load_edition
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.feed_loading import load_feed
from pipelines.catalogue.feeds import (
    Department,
    Feed,
    feed_code,
    feed_document,
    feed_documents,
    load_department,
)
from pipelines.catalogue.figure_profiles import FigureProfile, load_profiles
from pipelines.catalogue.notices import Notices, load_notices
from pipelines.catalogue.yaml_source import Document, parse, read
from pipelines.errors import CatalogueError
from pipelines.settings import Settings


@dataclass(frozen=True)
class Catalogue:
    """Everything ``schemas/`` says, cross-checked.

    A feed whose file is wrong is not among ``feeds``; what is wrong stands in ``broken_feeds``: it stops that
    feed only. ``profiles`` are the definitions of figures that ``schemas/figures`` holds. Without ``notices`` nobody
    is warned.
    """

    code_lists: dict[str, CodeList]
    categories: dict[str, Category]
    endpoints: dict[str, Endpoint]
    departments: dict[str, Department]
    feeds: dict[str, Feed]
    broken_feeds: dict[str, CatalogueError]
    profiles: dict[str, FigureProfile] = field(default_factory=dict)
    authorities: Authorities = field(default_factory=Authorities)
    notices: Notices | None = None

    @property
    def feed_codes(self) -> list[str]:
        """Every feed that has a file, sorted."""
        return sorted({*self.feeds, *self.broken_feeds})

    def feed(self, code: str) -> Feed:
        """The feed with this code; a :class:`CatalogueError` when its file is wrong or there is none."""
        if code in self.broken_feeds:
            raise self.broken_feeds[code]
        if code not in self.feeds:
            raise CatalogueError(f"unknown feed {code}", remedy=f"use one of {', '.join(sorted(self.feeds))}")
        return self.feeds[code]

    def profile(self, code: str) -> FigureProfile:
        """The profile of figures with this code; a :class:`CatalogueError` when there is none."""
        if code not in self.profiles:
            known = ", ".join(sorted(self.profiles)) or "none; add one to schemas/figures"
            raise CatalogueError(f"unknown profile {code}", remedy=f"use one of {known}")
        return self.profiles[code]

    def category_of(self, feed: Feed) -> Category:
        return self.categories[feed.category]

    def department_of(self, feed: Feed) -> Department:
        return self.departments[feed.department]


def load_catalogue(settings: Settings) -> Catalogue:
    """Load and check all of ``schemas/``.

    The first thing wrong is a :class:`CatalogueError` with file and line; in a feed's own file it is kept for
    whoever asks for that feed.
    """
    return _load(settings.schemas.resolve())


def _check_renaming(document: Document, endpoint: Endpoint, categories: dict[str, Category]) -> None:
    """An endpoint renames fields that there are, of categories that it takes."""
    for name, renaming in endpoint.fields.items():
        if name not in endpoint.categories:
            raise document.error(
                f"{endpoint.endpoint} does not take the category {name}",
                remedy=f"use one of {', '.join(endpoint.categories)}",
                at=("fields", name),
            )
        for code in renaming:
            if code not in categories[name].field_codes:
                raise document.error(
                    f"{name} has no field {code}",
                    remedy=f"use a field code of schemas/categories/{name}.yaml on the left",
                    at=("fields", name, code),
                )


@lru_cache(maxsize=8)
def _load(schemas: Path) -> Catalogue:
    settings = Settings(root=schemas.parent)
    if not (schemas / "categories").is_dir():
        raise CatalogueError(
            "there are no categories here",
            remedy="set GUIJI_ROOT to the folder that holds schemas/ and expectations/",
            file=schemas,
        )
    code_lists = {}
    for path in sorted((schemas / "code_lists").glob("*.yaml")):
        code_list = load_code_list(read(path))
        code_lists[code_list.code_list] = code_list
    categories = {}
    for path in sorted((schemas / "categories").glob("*.yaml")):
        category = load_category(read(path), set(code_lists))
        categories[category.category] = category
    for path in sorted((schemas / "editions").glob("*.yaml")):
        document = read(path)
        edition = load_edition(document, categories, code_lists)
        category = categories[edition.category]
        editions = {**category.editions, edition.edition: edition}
        categories[edition.category] = category.model_copy(update={"editions": editions})
    endpoints = {}
    for path in sorted((schemas / "endpoints").glob("*.yaml")):
        document = read(path)
        endpoint = parse(document, Endpoint)
        for name in endpoint.categories:
            if name not in categories:
                raise document.error(
                    f"unknown category {name}", remedy="name a category of this catalogue", at=("categories",)
                )
        for name in endpoint.acceptance:
            if not (settings.expectations / "acceptance" / f"{name}.json").is_file():
                raise document.error(
                    f"there is no acceptance profile {name}",
                    remedy="name one of expectations/acceptance, without .json",
                    at=("acceptance",),
                )
        if endpoint.endpoint in endpoints:
            raise document.error(
                f"another file describes the endpoint {endpoint.endpoint} already",
                remedy="give it another name or remove one of the files",
                at=("endpoint",),
            )
        _check_renaming(document, endpoint, categories)
        endpoints[endpoint.endpoint] = endpoint
    departments = {}
    for path in sorted((schemas / "departments").glob("*/department.yaml")):
        department = load_department(read(path))
        departments[department.department] = department
    values = {name: code_list.values for name, code_list in code_lists.items()}
    feeds: dict[str, Feed] = {}
    broken: dict[str, CatalogueError] = {}
    for path in feed_documents(settings):
        try:
            document = feed_document(settings, path)
            if path.parent.name not in departments:
                raise document.error(
                    f"the folder {path.parent.name} has no department.yaml", remedy="describe the department there"
                )
            feed = load_feed(document, categories, set(endpoints), values)
            feeds[feed.feed] = feed
        except CatalogueError as error:
            broken[feed_code(path)] = error
    profiles = load_profiles(schemas / "figures", set(endpoints))
    dictionary = schemas / "authorities.yaml"
    authorities = load_authorities(read(dictionary)) if dictionary.is_file() else Authorities()
    described = schemas / "notices.yaml"
    notices = load_notices(read(described)) if described.is_file() else None
    for department in departments.values():
        if department.notify.mail and (notices is None or notices.mail_server is None):
            raise CatalogueError(
                f"{department.department} is to be told by e-mail, and there is no mail server",
                remedy="describe mail_server in schemas/notices.yaml",
                file=schemas / "departments" / department.department / "department.yaml",
            )
    return Catalogue(code_lists, categories, endpoints, departments, feeds, broken, profiles, authorities, notices)
