"""A feed tried on a file: its first rows in standard form, where each field comes from, every repair, every problem.

The same steps as a real batch, in a folder that is gone afterwards. Persons are masked before anything leaves here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.origins import Origin, field_origins
from pipelines.catalogue.repair_rules import load_repair_rules
from pipelines.catalogue.sources import Files
from pipelines.engine.duck import Session, identifier
from pipelines.errors import BatchHeldError, ExtractError
from pipelines.intake.connectors.file_names import NameRules
from pipelines.intake.connectors.file_totals import declared_in
from pipelines.intake.reading import IntakeResult, inspect_file
from pipelines.intake.totals import check_totals
from pipelines.operations.context import Context
from pipelines.operations.feed_files import load_feed_file
from pipelines.operations.judging import judge_rows, suite_of
from pipelines.operations.shown_values import masked_record, masked_value
from pipelines.quality.findings import create_findings
from pipelines.quality.rules import Suite

MOST_LINES = 8


@dataclass(frozen=True)
class TriedRow:
    """One row in standard form, masked: locator, what becomes of it and why, and its filled fields."""

    sheet: str
    line: int
    outcome: str
    reasons: tuple[str, ...]
    fields: dict[str, str]


@dataclass(frozen=True)
class FieldOrigin:
    """Where a field comes from: ``columns`` of the file, a ``constant``, something ``derived``, or nothing."""

    field: str
    name_zh: str
    required: str
    origin: Literal["columns", "constant", "derived", "missing"]
    columns: tuple[str, ...] = ()
    constant: str | None = None
    layer: str = ""
    filled: int = 0


@dataclass(frozen=True)
class RepairLine:
    """One kind of repair of one field: how often, and one masked example."""

    rule: str
    name_zh: str
    field: str
    count: int
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ProblemLine:
    """One rule that rows break: how many, the first lines, what is wrong and what to do, in Chinese."""

    rule: str
    severity: str
    field: str | None
    count: int
    lines: tuple[str, ...]
    message_zh: str
    fix_zh: str


@dataclass(frozen=True)
class Trial:
    """What a feed makes of a file.

    ``extracts`` are the manifests of intake. ``held`` says why a batch with this file would be held for a person.
    ``totals`` is what the control totals beside the file say, if the feed has some; ``totals_agree`` whether that is
    what was read.
    """

    feed: str
    file: str
    category: Category
    extracts: tuple[dict[str, Any], ...]
    rows_decoded: int
    lines_undecoded: int
    outcomes: dict[str, int]
    rows: tuple[TriedRow, ...]
    origins: tuple[FieldOrigin, ...]
    unmapped: tuple[str, ...]
    repairs: tuple[RepairLine, ...]
    problems: tuple[ProblemLine, ...]
    held: str | None
    totals: str | None
    totals_agree: bool

    @property
    def is_fine(self) -> bool:
        """Whether every row and line would be accepted, nothing holds the batch, and the control totals agree."""
        refused = self.outcomes.get("quarantined", 0) + self.outcomes.get("blocked", 0)
        return refused == 0 and self.held is None and self.totals_agree

    def as_json(self) -> dict[str, Any]:
        """The trial as plain lists and texts."""
        parts = {
            name: [vars(item) for item in getattr(self, name)] for name in ("rows", "origins", "repairs", "problems")
        }
        return {
            "feed": self.feed,
            "file": self.file,
            "category": self.category.category,
            "extracts": list(self.extracts),
            "rows_decoded": self.rows_decoded,
            "lines_undecoded": self.lines_undecoded,
            "outcomes": self.outcomes,
            "unmapped": list(self.unmapped),
            "held": self.held,
            "totals": self.totals,
            "totals_agree": self.totals_agree,
            **parts,
        }


def find_feed(context: Context, name: str) -> tuple[Context, Feed]:
    """The feed with this code, or the one in this file, and the context in which it is known."""
    path = Path(name)
    if name in context.catalogue.feed_codes or path.suffix not in {".yaml", ".yml"}:
        return context, context.catalogue.feed(name)
    catalogue, feed = load_feed_file(context.settings, path)
    return replace(context, catalogue=catalogue), feed


def try_feed(context: Context, feed: Feed, file: Path, received: date, rows: int = 5) -> Trial:
    """Judge ``file`` as an extract of ``feed`` and describe what came of it; ``rows`` of it in full.

    An undeclared status, which holds a batch, is told and looked past. Raises :class:`ExtractError` for a file that
    cannot be read as the feed says.
    """
    if not file.is_file():
        raise ExtractError("there is no such file", file=file, remedy="check the name")
    category = context.catalogue.category_of(feed)
    suite = suite_of(context, category)
    with tempfile.TemporaryDirectory(prefix="guiji-trial-") as scratch, context.session() as session:
        intake = inspect_file(session, file, category, Path(scratch), feed=feed)
        held = None
        try:
            standard = judge_rows(context, session, feed, intake.parts, received, suite).standard
        except BatchHeldError as error:
            held = str(error)
            lenient = feed.model_copy(update={"undeclared_status": "quarantine"})
            standard = judge_rows(context, session, lenient, intake.parts, received, suite).standard
        create_findings(session, suite, category, Path(scratch) / "rejects.parquet")
        totals, agree = _totals(session, feed, file, received, intake)
        return Trial(
            feed=feed.feed,
            file=file.name,
            category=category,
            extracts=intake.extracts,
            rows_decoded=intake.rows_decoded,
            lines_undecoded=intake.lines_undecoded,
            outcomes=_outcomes(session, intake),
            rows=_rows(session, category, rows),
            origins=_origins(session, feed, category, intake),
            unmapped=standard.unmapped_columns,
            repairs=_repairs(context, session, category),
            problems=_problems(session, suite),
            held=held,
            totals=totals,
            totals_agree=agree,
        )


def _outcomes(session: Session, intake: IntakeResult) -> dict[str, int]:
    counts = {str(name): int(count) for name, count in session.rows("SELECT outcome, count(*) FROM settled GROUP BY 1")}
    counts["quarantined"] = counts.get("quarantined", 0) + intake.lines_undecoded
    return counts


def _totals(session: Session, feed: Feed, file: Path, received: date, intake: IntakeResult) -> tuple[str | None, bool]:
    """What the control totals beside the file declare, and whether they agree with what was read."""
    source = feed.source
    if not isinstance(source, Files) or source.totals is None:
        return None, True
    name = NameRules(source, received).totals(file.name) or ""
    beside = file.parent / name
    if not beside.is_file():
        return f"{name}: not there", not source.totals.required
    try:
        declared = declared_in(beside.read_bytes(), source.totals, name)
        (compared,) = check_totals(session, intake, {"": declared})
    except ExtractError as error:
        return f"{name}: {error.problem}", False
    figures = (f"{key} {compared[key]}" for key in ("rows_declared", "amount_declared") if key in compared)
    return f"{name}: {', '.join(figures)}, as read", True


def _rows(session: Session, category: Category, most: int) -> tuple[TriedRow, ...]:
    fields = ", ".join(f"standard.{identifier(code)}" for code in category.field_codes)
    found = session.rows(
        f"SELECT sheet, line, outcome, reasons, {fields} FROM standard JOIN settled USING (row_no) "
        "ORDER BY row_no LIMIT $most",
        {"most": most},
    )
    return tuple(
        TriedRow(
            str(sheet),
            int(line),
            str(outcome),
            tuple(reasons or ()),
            masked_record(category, dict(zip(category.field_codes, values, strict=True))),
        )
        for sheet, line, outcome, reasons, *values in found
    )


def _origins(session: Session, feed: Feed, category: Category, intake: IntakeResult) -> tuple[FieldOrigin, ...]:
    """Where each field comes from; where parts differ, all columns that fill it anywhere."""
    counts = session.one(
        f"SELECT {', '.join(f'count({identifier(code)})' for code in category.field_codes)} FROM standard"
    )
    origins: dict[str, list[Origin]] = {}
    for part in intake.parts:
        known = field_origins(part.columns, feed.for_extract(part.extract_name), category)
        for code, origin in known.fields.items():
            origins.setdefault(code, []).append(origin)
    return tuple(
        _field_origin(field, origins.get(field.code, []), int(filled))
        for field, filled in zip(category.fields, counts, strict=True)
    )


def _field_origin(field: Field, origins: Sequence[Origin], filled: int) -> FieldOrigin:
    columns = tuple(dict.fromkeys(column for origin in origins for column in origin.columns))
    constant = next((origin.how.constant for origin in origins if origin.how.constant is not None), None)
    layer = next((origin.layer for origin in origins), "")
    kind: Literal["columns", "constant", "derived", "missing"] = "derived" if filled else "missing"
    if columns or constant is not None:
        kind = "columns" if columns else "constant"
    return FieldOrigin(field.code, field.name_zh, field.required, kind, columns, constant, layer, filled)


def _repairs(context: Context, session: Session, category: Category) -> tuple[RepairLine, ...]:
    """Each kind of repair with its first example, masked as the row it stands in demands."""
    names = load_repair_rules(context.settings.schemas)
    roles = category.roles
    who = (roles.subject_kind, roles.subject_name, roles.representative)
    shown = ("old_value", "new_value", *(f"standard.{identifier(code)}" for code in who))
    found = session.rows(
        f"SELECT rule, field, count(*), {', '.join(f'arg_min_null({column}, row_no)' for column in shown)} "
        "FROM repairs JOIN standard USING (row_no) GROUP BY rule, field ORDER BY field, rule"
    )
    lines = []
    for rule, field, count, old, new, *names_of_row in found:
        row = dict(zip(who, names_of_row, strict=True))
        before, after = (masked_value(category, field, value, row) for value in (old, new))
        name = names[rule].name_zh if rule in names else ""
        lines.append(RepairLine(str(rule), name, str(field), int(count), before, after))
    return tuple(lines)


def _problems(session: Session, suite: Suite) -> tuple[ProblemLine, ...]:
    found = session.rows(
        "SELECT rule, any_value(severity), any_value(field), count(*), "
        "list([sheet, line::VARCHAR] ORDER BY sheet, line)[:$most] FROM findings GROUP BY rule "
        "ORDER BY list_position(['block', 'warn', 'info'], any_value(severity)), count(*) DESC, rule",
        {"most": MOST_LINES},
    )
    return tuple(
        ProblemLine(
            rule=str(rule),
            severity=str(severity),
            field=field,
            count=int(count),
            lines=tuple(f"{sheet} {line}".strip() for sheet, line in lines),
            message_zh=suite.rule(rule).message_zh,
            fix_zh=suite.rule(rule).fix_zh,
        )
        for rule, severity, field, count, lines in found
    )
