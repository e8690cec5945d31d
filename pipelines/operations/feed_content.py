"""What the cells of a sample's column look like: codes, dates, sums, names, numbers of documents.

Shares are of the filled sample cells, 0 to 1. Values are looked at and forgotten: nothing here keeps one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipelines.identity.organisation_code import organisation_code_verdict
from pipelines.identity.registration_number import registration_number_verdict
from pipelines.identity.resident_id import resident_id_verdict
from pipelines.identity.tax_registration import tax_registration_verdict
from pipelines.identity.uscc import uscc_verdict
from pipelines.normalize.amounts import TIDY_AMOUNT, amount_repairs
from pipelines.normalize.dates import TIDY_DATE, date_repairs, date_without_time
from pipelines.normalize.documents import ascii_upper, half_width
from pipelines.normalize.steps import run_twins
from pipelines.normalize.texts import name_or_null, trimmed

Looks = Callable[[str], float]

# Codes as people and OCR leave them: stars, crosses and a character too many still say which column this is.
_LIKE_USCC = re.compile(r"[0-9A-Z*]{16,20}")
_LIKE_ORGANISATION_CODE = re.compile(r"[0-9A-Z]{8}[0-9X]")
# A year in brackets or a word of the trade stands before the number; 样本路12号 is an address.
_DOCUMENT_NUMBER = re.compile(
    r".{0,40}[〔\[(（【〈﹝{](?:19|20)[0-9]{2}[〕\])）】〉﹞}].{0,30}[0-9]+.{0,6}|.{0,30}[字罚许案刑民初终执].{0,10}[0-9]{1,8}号"
)
_ORGANISATION = re.compile(
    r"(?:公司|厂|店|场|部|社|站|行|院|校|园|馆|所|中心|合作社|事务所|协会|委员会|集团|酒店|工作室|经营户|摊|局|处|队|吧|坊|室)(?:[(（].*[)）])?$"
)
_AUTHORITY = re.compile(r"(?:局|委员会|委|厅|政府|办公室|总队|支队|大队|中队|法院|检察院|管理处|监督所|海关|署|中心)$")
_PERSON = re.compile(r"[\u4e00-\u9fff]{1,4}[·•]?[\u4e00-\u9fff]{0,8}|[\u4e00-\u9fff]\*{1,3}|[\u4e00-\u9fff]?某{1,2}")
_CITATION = re.compile("《.+》")
_LONGEST_PERSON = 4


@dataclass(frozen=True)
class Content:
    """The cells of one column: how many are filled, how many differ, how long they are, what they look like."""

    filled: int
    distinct: int
    longest: int
    shares: dict[str, float]

    def share(self, look: str) -> float:
        return self.shares.get(look, 0.0)

    @property
    def repeats(self) -> bool:
        """Few different values, as a column with a code list or an authority has them."""
        return self.distinct * 2 <= self.filled

    @property
    def typed(self) -> bool:
        """Whether nearly all cells are codes, dates or sums: then the column is no free text."""
        return any(self.share(look) >= 0.8 for look in ("uscc", "date", "amount", "organisation_code", "resident_id"))


def describe(cells: Iterable[str]) -> Content:
    """Look at the cells of one column; tokens for "nothing" count as empty."""
    values = [value for cell in cells if (value := name_or_null(trimmed(cell)))]
    distinct = set(values)
    looks = {value: _looks(value) for value in distinct}
    total = len(values) or 1
    shares = {name: sum(looks[value][place] for value in values) / total for place, name in enumerate(_LOOKS)}
    return Content(len(values), len(distinct), max(map(len, distinct), default=0), shares)


def _uscc(value: str) -> float:
    if uscc_verdict(value) in {"valid", "issued_nonstandard", "placeholder"}:
        return 1.0
    return 0.7 if _LIKE_USCC.fullmatch(value) and resident_id_verdict(value) == "invalid" else 0.0


def _organisation_code(value: str) -> float:
    plain = value.replace("-", "")
    if organisation_code_verdict(plain) == "valid":
        return 1.0
    return 0.5 if _LIKE_ORGANISATION_CODE.fullmatch(plain) else 0.0


def _date(value: str) -> float:
    if value.isdigit() and len(value) != 8:
        return 0.0
    repaired = run_twins(date_repairs(open_end=True), date_without_time(half_width(value))).value
    return float(repaired is not None and re.fullmatch(TIDY_DATE, repaired) is not None)


def _amount(value: str) -> float:
    if value.isdigit() and (len(value) > 11 or (value.startswith("0") and len(value) > 1)):
        return 0.0
    repaired = run_twins(amount_repairs("元"), value).value
    return float(repaired is not None and re.fullmatch(TIDY_AMOUNT, repaired) is not None)


def _plain(value: str) -> str:
    return ascii_upper("".join(half_width(value).split()))


# Each look at one cell; the codes see it half-width, upper case and without blanks.
_LOOKS: dict[str, Looks] = {
    "uscc": lambda value: _uscc(_plain(value)),
    "organisation_code": lambda value: _organisation_code(_plain(value)),
    "registration_number": lambda value: float(registration_number_verdict(_plain(value)) in {"valid", "legacy"}),
    "tax_registration": lambda value: float(tax_registration_verdict(_plain(value)) == "valid"),
    "resident_id": lambda value: float(resident_id_verdict(_plain(value)) in {"valid", "legacy", "masked"}),
    "document_number": lambda value: float(_DOCUMENT_NUMBER.fullmatch("".join(value.split())) is not None),
    "date": _date,
    "amount": _amount,
    "organisation": lambda value: float(_ORGANISATION.search("".join(value.split())) is not None),
    "authority": lambda value: float(_AUTHORITY.search("".join(value.split())) is not None),
    "person": lambda value: float(len(value) <= _LONGEST_PERSON and _PERSON.fullmatch(value) is not None),
    "citation": lambda value: float(_CITATION.search(value) is not None),
}


def _looks(value: str) -> tuple[float, ...]:
    return tuple(look(value) for look in _LOOKS.values())
