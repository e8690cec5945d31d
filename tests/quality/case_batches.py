"""Batches of a few rows with stated problems, carried from one to the next without rules, files or a ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.duck import Session
from pipelines.intake.rejects import REJECT_SCHEMA
from pipelines.quality.cases import (
    CORRECTED_ROWS,
    LATER,
    CaseBatch,
    find_cases,
    load_cases,
    update_cases,
    write_cases,
)
from pipelines.quality.rules import Rule, Suite
from tests.quality.rows import catalogue

CATEGORY = catalogue().categories["administrative_penalty"]
ROLES = CATEGORY.roles
FEED = "dept_penalty"
NAME, NUMBER, CODE, HINT, FILE, LINE = "NAME-1", "NUMBER-1", "CODE-1", "HINT-1", "FILE-1", "LINE-1"


def _rule(code: str, about: str | None, severity: Any = "block") -> Rule:
    texts = dict.fromkeys(("message_zh", "fix_zh", "message_en", "fix_en", "source"), code)
    return Rule(code, about, severity, "department", "validity", family="format", **texts)


SUITE = Suite(
    "test",
    (
        _rule(NAME, ROLES.subject_name),
        _rule(NUMBER, ROLES.document_number),
        _rule(CODE, ROLES.subject_code, "warn"),
        _rule(HINT, None, "info"),
    ),
    (_rule(FILE, None, "warn"), _rule(LINE, None)),
)


@dataclass(frozen=True)
class Row:
    """One row and the rules that it breaks; ``waived`` are excused. The place is its line in the extract."""

    number: str | None
    name: str | None = "示例一公司"
    code: str | None = "code one"
    broken: frozenset[str] = frozenset()
    waived: frozenset[str] = frozenset()
    day: str | None = "2026-11-13"
    excluded: bool = False
    corrected: bool = False

    def breaking(self, *rules: str) -> Row:
        return replace(self, broken=frozenset(rules))


@dataclass
class CaseFeed:
    """A feed whose batches are judged one after the other; what is published last is what the next one starts from."""

    session: Session
    folder: Path
    full: bool = False
    suite: Suite = SUITE
    published: Path | None = None
    runs: int = 0
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def publish(
        self,
        day: date,
        rows: Iterable[Row] = (),
        *,
        extract: str | None = None,
        file_problems: Iterable[str] = (),
        bad_lines: Iterable[bytes] = (),
        later: Iterable[tuple[str, date, str]] = (),
    ) -> list[dict[str, Any]]:
        """Judge a batch and keep its cases; returns them. ``later``: rule, day and what batches of later dates say."""
        self.runs += 1
        sent, name = list(rows), extract or f"extract-{self.runs}"
        rejects = self.folder / f"rejects-{self.runs}.parquet"
        lines = [
            {"extract": name, "sheet": "", "line": 900 + place, "rule": LINE, "bytes": data}
            for place, data in enumerate(bad_lines)
        ]
        pq.write_table(pa.Table.from_pylist(lines, schema=REJECT_SCHEMA), rejects)
        self._create_tables(sent, name, file_problems, lines)
        batch = CaseBatch(FEED, f"run-{self.runs:03d}", day, self.full)
        load_cases(self.session, self.published)
        find_cases(self.session, self.suite, CATEGORY, batch, rejects)
        self.session.execute(f"CREATE OR REPLACE TABLE {LATER} (case_key VARCHAR, day DATE, said VARCHAR)")
        for rule, said_on, said in later:
            self.session.execute(
                f"INSERT INTO {LATER} SELECT case_key, $day, $said FROM found_cases WHERE rule = $rule",
                {"rule": rule, "day": said_on, "said": said},
            )
        update_cases(self.session, batch)
        self.published = self.folder / f"cases-{self.runs}.parquet"
        write_cases(self.session, self.published)
        return self.cases()

    def cases(self) -> list[dict[str, Any]]:
        if self.published is None:
            return []
        found: list[dict[str, Any]] = pq.read_table(self.published).to_pylist()
        return found

    def _create_tables(
        self, rows: list[Row], extract: str, file_problems: Iterable[str], lines: list[dict[str, Any]]
    ) -> None:
        standard, keyed, verdicts = [], [], []
        findings: list[dict[str, Any]] = [
            {"rule": rule, "severity": "warn", "observed": "seen"} for rule in file_problems
        ] + [{name: line[name] for name in ("extract", "sheet", "line", "rule")} for line in lines]
        for number, row in enumerate(rows):
            cells = dict.fromkeys(CATEGORY.field_codes) | {
                ROLES.document_number: row.number,
                ROLES.subject_name: row.name,
                ROLES.subject_code: row.code,
                ROLES.decision_date: row.day,
            }
            place = {"row_no": number, "extract": extract, "sheet": "", "line": number + 2}
            excluded = "not reportable" if row.excluded else None
            standard.append(place | cells | {"excluded_reason": excluded})
            keyed.append({"row_no": number, "document_key": row.number, "content_hash": repr(cells)})
            verdicts.append({"row_no": number, "waived": sorted(row.waived)})
            findings += [
                place | {"rule": rule, "severity": self.suite.rule(rule).severity, "field": self.suite.rule(rule).field}
                for rule in sorted(row.broken)
            ]
        text = pa.string()
        place_schema = [("row_no", pa.int64()), ("extract", text), ("sheet", text), ("line", pa.int64())]
        cell_schema = [(code, text) for code in (*CATEGORY.field_codes, "excluded_reason")]
        finding_schema = [(name, text) for name in ("rule", "severity", "field", "observed")]
        for table, data, schema in (
            ("standard", standard, [*place_schema, *cell_schema]),
            ("keyed", keyed, [("row_no", pa.int64()), ("document_key", text), ("content_hash", text)]),
            ("verdicts", verdicts, [("row_no", pa.int64()), ("waived", pa.list_(text))]),
            ("findings", findings, [*place_schema, *finding_schema]),
            (CORRECTED_ROWS, [{"row_no": n} for n, row in enumerate(rows) if row.corrected], [("row_no", pa.int64())]),
        ):
            self.session.execute(f"DROP VIEW IF EXISTS {table}")
            self.session.register(table, pa.Table.from_pylist(data, schema=pa.schema(schema)))


def told(cases: Iterable[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    """Rule, state and how it was closed, of each case."""
    return sorted((case["rule"], case["state"], case["how"] or "") for case in cases)
