"""Findings: one line per broken rule and row, fit to be shown to the department."""

from __future__ import annotations

from pathlib import Path

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, file_literal, identifier, literal
from pipelines.quality.compile import EXCLUDED
from pipelines.quality.rules import Rule, Suite

FINDINGS = "findings"
_DOCUMENT, _CODE, _PERSON, _SUBJECT, _TEXT, _REASON = "document", "code", "person", "subject", "text", "reason"

# Of a subject of unknown kind, a short name is taken for a person's.
_OBSERVED = f"""CASE
    WHEN cover = '{_DOCUMENT}' THEN mask_document_number(value)
    WHEN cover = '{_PERSON}' THEN mask_person_name(value)
    WHEN cover = '{_SUBJECT}' AND (subject_kind = '自然人' OR (subject_kind IS NULL AND length(value) <= 4))
    THEN mask_person_name(value)
    WHEN cover IN ('{_CODE}', '{_SUBJECT}') THEN left(mask_code(value), 80)
    ELSE excerpt(value)
END"""


def create_findings(
    session: Session,
    suite: Suite,
    category: Category,
    rejects: Path | None = None,
    *,
    reasons: str = "settled",
    relation: str = "standard",
) -> int:
    """Make the table ``findings`` from the reasons of each row and the lines that intake rejected; returns its count.

    ``reasons`` is a table with row_no and reasons (codes): ``settled``, or ``verdicts`` before rows are settled.

    Columns: row_no BIGINT (NULL for a rejected line), extract, sheet, line BIGINT, rule, severity, field, observed.
    ``observed`` is what stood in the field, masked where the field is restricted, the rule is about persons or the
    value is a person's name, and never longer than 80 characters. Raises :class:`CatalogueError` when intake used
    the code of a rule that does not exist.
    """
    _describe_rules(session, suite, category)
    subject_kind = identifier(category.roles.subject_kind)
    values = " ".join(
        f"WHEN {literal(code)} THEN standard.{identifier(code)}"
        for code in sorted({rule.field for rule in suite.rules if rule.field is not None})
    )
    session.execute(
        f"CREATE OR REPLACE TABLE {FINDINGS} AS "
        f"SELECT row_no, extract, sheet, line, rule, severity, field, {_OBSERVED} AS observed FROM ("
        f"SELECT judged.row_no, standard.extract, standard.sheet, standard.line, judged.rule, described.severity, "
        f"described.field, described.cover, described.place, standard.{subject_kind} AS subject_kind, "
        f"CASE WHEN described.cover = '{_REASON}' THEN standard.excluded_reason "
        f"ELSE CASE described.field {values} END END AS value FROM "
        f"(SELECT row_no, unnest(reasons) AS rule FROM {identifier(reasons)} WHERE len(reasons) > 0) AS judged "
        f"JOIN described_rules AS described ON described.code = judged.rule "
        f"JOIN {identifier(relation)} AS standard ON standard.row_no = judged.row_no"
        f") ORDER BY row_no, place"
    )
    if rejects is not None:
        _add_rejected_lines(session, suite, rejects)
    session.execute("DROP TABLE described_rules")
    return session.count(FINDINGS)


def _describe_rules(session: Session, suite: Suite, category: Category) -> None:
    session.execute(
        "CREATE OR REPLACE TEMP TABLE described_rules "
        "(place INTEGER, code VARCHAR, severity VARCHAR, field VARCHAR, cover VARCHAR)"
    )
    values = ", ".join(
        f"({place}, {literal(rule.code)}, {literal(rule.severity)}, "
        f"{literal(rule.field) if rule.field else 'NULL'}, {literal(_cover(rule, category))})"
        for place, rule in enumerate((*suite.rules, *suite.batch_rules))
    )
    session.execute(f"INSERT INTO described_rules VALUES {values}")


def _cover(rule: Rule, category: Category) -> str:
    """How the value that a rule is about is covered before it is shown."""
    if rule.code == EXCLUDED:
        return _REASON
    if rule.field is None:
        return _TEXT
    field = category.field(rule.field)
    if field.exposure == "restricted" or (rule.personal and field.type == "code"):
        return _DOCUMENT
    if field.type == "code":
        return _CODE
    if field.code == category.roles.representative:
        return _PERSON
    return _SUBJECT if field.code == category.roles.subject_name else _TEXT


def _add_rejected_lines(session: Session, suite: Suite, rejects: Path) -> None:
    file = file_literal(rejects)
    for (code,) in session.rows(f"SELECT DISTINCT rule FROM read_parquet({file})"):
        suite.rule(str(code))
    session.execute(
        f"INSERT INTO {FINDINGS} "
        f"SELECT NULL, rejected.extract, rejected.sheet, rejected.line, rejected.rule, described.severity, NULL, "
        f"CASE WHEN rejected.expected_cells IS NOT NULL AND rejected.actual_cells IS NOT NULL "
        f"THEN format('应有{{}}格，实有{{}}格', rejected.expected_cells, rejected.actual_cells) END "
        f"FROM read_parquet({file}) AS rejected JOIN described_rules AS described ON described.code = rejected.rule"
    )
