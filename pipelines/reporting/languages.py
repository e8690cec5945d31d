"""The two languages of the site, how pages are found in each, and how a template says one thing in both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.reporting.counts import Ratio
from pipelines.reporting.site_files import TEMPLATES
from pipelines.reporting.site_words import WORDS

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
HTML_LANGUAGE = {"zh": "zh-CN", "en": "en"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Place:
    """Where a page stands. Chinese pages lie in the site's folder, English ones under the same names below ``en/``."""

    path: str
    language: Language

    @property
    def file(self) -> str:
        """The page's file below the site's folder."""
        return self.path if self.language == "zh" else f"en/{self.path}"

    def link(self, path: str) -> str:
        """Address of another page in the same language."""
        return "../" * self.path.count("/") + path

    def shared(self, path: str) -> str:
        """Address of a file that has no language: a workbook, the style."""
        return "../" * self.file.count("/") + path

    @property
    def other(self) -> str:
        """Address of the same page in the other language."""
        return self.shared(f"en/{self.path}" if self.language == "zh" else self.path)


def say(language: Language) -> Callable[..., str]:
    """``t(chinese, english, **values)``: one of both texts with its values filled in."""

    def chinese(zh: str, _en: str, **values: object) -> str:
        return zh.format(**values) if values else zh

    def english(_zh: str, en: str, **values: object) -> str:
        return en.format(**values) if values else en

    return chinese if language == "zh" else english


def long_date(language: Language, day: date) -> str:
    """``2026年3月5日``, ``5 Mar 2026``."""
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def long_month(language: Language, month: str) -> str:
    """``2026-03`` → ``2026年3月``, ``Mar 2026``."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year}年{number}月" if language == "zh" else f"{_MONTHS[number - 1]} {year}"


def render(template: str, place: Place, context: Mapping[str, Any]) -> str:
    """One page as HTML. The template has ``t``, ``place`` and the filters ``thousands``, ``day``, ``month``."""
    return _environment(place.language).get_template(template).render(place=place, **context)


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.globals |= {
        "t": say(language),
        "lang": language,
        "html_lang": HTML_LANGUAGE[language],
        "Ratio": Ratio,
        "words": WORDS,
    }
    environment.filters["thousands"] = lambda number: f"{number:,}"
    environment.filters["day"] = lambda day: long_date(language, day)
    environment.filters["month"] = lambda month: long_month(language, month)
    return environment
