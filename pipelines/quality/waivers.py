"""Waivers: one record excused from one rule, for the same content and the same version of the rule only."""

from __future__ import annotations

import pyarrow as pa

from pipelines.engine.duck import Session, literal
from pipelines.quality.compile import VERDICTS
from pipelines.quality.rules import Suite

_COLUMNS: dict[str, pa.DataType] = {"content_hash": pa.string(), "rule": pa.string(), "rule_version": pa.int64()}
WAIVERS = pa.schema(_COLUMNS)


def apply_waivers(session: Session, suite: Suite, waivers: pa.Table) -> dict[str, int]:
    """Take waived rules out of the reasons of the rows they excuse; returns rule → rows excused.

    Reads ``verdicts`` and ``keyed`` (row_no, content_hash); ``waivers`` has the columns of ``WAIVERS``. Afterwards
    ``verdicts`` has row_no, reasons (without what is waived), blocking (by what is left) and waived VARCHAR[].

    A waiver of another version of the rule, of a rule that is no longer waivable or not in force, and of a row that
    says anything else, excuses nothing.
    """
    session.execute(f"ALTER TABLE {VERDICTS} ADD COLUMN waived VARCHAR[] DEFAULT []")
    versions = {rule.code: rule.version for rule in suite.rules if rule.waivable}
    usable = [waiver for waiver in waivers.to_pylist() if versions.get(waiver["rule"]) == waiver["rule_version"]]
    if not usable:
        return {}
    session.register("usable_waivers", pa.Table.from_pylist(usable, schema=WAIVERS))
    blocking = ", ".join(literal(rule.code) for rule in suite.rules if rule.blocking)
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE excused AS
        SELECT row_no, list_filter(v.reasons, lambda reason: list_contains(w.rules, reason)) AS waived,
               list_filter(v.reasons, lambda reason: NOT list_contains(w.rules, reason)) AS reasons
        FROM (SELECT content_hash, list(DISTINCT rule) AS rules FROM usable_waivers GROUP BY content_hash) AS w
        JOIN keyed USING (content_hash) JOIN {VERDICTS} AS v USING (row_no)
        WHERE list_has_any(v.reasons, w.rules);
        UPDATE {VERDICTS} SET reasons = excused.reasons, waived = excused.waived,
               blocking = list_has_any(excused.reasons, [{blocking}]::VARCHAR[])
        FROM excused WHERE {VERDICTS}.row_no = excused.row_no;
        DROP TABLE excused
        """
    )
    counted = session.rows(
        f"SELECT rule, count(*) FROM (SELECT unnest(waived) AS rule FROM {VERDICTS}) GROUP BY rule ORDER BY rule"
    )
    return {str(rule): int(rows) for rule, rows in counted}
