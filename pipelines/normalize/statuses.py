"""The status of a decision: never guessed, because the same numeral says opposite things in two editions.

Edition 2016 writes 0 for a decision that stands and 1 for a revoked one, edition 2018 writes 1 for a licence that
holds. Words mean the same everywhere, so a status of an older edition becomes a word first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.catalogue.categories import Category
from pipelines.catalogue.code_lists import CodeList
from pipelines.catalogue.editions import Edition, StatusColumn
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.origins import Origins
from pipelines.engine.duck import Session, identifier
from pipelines.engine.rows import RowsPart
from pipelines.errors import BatchHeldError, CatalogueError
from pipelines.identity.masking import mask_person_name
from pipelines.normalize.lists import Spellings, enum_repairs
from pipelines.normalize.treatments import Treatment

_SHOWN_VALUES = 5
# Numerals and words that speak of a state; anything else may be a name that slipped into the column.
_SPEAKS_OF_A_STATE = re.compile(
    r"[0-9A-Za-z.]{1,4}|.{0,8}(?:有效|无效|失效|正常|撤|销|异议|在用|停用|启用|办理|公示|其他|过期|到期|作废|废止|暂停|变更|存续).{0,8}"
)
# An extract of edition 2018 read as one of 2016 looks like this: nearly every decision revoked.
_MANY_REVOKED = 10


@dataclass(frozen=True)
class StatusPlan:
    """Which states a row of one part may have, and what they do to it.

    ``code`` is the column of the standard rows that holds the state, ``headers`` the source columns it is read from.
    ``declared`` are the states that are known; ``revoked`` state → reason, ``withheld`` state → rule that accuses the
    row; ``empty_rule`` accuses rows without a state. ``foreign``: value → edition in which a decision that stands is
    written so. ``numeral`` is the numeral of a revoked decision, unless the feed itself says what it means.
    """

    code: str
    headers: tuple[str, ...]
    edition: int
    declared: tuple[str, ...]
    holds: bool
    revoked: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    empty_rule: str | None = None
    foreign: Mapping[str, int] = field(default_factory=dict)
    numeral: str | None = None


def plan_status(
    feed: Feed, category: Category, code_lists: Mapping[str, CodeList], origins: Origins
) -> StatusPlan | None:
    """How the status is read in one extract; None where the category has none or no column holds it."""
    edition = category.editions.get(feed.edition)
    if edition is not None:
        return _plan_of(edition, feed, origins)
    code = category.roles.status
    if code is None or code not in origins.fields or not origins.fields[code].columns:
        return None
    code_list = code_lists[category.field(code).code_list or ""]
    known = {*code_list.spellings(), *feed.values.get(code, {})}
    foreign = {
        state.code: other.edition
        for other in category.editions.values()
        for state in other.status.states
        if state.means == "valid" and other.status.field == code and state.code not in known
    }
    return StatusPlan(
        code,
        origins.fields[code].columns,
        feed.edition,
        code_list.values,
        feed.undeclared_status == "hold",
        foreign=foreign,
    )


def _plan_of(edition: Edition, feed: Feed, origins: Origins) -> StatusPlan:
    status = edition.status
    own = feed.values.get(status.code, {})
    origin = origins.fields.get(status.code)
    numerals = [state.code for state in status.states if state.means == "revoked" and state.code not in own]
    return StatusPlan(
        status.code,
        () if origin is None else origin.columns,
        edition.edition,
        tuple(_standard(status, name) for name in status.names),
        holds=True,
        revoked={state.name: state.reason_zh or "" for state in status.states if state.means == "revoked"},
        withheld={state.name: state.rule or "" for state in status.states if state.means == "withheld"},
        empty_rule=status.empty_rule,
        numeral=numerals[0] if numerals else None,
    )


def status_treatment(edition: Edition, own_values: Mapping[str, str]) -> Treatment:
    """The treatment of the status of an older edition: every spelling becomes its word, then today's value.

    Raises :class:`CatalogueError` when one of the feed's ``own_values`` is not given in words: settings of several
    layers come together only here.
    """
    status = edition.status
    for word in own_values.values():
        if word not in status.names:
            raise CatalogueError(
                f"values: {word} is no status of edition {edition.edition}",
                remedy=f"say under values: {status.code}: in words what a status means: {', '.join(status.names)}",
            )
    spelling = enum_repairs(Spellings(status.code_list(), own_values), several=False)
    # Nothing is tidy: what looks like a value of today means something else here.
    return Treatment("pattern", (), "", (*spelling, ("ENUM-001", lambda name: _standard(status, name))), "")


def _standard(status: StatusColumn, name: str) -> str:
    """A word as the field of today writes it; a decision that does not stand keeps its word and is never accepted."""
    valid = {state.name for state in status.states if state.means == "valid"}
    return status.valid if status.valid is not None and name in valid else name


def check_statuses(session: Session, relation: str, part: RowsPart, plan: StatusPlan) -> None:
    """Raise :class:`BatchHeldError` when ``relation`` holds states whose meaning is not certain."""
    column = identifier(plan.code)
    listed = ", ".join(f"${number}" for number in range(1, len(plan.declared) + 1))
    found = session.rows(
        f"SELECT {column}, count(*), min(line) FROM {relation} WHERE {column} IS NOT NULL "
        f"AND {column} NOT IN ({listed}) AND excluded_reason IS NULL GROUP BY ALL ORDER BY 2 DESC, 3",
        list(plan.declared),
    )
    header = ", ".join(plan.headers)
    for value, count, line in found:
        if value in plan.foreign:
            raise _held(
                part,
                f'the status column {header} holds "{value}" in {count} rows, as edition {plan.foreign[value]} writes '
                f"it; the feed declares {plan.edition}, where the numerals mean other things",
                f"declare edition: {plan.foreign[value]}, or say in the feed's YAML what {value} means "
                f"(values: {plan.code}:)",
                line,
            )
    if found and plan.holds:
        shown = "; ".join(f'"{_shown(value)}" in {count} rows' for value, count, _ in found[:_SHOWN_VALUES])
        more = f" and {len(found) - _SHOWN_VALUES} more" if len(found) > _SHOWN_VALUES else ""
        raise _held(
            part,
            f"the status column {header} holds values that nobody declared: {shown}{more}",
            f"say in the feed's YAML what they mean (values: {plan.code}:), or have the department mend them",
            min(line for _, _, line in found),
        )
    _refuse_many_revoked(session, relation, part, plan)


def _refuse_many_revoked(session: Session, relation: str, part: RowsPart, plan: StatusPlan) -> None:
    if plan.numeral is None:
        return
    by_numeral = session.one(
        "SELECT count(*) FROM repairs "
        "WHERE field = $field AND old_value = $numeral AND row_no BETWEEN $first AND $last",
        {
            "field": plan.code,
            "numeral": plan.numeral,
            "first": part.row_offset,
            "last": part.row_offset + part.row_count - 1,
        },
    )[0]
    stated = session.one(f"SELECT count({identifier(plan.code)}) FROM {relation}")[0]
    if by_numeral >= _MANY_REVOKED and by_numeral * 2 > stated:
        raise _held(
            part,
            f"the status column {', '.join(plan.headers)} says {plan.numeral} in {by_numeral} of {stated} rows: "
            f"revoked in edition {plan.edition}, but what a later edition writes for decisions that stand",
            "declare the edition that the department writes; if they are revoked, say so in the feed's YAML "
            f'(values: {plan.code}: {{"{plan.numeral}": {next(iter(plan.revoked))}}})',
            None,
        )


def mark_states(session: Session, relation: str, plan: StatusPlan) -> None:
    """Add the revoked rows of ``relation`` to ``revocations``, those that wait for the department to ``withheld``."""
    column = identifier(plan.code)
    for state in plan.revoked:
        session.execute(
            f"INSERT INTO revocations SELECT row_no FROM {relation} WHERE {column} = $state", {"state": state}
        )
    for state, rule in plan.withheld.items():
        session.execute(
            f"INSERT INTO withheld SELECT row_no, $rule FROM {relation} WHERE {column} = $state",
            {"state": state, "rule": rule},
        )
    if plan.empty_rule is not None:
        session.execute(
            f"INSERT INTO withheld SELECT row_no, $rule FROM {relation} WHERE {column} IS NULL",
            {"rule": plan.empty_rule},
        )


def _held(part: RowsPart, problem: str, remedy: str, line: int | None) -> BatchHeldError:
    return BatchHeldError(problem, remedy=remedy, file=part.extract_name, sheet=part.sheet or None, line=line)


def _shown(value: str) -> str | None:
    """A value as a message may show it: a name that stands in the wrong column is masked."""
    return value if _SPEAKS_OF_A_STATE.fullmatch(value) else mask_person_name(value)
