"""Findings in the form in which they are kept: with what tells the row, the rule and the batch among all others."""

from __future__ import annotations

from datetime import date

from pipelines.engine.duck import Session, literal
from pipelines.quality.cases import RULES
from pipelines.quality.row_keys import ROW_KEYS

STORED_FINDINGS = "stored_findings"


def create_stored_findings(session: Session, run: str, business_date: date, department: str, category: str) -> None:
    """Create the view ``stored_findings`` over ``findings`` and what ``verdicts`` has of waived rules.

    A waived finding has no observed value: nobody has to look at it again.
    """
    session.execute(
        f"""
        CREATE OR REPLACE VIEW {STORED_FINDINGS} AS
        WITH said AS (
            SELECT row_no, extract, sheet, line, rule, severity, field, observed, false AS waived FROM findings
            UNION ALL
            SELECT row_no, s.extract, s.sheet, s.line, v.rule, r.severity, r.field, NULL, true
            FROM (SELECT row_no, unnest(waived) AS rule FROM verdicts WHERE len(waived) > 0) v
            JOIN standard s USING (row_no) JOIN {RULES} r ON r.code = v.rule
        )
        SELECT {literal(run)} AS run, DATE '{business_date.isoformat()}' AS business_date,
               {literal(department)} AS department, {literal(category)} AS category,
               said.extract, said.sheet, said.line, said.row_no, settled.record_key, settled.content_hash, k.row_key,
               said.rule, r.version AS rule_version, said.severity, r.owner, r.dimension, said.field, said.observed,
               said.waived
        FROM said JOIN {RULES} r ON r.code = said.rule
        LEFT JOIN settled USING (row_no)
        LEFT JOIN {ROW_KEYS} k ON k.row_no = said.row_no AND NOT k.is_alias
        """
    )
