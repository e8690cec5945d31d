"""A date, or the year of a document number, that one change brings into order with all the others of its row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier, literal
from pipelines.quality.checks import check_of
from pipelines.quality.compile import parameters
from pipelines.quality.facts import FACTS
from pipelines.quality.rules import Rule, Suite

_ORDERED = "expect_column_dates_to_follow"
_SINGLE = {
    "expect_column_dates_to_be_readable",
    "expect_column_dates_to_be_not_after",
    "expect_column_dates_to_be_not_before",
}
_STANDARD = "%Y/%m/%d"
# A decision this old at most was reported in time, so its own date is hardly the one that is wrong.
_PROMPT_DAYS = 31


@dataclass(frozen=True)
class _Change:
    """One way to mend a row: what the columns become, for which rows, and the fields with their new texts."""

    kind: str
    columns: dict[str, str]
    condition: str
    texts: dict[str, str]
    evidence_zh: str
    evidence_en: str


def suggest_dates(session: Session, category: Category, suite: Suite, business_date: date) -> None:
    """Add changes of dates after which no rule about dates is broken, where exactly one such change exists.

    Tried are: two dates that a rule orders exchanged; day and month of one date exchanged; a year with one slip, if
    the year of the document number or of the batch is meant; and the year of the document number with one slip
    against that of the decision.
    """
    rules = [rule for rule in suite.rules if rule.family == "date"]
    triggers = [rule for rule in rules if rule.type == _ORDERED or rule.type in _SINGLE or "_year" in str(rule.kwargs)]
    changes = list(_changes(category, rules, business_date))
    if not triggers or not changes:
        return
    codes = ", ".join(literal(rule.code) for rule in triggers)
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE dated AS SELECT * FROM {FACTS} SEMI JOIN ("
        f"SELECT row_no FROM suspicious WHERE list_has_any(reasons, [{codes}])) USING (row_no)"
    )
    if session.count("dated"):
        broken = " OR ".join(f"coalesce({check_of(rule, parameters(business_date)).broken}, FALSE)" for rule in rules)
        tried = " UNION ALL ".join(_tried(place, change, broken) for place, change in enumerate(changes))
        session.execute(f"CREATE OR REPLACE TEMP TABLE mended AS {tried}")
        session.execute(
            "INSERT INTO suggestions SELECT row_no, change.field, change.suggested, kind, evidence_zh, evidence_en "
            "FROM (SELECT row_no, unnest(any_value(changed)) AS change, any_value(kind) AS kind, "
            "any_value(evidence_zh) AS evidence_zh, any_value(evidence_en) AS evidence_en "
            "FROM mended GROUP BY row_no HAVING count(DISTINCT changed) = 1)"
        )
        session.execute("DROP TABLE mended")
    session.execute("DROP TABLE dated")


def _tried(place: int, change: _Change, broken: str) -> str:
    replaced = ", ".join(f"{expression} AS {identifier(column)}" for column, expression in change.columns.items())
    changed = ", ".join(
        f"{{'field': {literal(field)}, 'suggested': {expression}}}" for field, expression in change.texts.items()
    )
    return (
        f"SELECT row_no, [{changed}] AS changed, {literal(change.kind)} AS kind, "
        f"{literal(change.evidence_zh)} AS evidence_zh, {literal(change.evidence_en)} AS evidence_en "
        f"FROM (SELECT * REPLACE ({replaced}) FROM dated WHERE {change.condition}) WHERE NOT ({broken})"
    )


def _changes(category: Category, rules: list[Rule], business_date: date) -> Iterator[_Change]:
    dates = [field for field in category.fields if field.type == "date" and field.exposure == "public"]
    names = {field.code: field.name_zh for field in dates}
    pairs = dict.fromkeys(
        (rule.kwargs["earlier"], rule.kwargs["column"])
        for rule in rules
        if rule.type == _ORDERED and {rule.kwargs["earlier"], rule.kwargs["column"]} <= names.keys()
    )
    for first, second in pairs:
        yield _exchange(first, second, names)
    for field in dates:
        yield _day_and_month(field.code)
    document = category.roles.document_number
    years = [(str(business_date.year), "批次年份", "the year of the batch")]
    if category.field(document).type == "document_number":
        years.append((f"CAST({identifier(document + '_year')} AS VARCHAR)", "文号年份", "the year of its number"))
        yield _document_year(category, document, business_date)
    for field in dates:
        prompt = _prompt(category.roles.decision_date, business_date)
        is_decision = field.code == category.roles.decision_date
        for year, zh, en in years:
            yield _year(field.code, year, f"NOT coalesce({prompt}, FALSE)" if is_decision else "TRUE", zh, en)


def _exchange(first: str, second: str, names: dict[str, str]) -> _Change:
    columns: dict[str, str] = {}
    for one, other in ((first, second), (second, first)):
        columns |= {one: identifier(other), f"{one}_date": identifier(f"{other}_date")}
    return _Change(
        kind="date_swapped",
        columns=columns,
        condition=f"{identifier(second + '_date')} < {identifier(first + '_date')}",
        # The columns have changed places already where these texts are read.
        texts={first: identifier(first), second: identifier(second)},
        evidence_zh=f"“{names[first]}”与“{names[second]}”对调后，各项日期规则全部符合",
        evidence_en=f"with {first} and {second} exchanged every rule about dates is kept",
    )


def _day_and_month(code: str) -> _Change:
    column = identifier(code)
    meant = f"CAST(try_strptime({column}, ['%Y/%d/%m', '%Y-%d-%m', '%Y.%d.%m']) AS DATE)"
    return _Change(
        kind="date_day_month",
        columns={code: f"strftime({meant}, '{_STANDARD}')", f"{code}_date": meant},
        condition=f"{meant} IS NOT NULL AND {meant} IS DISTINCT FROM {identifier(code + '_date')}",
        texts={code: column},
        evidence_zh="月与日对调后，各项日期规则全部符合",
        evidence_en="with day and month exchanged every rule about dates is kept",
    )


def _year(code: str, year: str, condition: str, source_zh: str, source_en: str) -> _Change:
    column, given = identifier(code), identifier(f"{code}_date")
    text = year if "CAST" in year else literal(year)
    meant = f"CAST(try_strptime({text} || strftime({given}, '/%m/%d'), '{_STANDARD}') AS DATE)"
    return _Change(
        kind="date_year",
        columns={code: f"strftime({meant}, '{_STANDARD}')", f"{code}_date": meant},
        condition=f"{meant} IS NOT NULL AND damerau_levenshtein({text}, left({column}, 4)) = 1 AND {condition}",
        texts={code: column},
        evidence_zh=f"年份与{source_zh}只差一处笔误，改正后各项日期规则全部符合",
        evidence_en=f"the year is one slip away from {source_en}; with it every rule about dates is kept",
    )


def _document_year(category: Category, document: str, business_date: date) -> _Change:
    column, given = identifier(document), identifier(f"{document}_year")
    decided = f"year({identifier(category.roles.decision_date + '_date')})"
    bracket = f"strpos({column}, '〔' || {given})"
    written = f"substring({column}, 1, {bracket}) || {decided} || substring({column}, {bracket} + 5)"
    return _Change(
        kind="document_year",
        columns={document: written, f"{document}_year": f"CAST({decided} AS INTEGER)"},
        condition=(
            f"{bracket} > 0 AND damerau_levenshtein(CAST({given} AS VARCHAR), CAST({decided} AS VARCHAR)) = 1 "
            f"AND ({given} > {business_date.year} OR {_prompt(category.roles.decision_date, business_date)})"
        ),
        texts={document: column},
        evidence_zh="文号年份与决定日期的年份只差一处笔误",
        evidence_en="the year in the number is one slip away from that of the decision",
    )


def _prompt(decision_date: str, business_date: date) -> str:
    """Whether a decision was reported within a month."""
    column = identifier(f"{decision_date}_date")
    day = f"DATE '{business_date.isoformat()}'"
    return f"{column} BETWEEN {day} - INTERVAL {_PROMPT_DAYS} DAY AND {day}"
