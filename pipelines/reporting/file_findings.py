"""Findings about the files of a batch: what has changed since the last one, what was damaged or left unread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.ledger.models import Run
from pipelines.reporting.words import OWNERS, SEVERITIES, RuleTexts, rule_text

_ORDER = ("block", "warn", "info")


@dataclass(frozen=True)
class FileFinding:
    """One finding. ``observed`` names columns and gives figures; it holds no value of any record."""

    rule: str
    observed: str
    extract_name: str
    sheet: str
    line: int | None
    field: str | None


@dataclass(frozen=True)
class FileFindingLine:
    """One finding with the texts of its rule, as pages and workbooks show it."""

    code: str
    severity: str
    severity_name: str
    message: str
    fix: str
    owner: str
    observed: str
    extract_name: str
    sheet: str
    line: int | None


def file_findings(run: Run) -> tuple[FileFinding, ...]:
    """What a run has noticed about its files, in the order in which it was noticed."""
    return tuple(
        FileFinding(
            rule=str(change["rule"]),
            observed=str(change["observed"]),
            extract_name=str(change["extract_name"]),
            sheet=str(change["sheet"]),
            line=change["line"],
            field=change["field"],
        )
        for change in (run.manifest or {}).get("changes", ())
    )


def file_finding_lines(findings: Sequence[FileFinding], texts: RuleTexts) -> list[FileFindingLine]:
    """The findings with their texts, the worst first."""
    lines = []
    for finding in findings:
        text = rule_text(texts, finding.rule)
        lines.append(
            FileFindingLine(
                code=finding.rule,
                severity=text.severity,
                severity_name=SEVERITIES[text.severity],
                message=text.message_zh,
                fix=text.fix_zh,
                owner=OWNERS.get(text.owner, text.owner),
                observed=finding.observed,
                extract_name=finding.extract_name,
                sheet=finding.sheet,
                line=finding.line,
            )
        )
    return sorted(lines, key=lambda line: _ORDER.index(line.severity))
