"""The YAML of a proposed feed, written for a person to read and correct.

No cell of the sample stands in it except the words of columns with a code list: few, short and repeated.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import PurePath

import yaml

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Field
from pipelines.catalogue.code_lists import CodeList, Entry
from pipelines.catalogue.feeds import DEFAULT_SCHEDULE, Department
from pipelines.catalogue.headers import normalise_header, stated_unit
from pipelines.identity.masking import mask_code
from pipelines.identity.uscc import PLACEHOLDER
from pipelines.operations.feed_matching import Match, code_list_of, known_values
from pipelines.operations.feed_proposal import Proposal

TODO = "TODO"
_COMMENT_WIDTH = 110
_MOST_VALUES = 20
_LONGEST_VALUE = 40
_SUMMARY_PROCEDURE = "简易"
_NUMBER = re.compile("[0-9*]{5}")
_TIME_OF_CHANGE = re.compile("更新时间|修改时间|变更时间|时间戳|updatetime|lastmodified|sjc", re.IGNORECASE)


def feed_text(proposal: Proposal, catalogue: Catalogue) -> str:
    """The feed file of a proposal, with a comment beside each guess."""
    department = catalogue.departments.get(proposal.department)
    parts = (
        _head(proposal, catalogue, department),
        _source(proposal),
        _format(proposal),
        _columns(proposal),
        _unfilled(proposal, department),
        _leftovers(proposal),
        _values(proposal, catalogue.code_lists),
        _choices(proposal),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def department_text(proposal: Proposal) -> str:
    """The department file that a new department needs."""
    roles = proposal.category.roles
    return (
        "# Who produces the records: the office that is named in them.\n"
        f"department: {proposal.department}\n"
        f"name_zh: {TODO} 部门名称\n"
        f"uscc: {PLACEHOLDER}  # {TODO} its unified social credit code; this is the standard's placeholder\n"
        f"# contact: {TODO} an office, no person\n"
        "# What holds for all its feeds, for example whose data they are:\n"
        "# feeds:\n"
        "#   columns:\n"
        f"#     {roles.source_unit}: {{constant: {TODO}}}\n"
        f"#     {roles.source_unit_code}: {{constant: {TODO}}}\n"
    )


def _head(proposal: Proposal, catalogue: Catalogue, department: Department | None) -> Iterator[str]:
    sample, category = proposal.sample, proposal.category
    rows = sum(len(table.rows) for table in proposal.tables)
    others = ", ".join(f"{name} {score}" for name, score in proposal.scores[1:])
    seen = f"the first {rows} rows" if rows > 1 else "the first row" if rows else "the header"
    yield f"# Proposed by `guiji feeds new` from {seen} of {_one_line(sample.name)}."
    yield "# Beside each column stands how sure the proposal is, up to 100."
    yield f"# Settle each {TODO}, correct what is wrong, then: guiji feeds test {proposal.feed} FILE"
    yield f"feed: {proposal.feed}"
    name = f"{department.name_zh}{category.name_zh}" if department else f"{TODO} 部门名称 {category.name_zh}"
    yield f"name_zh: {_scalar(name)}"
    score = f"{dict(proposal.scores)[category.category]} of 100"
    yield f"category: {category.category}  # {category.name_zh}: {score}{'; ' + others if others else ''}"
    yield f"edition: {proposal.matching.edition}"
    yield f'# schedule: "{DEFAULT_SCHEDULE}"  # when it is pulled, as cron, time in China'
    yield f"# endpoints: [{', '.join(sorted(catalogue.endpoints))}]  # {TODO} who receives the records"


def _source(proposal: Proposal) -> Iterator[str]:
    suffix = PurePath(proposal.sample.name).suffix
    yield "# Other kinds of source (sftp, http, database): docs/sources.md"
    yield "source:"
    yield "  kind: folder"
    yield f"  path: {proposal.feed}/{{date}}  # below GUIJI_INBOX; {{date}} is the business date, YYYY-MM-DD"
    yield f"  pattern: {_quoted('*' + suffix)}"


def _format(proposal: Proposal) -> Iterator[str]:
    sample = proposal.sample
    yield "format:"
    yield f"  kind: {sample.kind}"
    if sample.encoding in {"utf-8", "gb18030"}:
        yield f"  # encoding: {sample.encoding}  # as found; without it each line may be UTF-8 or GB18030"
    if sample.delimiter is not None:
        yield f"  delimiter: {sample.delimiter}"
    if sample.row_path:
        yield f"  row_path: {_scalar(sample.row_path)}"
    if sample.archive:
        yield '  # archive: {entries: "*"}  # which entries of the archive are read, by name'
    others = [sheet for sheet, reason in proposal.others.items() if reason != "empty"]
    if len(proposal.tables) == 1 and proposal.tables[0].sheet and others and not sample.archive:
        yield f"  sheet: {_scalar(proposal.tables[0].sheet)}"
    for sheet, reason in proposal.others.items():
        yield f"  # not read: {_one_line(sheet)} ({reason})"
    headed = [table for table in proposal.tables if table.header_line]
    for table in headed:
        where = f" of {_one_line(table.sheet)}" if table.sheet else ""
        rows = f", {table.header_rows} rows" if table.header_rows > 1 else ""
        yield f"  # header: line {table.header_line}{where}{rows}"
    if len(headed) == 1 and headed[0].header_rows > 1:
        yield f"  header_row: {headed[0].header_line}"
        yield f"  header_rows: {headed[0].header_rows}"


def _columns(proposal: Proposal) -> Iterator[str]:
    matching = proposal.matching
    older = _is_older(proposal)
    everywhere = _in_every_table(proposal)
    lines: list[str] = []
    live = False
    for field in proposal.category.fields:
        match = matching.proposed.get(field.code)
        doubtful = matching.doubtful.get(field.code)
        if match is not None:
            shared = all(normalise_header(column.header) in everywhere for column in match.columns)
            implied = match.how == "known header" and (older or proposal.template is not None or not shared)
            live = live or (shared and not implied)
            note = "" if shared else ", not on every sheet"
            start = "  " if shared and not implied else "  # "
            lines.append(f"{start}{_mapping(match)}  # {field.name_zh}: {match.score} {match.how}{note}")
        elif doubtful is not None:
            lines.append(f"  # {_mapping(doubtful)}  # {field.name_zh}? {doubtful.score}")
    if proposal.template is not None:
        yield f"# The official template {proposal.template.name_zh}: its headers are known and need not be named."
    if older:
        yield f"# Known headers mean what edition {matching.edition} says and need not be named: schemas/editions"
    yield "columns:" if live else f"columns: {{}}  # {TODO} if you add a line below, write columns: alone"
    yield from lines


def _is_older(proposal: Proposal) -> bool:
    return proposal.matching.edition != proposal.category.edition


def _in_every_table(proposal: Proposal) -> set[str]:
    headers = [{normalise_header(header) for header in table.columns} for table in proposal.tables]
    return set.intersection(*headers)


def _mapping(match: Match) -> str:
    code, header = match.field.code, match.column.header
    if len(match.columns) > 1:
        joined = ", ".join(_scalar(column.header, flow=True) for column in match.columns)
        return f"{code}: {{join: [{joined}]}}"
    if match.field.type != "amount":
        return f"{code}: {_scalar(header)}"
    unit = stated_unit(header)
    if unit == "元":
        return f"{code}: {{column: {_scalar(header, flow=True)}, unit: 元}}"
    if unit is None:
        return f"{code}: {{column: {_scalar(header, flow=True)}, unit: 万元}}  # {TODO} or 元? The header does not say"
    return f"{code}: {_scalar(header)}"


def _unfilled(proposal: Proposal, department: Department | None) -> Iterator[str]:
    category, roles = proposal.category, proposal.category.roles
    matching = proposal.matching
    given = (department.feeds.get("columns") or {}) if department else {}
    missing = [field for field in category.fields if field.code not in {*matching.proposed, *given}]
    derived = {roles.subject_kind} if roles.subject_code in matching.proposed else set()
    required = [
        field for field in missing if field.required == "always" and field.code not in {*derived, *matching.doubtful}
    ]
    constants = {
        roles.source_unit: department.name_zh if department else None,
        roles.source_unit_code: department.uscc if department else None,
    }
    if required:
        yield "  # Required, and no column fills them. A constant is honest only where it holds for every row:"
    for field in required:
        value = constants.get(field.code) or f"{TODO} {field.name_zh}"
        yield f"  # {field.code}: {{constant: {_scalar(value, flow=True)}}}  # {field.name_zh}"
    for field in missing:
        if field.code in derived:
            yield f"  # {field.code} {field.name_zh}: no column; read off the unified social credit code"
        elif field.required == "conditional" and field.code not in matching.doubtful:
            yield f"  # {field.code} {field.name_zh}: no column; {field.condition}"


def _leftovers(proposal: Proposal) -> Iterator[str]:
    doubtful = {match.column.header for match in proposal.matching.doubtful.values()}
    left = [column.header for column in proposal.matching.unmapped if column.header not in doubtful]
    if left:
        yield from _wrapped(f"Columns that fill nothing: {', '.join(map(_one_line, left))}")
    dropped, edition = proposal.matching.dropped, proposal.matching.edition
    if dropped:
        yield from _wrapped(
            f"Columns that edition {edition} reads itself or drops: {', '.join(map(_one_line, dropped))}"
        )


def _values(proposal: Proposal, code_lists: Mapping[str, CodeList]) -> Iterator[str]:
    found: list[tuple[Field, CodeList, list[str], int]] = []
    for match in proposal.matching.proposed.values():
        if match.field.type in {"enum", "enum_multi"}:
            code_list = code_list_of(match.field, proposal.category, proposal.matching.edition, code_lists)
            unknown, hidden = _unknown_values(match, code_list)
            if unknown or hidden:
                found.append((match.field, code_list, unknown, hidden))
    if not found:
        return
    yield f"# {TODO} Words that the code lists do not know: say what each means, or its rows are not accepted."
    yield "# values:"
    for field, code_list, unknown, hidden in found:
        meanings = " | ".join(_meaning(entry, code_list.stored) for entry in code_list.entries)
        yield f"#   {field.code}:  # {field.name_zh}, one of: {meanings}"
        for value in unknown:
            yield f"#     {_quoted(value)}: {TODO}"
        if hidden:
            yield f"#     # and {hidden} more that may be names, numbers or sentences: they are not shown here"


def _meaning(entry: Entry, stored: str) -> str:
    return f'"{entry.code}" ({entry.name})' if stored == "code" else entry.name


def _unknown_values(match: Match, code_list: CodeList) -> tuple[list[str], int]:
    """The words to be explained, and how many are kept back because they may say something about a person."""
    unknown = sorted(cell for cell, known in known_values(match.column, match.field, code_list).items() if not known)
    content = match.column.content
    listed = match.how == "known header" or content.repeats
    if not listed or content.distinct > _MOST_VALUES:
        return [], len(unknown)
    shown = [
        value
        for value in unknown
        if len(value) <= _LONGEST_VALUE and not _NUMBER.search(value) and mask_code(value) == value
    ]
    return shown, len(unknown) - len(shown)


def _choices(proposal: Proposal) -> Iterator[str]:
    """What only somebody who knows the department can say."""
    yield f"# dump: full  # {TODO} if each file holds all that the department has: what is gone may then be withdrawn"
    if proposal.category.roles.status in proposal.matching.proposed and not _is_older(proposal):
        yield "# A status that nobody declared holds the whole batch; this holds only its rows:"
        yield "# undeclared_status: quarantine"
    columns = (*(match.column for match in proposal.matching.proposed.values()), *proposal.matching.unmapped)
    for column in columns:
        if column.content.repeats and any(_SUMMARY_PROCEDURE in cell and len(cell) <= 8 for cell in column.cells):
            values = sorted({cell.strip() for cell in column.cells if _SUMMARY_PROCEDURE in cell and len(cell) <= 8})
            yield "# Penalties under summary procedure (简易程序) are not reported:"
            yield "# exclude:"
            yield f"#   - column: {_scalar(column.header)}"
            yield f"#     values: [{', '.join(_quoted(value) for value in values)}]"
            yield "#     reason_zh: 适用简易程序的行政处罚不属于双公示归集范围"
    changed = next(
        (column.header for column in columns if _TIME_OF_CHANGE.search(normalise_header(column.header))), None
    )
    if changed is not None:
        yield "# The row with the latest time of change holds when rows of one file contradict each other:"
        yield f"# source_timestamp: {_scalar(changed)}"
        yield "# conflict: latest_timestamp"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _COMMENT_WIDTH, initial_indent="# ", subsequent_indent="#   ", break_long_words=False)


def _scalar(text: str, *, flow: bool = False) -> str:
    """A text as YAML writes it, quoted where it must be."""
    style = [text] if flow else text
    written = yaml.safe_dump(style, allow_unicode=True, default_flow_style=flow, width=10_000).strip()
    return written.removesuffix("...").strip() if not flow else written.removeprefix("[").removesuffix("]")


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, default_style='"', width=10_000).strip()


def _one_line(text: str) -> str:
    """A name fit for a comment."""
    return "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))
