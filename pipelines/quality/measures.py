"""Measures: additive counts of a judged batch, from which every figure can be computed again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.code_lists import CodeList
from pipelines.engine.duck import Session, identifier, literal
from pipelines.quality.compile import RULE_COUNTS
from pipelines.quality.facts import FACTS
from pipelines.quality.rules import Suite

MEASURES = "measures"
OTHER = "*"
EARLIER = "earlier"
# No limit in use is longer than twenty working days: what was decided before this is late by all of them.
DECISION_DAYS = 90
OUTCOMES = ("accepted", "duplicate", "quarantined", "blocked", "excluded")
_CHANGES = ("new", "changed", "unchanged", "outdated")
_WITH_CODE = "('法人及非法人组织', '个体工商户')"
_IDENTIFYING = "('valid', 'issued_nonstandard')"
_SEPARATOR = ";"
_ABOUT_CONTENT = ("validity", "accuracy", "consistency")


def create_measures(
    session: Session,
    suite: Suite,
    category: Category,
    *,
    business_date: date,
    undecoded: int,
    code_lists: Mapping[str, CodeList],
) -> None:
    """Make the table ``measures``: name VARCHAR, item VARCHAR, value BIGINT, all of them counts that add up.

    ======================= ========================================================================================
    name                    items
    ======================= ========================================================================================
    ``rows``                received (= decoded + undecoded), judged (= decoded − excluded), the five outcomes
                            (undecoded lines are ``quarantined``), new, changed, unchanged, outdated; late: new and
                            changed rows whose deadline lay before the business date
    ``filled``              a field: judged rows that fill it
    ``value``               ``FIELD=value``: judged rows with this value of a code list, ``FIELD=*`` with any other
    ``dimension``           a quality dimension: judged rows that break at least one of its rules that block or warn
    ``cells``               required, provided: cells that rules of completeness ask for, and those that are there
    ``codes``               subjects: rows whose subject must have a unified social credit code; valid, wrong (错码:
                            filled but identifying nobody); different: codes; several_names: of these, codes
                            with more than one name; names: of organisations with a code; several_codes: of these,
                            names with more than one code (重码), all within one batch; linked: accepted rows whose
                            subject has a code or an identity document
    ``content``             inaccurate: judged rows that break at least one rule of validity, accuracy or consistency
                            that blocks or warns
    ``decided``             ``new=DATE``, ``changed=DATE``: rows by the date of their decision; ``=earlier`` for those
                            of more than 90 days before the business date
    ======================= ========================================================================================

    Reads ``standard``, ``facts``, ``rule_counts``, ``findings``, ``settled``, ``changes`` and ``clocked``. A row whose
    rule is waived does not count as breaking it; a missing cell stays missing whether it is waived or not.
    """
    session.execute(f"CREATE OR REPLACE TABLE {MEASURES} (name VARCHAR, item VARCHAR, value BIGINT)")
    _count_rows(session, undecoded)
    _count_filled(session, category)
    for field in category.fields:
        if field.code_list is not None:
            _count_values(session, field, code_lists[field.code_list])
    _count_rules(session, suite)
    _count_codes(session, category)
    _count_decisions(session, business_date)


def _insert(session: Session, query: str) -> None:
    session.execute(f"INSERT INTO {MEASURES} {query}")


def _unpivoted(name: str, counts: Mapping[str, str], relation: str) -> str:
    """SQL for one measure of several counts taken in one scan."""
    items = ", ".join(literal(item) for item in counts)
    return (
        f"SELECT {literal(name)}, unnest([{items}]), unnest([{', '.join(counts.values())}]::BIGINT[]) FROM {relation}"
    )


def _count_rows(session: Session, undecoded: int) -> None:
    outcomes = {
        "received": f"count(*) + {undecoded}",
        "decoded": "count(*)",
        "undecoded": str(undecoded),
        "judged": "count(*) FILTER (outcome <> 'excluded')",
    } | {name: f"count(*) FILTER (outcome = {literal(name)})" for name in OUTCOMES}
    outcomes["quarantined"] += f" + {undecoded}"
    _insert(session, _unpivoted("rows", outcomes, "settled"))
    changes = {name: f"count(*) FILTER (change = {literal(name)})" for name in _CHANGES}
    _insert(session, _unpivoted("rows", changes, "changes"))
    linked = "outcome = 'accepted' AND NOT starts_with(subject_key, 'name:')"
    _insert(session, _unpivoted("codes", {"linked": f"count(*) FILTER ({linked})"}, "settled"))


def _count_filled(session: Session, category: Category) -> None:
    filled = {code: f"count({identifier(code)})" for code in category.field_codes}
    _insert(session, _unpivoted("filled", filled, "standard WHERE excluded_reason IS NULL"))


def _count_values(session: Session, field: Field, code_list: CodeList) -> None:
    """Different writings are few where values are coded: they are told apart after they were counted."""
    values = f"[{', '.join(literal(value) for value in code_list.values)}]"
    named = "entry"
    if code_list.open_entry is not None:
        entry = literal(code_list.open_entry)
        named = f"CASE WHEN starts_with(entry, {entry} || '-') THEN {entry} ELSE entry END"
    column = identifier(field.code)
    entries = f"string_split({column}, '{_SEPARATOR}')" if field.type == "enum_multi" else f"[{column}]"
    _insert(
        session,
        f"""
        WITH written AS (
            SELECT {column}, count(*) AS row_total FROM standard
            WHERE excluded_reason IS NULL AND {column} IS NOT NULL GROUP BY 1
        ), counted AS (
            SELECT unnest(list_distinct(list_transform(
                {entries}, lambda entry: CASE WHEN {named} IN {values} THEN {named} ELSE '{OTHER}' END
            ))) AS entry, row_total FROM written
        )
        SELECT 'value', {literal(field.code + "=")} || entry, sum(row_total) FROM counted GROUP BY entry
        """,
    )


def _count_rules(session: Session, suite: Suite) -> None:
    rules = (*suite.rules, *suite.batch_rules)
    session.execute("CREATE OR REPLACE TEMP TABLE rule_dimensions (code VARCHAR, dimension VARCHAR, counts BOOLEAN)")
    described = ", ".join(
        f"({literal(rule.code)}, {literal(rule.dimension)}, {rule.severity != 'info'})" for rule in rules
    )
    session.execute(f"INSERT INTO rule_dimensions VALUES {described}")
    _insert(
        session,
        "SELECT 'dimension', d.dimension, count(DISTINCT f.row_no) FROM rule_dimensions d "
        "LEFT JOIN findings f ON f.rule = d.code AND d.counts GROUP BY d.dimension",
    )
    about_content = ", ".join(literal(dimension) for dimension in _ABOUT_CONTENT)
    _insert(
        session,
        "SELECT 'content', 'inaccurate', count(DISTINCT f.row_no) FROM rule_dimensions d "
        f"JOIN findings f ON f.rule = d.code WHERE d.counts AND d.dimension IN ({about_content})",
    )
    cells = {"required": "coalesce(sum(applied), 0)", "provided": "coalesce(sum(applied - failed), 0)"}
    asked = f"{RULE_COUNTS} WHERE code IN (SELECT code FROM rule_dimensions WHERE dimension = 'completeness')"
    _insert(session, _unpivoted("cells", cells, asked))
    session.execute("DROP TABLE rule_dimensions")


def _count_codes(session: Session, category: Category) -> None:
    kind, code = identifier(category.roles.subject_kind), identifier(category.roles.subject_code)
    verdict = identifier(f"{category.roles.subject_code}_verdict")
    name = identifier(category.roles.subject_name)
    must, identifies = f"{kind} IN {_WITH_CODE}", f"{verdict} IN {_IDENTIFYING}"
    codes = {
        "subjects": f"count(*) FILTER ({must})",
        "valid": f"count(*) FILTER ({must} AND {identifies})",
        "wrong": f"count(*) FILTER ({must} AND {code} IS NOT NULL AND {verdict} <> 'placeholder' AND NOT {identifies})",
    }
    _insert(session, _unpivoted("codes", codes, FACTS))
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE code_names AS SELECT DISTINCT code, name_key(name) AS name FROM "
        f"(SELECT DISTINCT {code} AS code, {name} AS name FROM {FACTS} "
        f"WHERE {must} AND {identifies} AND {name} IS NOT NULL)"
    )
    for each, several, counted, by in (
        ("different", "several_names", "name", "code"),
        ("names", "several_codes", "code", "name"),
    ):
        counts = {each: "count(*)", several: "count(*) FILTER (others > 1)"}
        grouped = f"(SELECT count({counted}) AS others FROM code_names WHERE {by} IS NOT NULL GROUP BY {by})"
        _insert(session, _unpivoted("codes", counts, grouped))
    session.execute("DROP TABLE code_names")


def _count_decisions(session: Session, business_date: date) -> None:
    first = literal((business_date - timedelta(days=DECISION_DAYS)).isoformat())
    _insert(
        session,
        f"""
        SELECT 'rows', 'late', count(*) FROM clocked JOIN changes USING (row_no)
        WHERE change IN ('new', 'changed') AND deadline < DATE {literal(business_date.isoformat())}
        UNION ALL
        SELECT 'decided', change || '=' || CASE WHEN decision_date < DATE {first} THEN '{EARLIER}'
                                                ELSE strftime(decision_date, '%Y-%m-%d') END AS item, count(*)
        FROM clocked JOIN changes USING (row_no) WHERE change IN ('new', 'changed') GROUP BY item
        """,
    )
