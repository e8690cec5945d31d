"""Every rule of every acceptance profile is broken by one row, and a row that the receivers take breaks none."""

from __future__ import annotations

import pytest

from pipelines.engine.duck import session
from pipelines.quality.acceptance import FOLDER, load_acceptance
from pipelines.quality.compile import judge
from pipelines.settings import Settings

from .rows import BUSINESS_DATE, CATEGORIES, Row, bases, catalogue, standard_table

# Region 11 is one that the expressions of 2016 knew.
TAKEN = {"XDR_SHXYM": "91110000MA0GUEJ12X"}
PERSON = {"XDR_ZJLX": "身份证", "XDR_ZJHM": "110101200203070018"}
BROKEN: dict[str, dict[str, str]] = {
    "ACC-PROV-001": {"XDR_MC": "示" * 101},
    "ACC-PROV-002": {"WSH": "号" * 65},
    "ACC-PROV-003": {"NR": "内" * 2001},
    "ACC-PROV-004": {"SY": "事" * 1001},
    "ACC-PROV-005": {"YJ": "依" * 1025},
    "ACC-PROV-006": {"BZ": "备" * 257},
    "ACC-PROV-011": {"XDR_SHXYM": "11990000000000001X"},
    "ACC-PROV-012": {"XDR_LB": "个体工商户"},
    "ACC-P16-001": {"XDR_SHXYM": "91610000MA0GUEJ12X"},
    "ACC-P16-002": {"XDR_GSZC": "1199000000123"},
    "ACC-P16-003": {"XDR_SWDJ": "1199000000123"},
    "ACC-P16-004": PERSON,
}
PREFIXES = {"administrative_penalty": "CF", "administrative_licence": "XK"}


def refusals(category: str, rows: list[Row]) -> list[list[str]]:
    """The rules of all profiles that each row breaks."""
    profiles = [path.stem for path in sorted((Settings().expectations / FOLDER).glob("*.json"))]
    schema = catalogue().categories[category]
    suite = load_acceptance(Settings(), profiles, schema, catalogue().categories)
    assert suite is not None
    assert {rule.code.rstrip("ab") for rule in suite.rules} <= BROKEN.keys(), "every rule needs a row that breaks it"
    with session() as duck:
        standard_table(duck, schema, rows)
        judge(duck, suite, schema, BUSINESS_DATE)
        return [reasons for (reasons,) in duck.rows("SELECT reasons FROM verdicts ORDER BY row_no")]


def changed(category: str, cells: dict[str, str]) -> Row:
    prefix = PREFIXES[category]
    fields = {name if name == "BZ" else f"{prefix}_{name}": value for name, value in {**TAKEN, **cells}.items()}
    return bases(category)["organisation"] | fields


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_row_is_refused_by_its_rule(category: str) -> None:
    codes = list(BROKEN)
    found = refusals(category, [changed(category, {}), *(changed(category, BROKEN[code]) for code in codes)])
    assert found[0] == []
    only_penalties = {"ACC-PROV-004", "ACC-PROV-005"}
    expected = [code for code in codes if category == "administrative_penalty" or code not in only_penalties]
    refused = {code: {rule.rstrip("ab") for rule in rules} for code, rules in zip(codes, found[1:], strict=True)}
    assert {code: code in refused[code] for code in expected} == dict.fromkeys(expected, True)
