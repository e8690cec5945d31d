"""A suite compiled into one scan: every row gets the complete list of the rules it broke."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import numpy as np
import pyarrow as pa

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier, literal
from pipelines.errors import CatalogueError
from pipelines.quality.checks import Check, check_of
from pipelines.quality.facts import FACTS, ROW_NUMBER, create_facts
from pipelines.quality.rules import BUSINESS_DATE, Rule, RuleCount, Suite

VERDICTS = "verdicts"
RULE_COUNTS = "rule_counts"
EXCLUDED = "EXCL-001"
_BITS = 63


def judge(
    session: Session, suite: Suite, category: Category, business_date: date, relation: str = "standard"
) -> list[RuleCount]:
    """Judge every row of ``relation`` once and keep the result in two tables of the session.

    ``verdicts``: row_no BIGINT, reasons VARCHAR[] (codes of all rules broken, in suite order), blocking BOOLEAN
    (at least one of them has severity block). Rows with an ``excluded_reason`` are not judged: their only reason
    is ``EXCL-001``. ``rule_counts``: code, applied, failed, in suite order; also returned.

    ``business_date`` is the date of the batch: a decision cannot be younger. Raises :class:`CatalogueError` that
    names the rule when one cannot be evaluated.
    """
    checks = [check_of(rule, parameters(business_date)) for rule in suite.rules]
    create_facts(session, category, relation)
    with naming_faulty(session, suite.rules, checks), session.unoptimized():
        _scan(session, suite, checks, relation)
    return rule_counts(session)


def _scan(session: Session, suite: Suite, checks: Sequence[Check], relation: str) -> None:
    broken = _words("broken", [check.broken for check in checks])
    conditions = list(dict.fromkeys(check.applies for check in checks))
    applied = _words("applied", conditions)
    scanned = ", ".join(f"{expression} AS {name}" for name, expression in (*broken, *applied))
    names = ", ".join(name for name, _ in (*broken, *applied))
    broken_names = ", ".join(name for name, _ in broken)
    session.execute(f"CREATE OR REPLACE TEMP TABLE scanned AS SELECT {ROW_NUMBER}, {scanned} FROM {FACTS}")
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE patterns AS SELECT {names}, count(*) AS row_total FROM scanned GROUP BY ALL"
    )
    reasons = _decoded(enumerate(suite.rules))
    blocking = _decoded((place, rule) for place, rule in enumerate(suite.rules) if rule.blocking)
    session.execute(
        f"CREATE OR REPLACE TABLE {VERDICTS} AS "
        f"SELECT row_no, reasons, blocking FROM scanned JOIN ("
        f"SELECT {broken_names}, {reasons} AS reasons, len({blocking}) > 0 AS blocking "
        f"FROM (SELECT DISTINCT {broken_names} FROM patterns)) USING ({broken_names}) "
        f"UNION ALL SELECT row_no, [{literal(EXCLUDED)}], FALSE FROM {identifier(relation)} "
        f"WHERE excluded_reason IS NOT NULL"
    )
    _count(session, suite, [conditions.index(check.applies) for check in checks])
    session.execute("DROP TABLE scanned")
    session.execute("DROP TABLE patterns")


def rule_counts(session: Session) -> list[RuleCount]:
    """What the last :func:`judge` of this session counted, in suite order."""
    found = session.rows(f"SELECT code, applied, failed FROM {RULE_COUNTS} ORDER BY place")
    return [RuleCount(str(code), int(applied), int(failed)) for code, applied, failed in found]


def parameters(business_date: date) -> dict[str, str]:
    """The suite parameters of a batch."""
    return {BUSINESS_DATE: business_date.isoformat()}


def _words(name: str, conditions: Sequence[str]) -> list[tuple[str, str]]:
    """One bit per condition, packed into as many unsigned integers as it takes.

    A list of a hundred codes per row would be a hundred million strings for a million rows; the few thousand
    different patterns of bits are turned into lists and counts afterwards.
    """
    words = []
    for start in range(0, len(conditions), _BITS):
        bits = [
            f"CASE WHEN {condition} THEN {1 << place}::UBIGINT ELSE 0::UBIGINT END"
            for place, condition in enumerate(conditions[start : start + _BITS])
        ]
        words.append((f"{name}_{start // _BITS}", " | ".join(bits)))
    return words


def _bit(name: str, place: int) -> str:
    return f"({name}_{place // _BITS} & {1 << place % _BITS}::UBIGINT) <> 0"


def _decoded(rules: Iterable[tuple[int, Rule]]) -> str:
    """SQL that turns the words into the list of codes."""
    entries = (f"CASE WHEN {_bit('broken', place)} THEN {literal(rule.code)} END" for place, rule in rules)
    return f"list_filter([{', '.join(entries)}]::VARCHAR[], lambda reason: reason IS NOT NULL)"


def _count(session: Session, suite: Suite, condition_places: Sequence[int]) -> None:
    """Counted outside SQL: hundreds of filtered sums over a few patterns take longer to plan than to add up."""
    patterns = session.arrow("FROM patterns")
    rows = patterns["row_total"].to_numpy()

    def total(name: str, place: int) -> int:
        words = patterns[f"{name}_{place // _BITS}"].to_numpy()
        return int(rows[(words & np.uint64(1 << place % _BITS)) != 0].sum())

    counts = pa.table(
        {
            "place": pa.array(range(len(suite.rules)), pa.int32()),
            "code": pa.array([rule.code for rule in suite.rules], pa.string()),
            "applied": pa.array([total("applied", place) for place in condition_places], pa.int64()),
            "failed": pa.array([total("broken", place) for place in range(len(suite.rules))], pa.int64()),
        }
    )
    session.register("counted", counts)
    session.execute(f"CREATE OR REPLACE TABLE {RULE_COUNTS} AS FROM counted")


@contextmanager
def naming_faulty(session: Session, rules: Sequence[Rule], checks: Sequence[Check]) -> Iterator[None]:
    """When what runs inside fails because ``facts`` cannot answer a rule, a :class:`CatalogueError` names that rule."""
    try:
        yield
    except Exception:
        for rule, check in zip(rules, checks, strict=True):
            try:
                session.rows(f"SELECT ({check.applies}), ({check.holds}) FROM {FACTS} LIMIT 0")
            except Exception as error:
                raise CatalogueError(
                    f"the rule {rule.code} cannot be evaluated: {str(error).splitlines()[0]}",
                    remedy="mend its predicate or condition in expectations/",
                ) from error
        raise
