"""Which column of a sample fills which field of a category, with a score from 0 to 100.

A header that the category knows is certain. Any other score is how alike the header is to the closest name of the
field, confirmed or doubted by what the column's cells look like; only cells that cannot be anything else (codes,
numbers of documents, names of organisations) can make a proposal without a telling header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz import fuzz

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.headers import normalise_header
from pipelines.catalogue.origins import Origins, field_origins
from pipelines.catalogue.sources import FolderSource
from pipelines.normalize.columns import COUNTERS
from pipelines.normalize.treatments import treatment
from pipelines.operations.feed_content import Content

CERTAIN = 100
ALMOST_CERTAIN = 95
PROPOSED_FROM = 60
WORTH_A_COMMENT_FROM = 40

# Words of headers that mean the same; a header is compared after each left one has become the right one.
_SAME_WORDS = (
    (re.compile("被处罚单位|被处罚人|被许可人|行政相对人|当事人|申请人|处罚对象"), "相对人"),
    (re.compile("种类|类型"), "类别"),
    (re.compile("时间$"), "日期"),
    (re.compile("文书编号|文书号|书文号|书号"), "文号"),
    (re.compile("编码"), "代码"),
    (re.compile("号码"), "号"),
    (re.compile("姓名"), "名称"),
    (re.compile("(?:机构|部门)$"), "机关"),
    (re.compile("行政|作出"), ""),
)
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_UNITS = re.compile(r"\((?:万?元|人民币|单位:?万?元)[^()]*\)|(?:金额|数额|总额|额)(?=\(|$)")
# A header that ends in another word is another thing: 处罚机关地址 is no 处罚机关.
_SHARE_OF_THE_LAST_WORD = 0.3
# Cells that contradict a header take this much of its score.
_SHARE_OF_THE_CELLS = 0.4
_CONTAINED_FROM = 3

# How much a column is what its cells look like, when the header says nothing.
_BY_CODE = 70
_BY_NAME = 60
_DECISIVE = 0.6


@dataclass(frozen=True)
class SampleColumn:
    """One column of a sample: its header as it stands there, a few hundred cells and what they look like."""

    header: str
    cells: tuple[str, ...]
    content: Content


@dataclass(frozen=True)
class Match:
    """Columns for a field, several where an older edition joins them.

    ``how``: the header is known, it is similar to a known one, or the cells look like it.
    """

    field: Field
    columns: tuple[SampleColumn, ...]
    score: int
    how: Literal["known header", "similar header", "content"]

    @property
    def column(self) -> SampleColumn:
        return self.columns[0]


@dataclass(frozen=True)
class Matching:
    """How a sample fits one edition of a category.

    ``proposed`` and ``doubtful`` are by field code, no column in two of them; ``unmapped`` are the columns that fill
    no field, ``dropped`` the headers that the edition knows and nothing of today takes; ``score`` (0 to 100) is the
    mean of how much of the sample and how much of the category is matched.
    """

    category: Category
    edition: int
    proposed: dict[str, Match]
    doubtful: dict[str, Match]
    unmapped: tuple[SampleColumn, ...]
    dropped: tuple[str, ...]
    score: int

    @property
    def known(self) -> int:
        """How many fields are filled from known headers."""
        return sum(match.how == "known header" for match in self.proposed.values())


def known_origins(columns: Sequence[SampleColumn], category: Category, edition: int) -> Origins:
    """What the known headers among the columns fill in a feed of this edition that says nothing itself."""
    silent = Feed(
        feed="sample_feed",
        name_zh="",
        category=category.category,
        edition=edition,
        source=FolderSource(path="sample"),
    )
    return field_origins([column.header for column in columns], silent, category)


def code_list_of(field: Field, category: Category, edition: int, code_lists: Mapping[str, CodeList]) -> CodeList:
    """What a field may hold: its code list, or the states of the edition where it is the status of an older one."""
    older = category.editions.get(edition)
    if older is not None and older.status.code == field.code:
        return older.status.code_list()
    return code_lists[field.code_list or ""]


def match_columns(
    columns: Sequence[SampleColumn], category: Category, edition: int, code_lists: Mapping[str, CodeList]
) -> Matching:
    """Match columns with fields: known headers first, then the highest scores, each column and field at most once."""
    origins = known_origins(columns, category, edition)
    by_header = {column.header: column for column in columns}
    known = {code: origin for code, origin in origins.fields.items() if code in category.field_codes}
    proposed = {
        code: Match(category.field(code), tuple(by_header[name] for name in origin.columns), CERTAIN, "known header")
        for code, origin in known.items()
    }
    used = {name for origin in origins.fields.values() for name in origin.columns}
    dropped = (*origins.dropped, *((origins.timestamp,) if origins.timestamp else ()))
    used.update(dropped)
    used.update(column.header for column in columns if normalise_header(column.header) in COUNTERS)
    status = {origin.columns[0] for code, origin in origins.fields.items() if code not in category.field_codes}

    left = [column for column in columns if column.header not in used]
    candidates = [match for column in left for match in _candidates(column, category, edition, code_lists)]
    order = {field.code: place for place, field in enumerate(category.fields)}
    candidates.sort(key=lambda match: (-match.score, order[match.field.code]))
    doubtful: dict[str, Match] = {}
    for match in candidates:
        code, header = match.field.code, match.column.header
        if code in proposed or header in used or match.score < WORTH_A_COMMENT_FROM:
            continue
        if match.score >= PROPOSED_FROM:
            proposed[code] = match
            used.add(header)
        elif code not in doubtful:
            doubtful[code] = match
            used.add(header)
    taken = {column.header for match in proposed.values() for column in match.columns}
    unmapped = tuple(column for column in left if column.header not in taken)
    return Matching(
        category=category,
        edition=edition,
        proposed={field.code: proposed[field.code] for field in category.fields if field.code in proposed},
        doubtful=doubtful,
        unmapped=unmapped,
        dropped=(*dropped, *sorted(status)),
        score=_score(proposed, unmapped, category),
    )


def _score(proposed: Mapping[str, Match], unmapped: Sequence[SampleColumn], category: Category) -> int:
    matched = sum(match.score for match in proposed.values()) / 100
    required = [field.code for field in category.fields if field.required == "always"]
    filled = sum(match.score for code, match in proposed.items() if code in required) / 100
    columns = len(proposed) + len(unmapped)
    return round(50 * matched / max(columns, 1) + 50 * filled / max(len(required), 1))


def _candidates(
    column: SampleColumn, category: Category, edition: int, code_lists: Mapping[str, CodeList]
) -> list[Match]:
    found = []
    for field in category.fields:
        alike = header_likeness(column.header, field)
        fits = content_fit(column, field, category, edition, code_lists)
        score, how = alike if fits is None else alike * (1 - _SHARE_OF_THE_CELLS * (1 - fits)), "similar header"
        lifted = _lift(column.content, field, category) if fits is not None and fits >= _DECISIVE else 0
        if lifted and lifted + 0.25 * alike > score:
            score, how = lifted + 0.25 * alike, "content"
        found.append(Match(field, (column,), min(round(score), ALMOST_CERTAIN), how))  # type: ignore[arg-type]
    return found


def header_likeness(header: str, field: Field) -> float:
    """0 to 95: how alike a header is to the closest name of a field. The last word counts most."""
    amount = field.type == "amount"
    mine = _spellings(header, amount=amount)
    names = (field.name_zh, field.name_en, *field.aliases)
    return max(_likeness(own, known) for own in mine for name in names for known in _spellings(name, amount=amount))


def _likeness(own: str, known: str) -> float:
    if not own or not known:
        return 0.0
    alike = fuzz.ratio(own, known)
    if len(known) >= _CONTAINED_FROM and own.endswith(known):
        alike = max(alike, 70 + 25 * len(known) / len(own))
    if own[-1] != known[-1]:
        alike *= 1 - _SHARE_OF_THE_LAST_WORD
    return min(alike, ALMOST_CERTAIN)


@lru_cache(maxsize=4096)
def _spellings(header: str, *, amount: bool) -> frozenset[str]:
    """The header as a whole, without what stands in brackets, what stands in them, and without a group's header."""
    found: set[str] = set()
    for text in {header, header.rpartition("_")[2]}:
        plain = normalise_header(text)
        if amount:
            plain = _UNITS.sub("", plain)
        inside = (part for part in _IN_BRACKETS.findall(plain) if len(part) > _CONTAINED_FROM)
        found |= {plain, _IN_BRACKETS.sub("", plain), *inside}
    return frozenset(_same_words(text) for text in found) - {""}


def _same_words(text: str) -> str:
    for pattern, word in _SAME_WORDS:
        text = pattern.sub(word, text)
    return text


def content_fit(
    column: SampleColumn, field: Field, category: Category, edition: int, code_lists: Mapping[str, CodeList]
) -> float | None:
    """0 to 1: how much the cells look like values of the field; None when they cannot tell."""
    content, roles = column.content, category.roles
    if content.filled == 0:
        return None
    if field.type == "date":
        return content.share("date")
    if field.type == "amount":
        return content.share("amount")
    if field.type == "document_number":
        return content.share("document_number")
    if field.type in {"enum", "enum_multi"}:
        return _enum_fit(column, field, code_list_of(field, category, edition, code_lists))
    if field.type == "code":
        look = _LOOK_OF_CODES.get(field.code_system or "plain")
        if look is None:
            return None
        # A code of an office stands there again and again, a code of a subject does not.
        office = field.code in {roles.authority_code, roles.source_unit_code}
        fits = content.share(look)
        return fits if look != "uscc" or office == content.repeats or content.filled < 5 else fits / 2
    if field.type == "name":
        if field.code == roles.representative:
            return content.share("person")
        if field.code == roles.subject_name:
            return max(content.share("organisation"), content.share("person")) / (2 if content.repeats else 1)
        return content.share("authority")
    return 0.0 if content.typed else None


_LOOK_OF_CODES = {
    "uscc": "uscc",
    "registration_number": "registration_number",
    "organisation_code": "organisation_code",
    "tax_registration": "tax_registration",
    "identity_document": "resident_id",
}


def _enum_fit(column: SampleColumn, field: Field, code_list: CodeList) -> float:
    known = known_values(column, field, code_list)
    cells = [cell for cell in column.cells if cell.strip()]
    share = sum(known[cell.strip()] for cell in cells) / len(cells)
    few = column.content.repeats and column.content.distinct <= 20 and column.content.longest <= 40
    return max(share, 0.5 if few and not column.content.typed else 0.0)


def known_values(column: SampleColumn, field: Field, code_list: CodeList) -> dict[str, bool]:
    """Each different cell, and whether the code list knows it as it is or by a repair."""
    chain = treatment(field, {field.code_list or "": code_list})
    allowed = set(code_list.values)
    found = {}
    for cell in {cell.strip() for cell in column.cells if cell.strip()}:
        value = chain.standardise(cell).value
        found[cell] = value is None or all(
            part in allowed or part.split("-", 1)[0] in allowed for part in value.split(";")
        )
    return found


def _lift(content: Content, field: Field, category: Category) -> int:
    """The score that cells alone are worth; 0 where they could as well be something else."""
    roles = category.roles
    if field.code == roles.document_number or (field.code == roles.subject_code and not content.repeats):
        return _BY_CODE
    if field.type == "code" and field.code_system in {"registration_number", "organisation_code"}:
        return _BY_CODE
    if field.code == roles.subject_name and not content.repeats and content.share("organisation") >= _DECISIVE:
        return _BY_NAME
    if field.code == roles.authority and content.share("authority") >= _DECISIVE:
        return _BY_NAME
    return 0
