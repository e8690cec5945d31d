"""Standard rows in SQL: one scan that tests every row cheaply, and the repairs of the few rows that fail the test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Exclusion, Feed
from pipelines.engine.duck import identifier, literal
from pipelines.engine.rows import RowsPart
from pipelines.normalize.columns import ColumnPlan, FieldSource
from pipelines.normalize.steps import nested_sql, stages
from pipelines.normalize.treatments import Treatment

# Columns of a part that are no part of a standard row. _suspect: the sum of the suspicions that the row raised;
# _kind_derived: the kind of its subject was read off the code; _number_borrowed: the number of the licence stands for
# the missing number of the decision.
HIDDEN = ("_suspect", "_kind_derived", "_number_borrowed")
SUSPICIONS = {"text": 1, "name": 2, "pattern": 4, "always": 8}

# Whether a subject is an organisation is read off its code only when the code is one.
_ORGANISATION_VERDICTS = "('valid', 'issued_nonstandard')"


@dataclass(frozen=True)
class Cell:
    """One field that a source column fills; ``number`` tells its columns apart inside a query."""

    number: int
    source: FieldSource

    @property
    def treatment(self) -> Treatment:
        return self.source.treatment

    @property
    def column(self) -> str:
        """The column of the part that holds the field."""
        return identifier(self.source.field.code)

    @property
    def untidy(self) -> str:
        return f"untidy{self.number}"

    @property
    def value(self) -> str:
        return f"value{self.number}"

    @property
    def key(self) -> str:
        return f"key{self.number}"

    @property
    def lookup_table(self) -> str:
        return f"normalize_lookup_{self.number}"

    @property
    def came(self) -> str:
        """The column with the cells that a made value comes from, as a list."""
        return f"_came{self.number}"

    @property
    def cells(self) -> list[str]:
        """SQL of the source cells; empty is NULL."""
        return [f"nullif({identifier(column)}, '')" for column in self.source.columns]

    @property
    def cells_that_came(self) -> list[str]:
        """SQL of the same cells, read from the column :attr:`came`."""
        return [f"{self.came}[{place}]" for place, _ in enumerate(self.source.columns, 1)]

    def made(self, cells: Sequence[str]) -> str:
        """SQL of the value that is made of ``cells``. A cell that says "nothing" is not joined."""
        how = self.source.how
        if how is None or not self.source.is_made:
            return cells[0]
        if how.split is not None:
            return f"nullif(trimmed(string_split({cells[0]}, {literal(how.split.by)})[{how.split.part}]), '')"
        filled = ", ".join(f"text_or_null(trimmed({cell}))" for cell in cells)
        return f"nullif(concat_ws({literal(how.separator)}, {filled}), '')"


@dataclass(frozen=True)
class PartQueries:
    """All SQL for one part of a run: its rows gather in ``table``, those to be repaired in ``suspects``."""

    table: str
    suspects: str
    part: RowsPart
    plan: ColumnPlan
    feed: Feed
    category: Category

    @property
    def cells(self) -> list[Cell]:
        """The fields that source columns fill."""
        return [Cell(number, source) for number, source in enumerate(self.plan.sources) if source.columns]

    @property
    def made_cells(self) -> list[Cell]:
        """The fields whose values are joined or split."""
        return [cell for cell in self.cells if cell.source.is_made]

    @property
    def extra(self) -> dict[str, str]:
        """Source columns that are read for their own sake (exclusions, time stamp) and the columns they go to."""
        wanted = [self.plan.column(exclusion.column) for exclusion in self.feed.exclude]
        found = dict.fromkeys(column for column in (*wanted, self.plan.timestamp) if column is not None)
        return {column: f"_extra{number}" for number, column in enumerate(found)}

    @property
    def hidden(self) -> tuple[str, ...]:
        """Columns of the part's table that are no part of a standard row."""
        assumed = (_assumed(number) for number, _ in enumerate(self.plan.assumptions))
        return (*HIDDEN, *assumed, *self.carried)

    @property
    def carried(self) -> tuple[str, ...]:
        """What only the work on the part needs: a status that is no field, extra columns, cells of made values."""
        beside = (s.field.code for s in self.plan.sources if s.field.code not in self.category.field_codes)
        return (*beside, *self.extra.values(), *(cell.came for cell in self.made_cells))

    def scan(self) -> str:
        """Every row of the part as it came, finished unless it is suspect."""
        cells = self.cells
        columns = [f"CAST({self.part.row_offset} + file_row_number AS BIGINT) AS row_no"]
        columns.append(f"CAST({self.part.line_expression} AS BIGINT) AS line")
        columns.append(f"{self.part.sheet_expression} AS sheet")
        columns += [f"{cell.made(cell.cells)} AS {cell.value}" for cell in cells]
        columns += [f"[{', '.join(cell.cells)}] AS {cell.came}" for cell in self.made_cells]
        columns += [f"nullif(trimmed({identifier(column)}), '') AS {name}" for column, name in self.extra.items()]
        query = f"SELECT {', '.join(columns)} FROM {self.part.source}"
        return self._finished(f"SELECT *, {_suspicion(cells)} AS _suspect FROM ({query})", "_suspect")

    def suspect_rows(self) -> str:
        """The rows of the part that raised a suspicion, and which of their values do need the repairs."""
        tests = ", ".join(f"{_is_untidy_cell(cell)} AS {cell.untidy}" for cell in self.cells)
        return f"SELECT *, {tests} FROM {self.table} WHERE _suspect > 0"

    def keys(self, cell: Cell) -> str:
        """The different values of a field of suspect rows that have to be looked up, as ``key``."""
        query = f"SELECT {cell.column} AS value FROM {self.suspects} WHERE {cell.untidy}"
        for group in stages(cell.treatment.steps):
            query = f"SELECT {nested_sql(group, 'value')} AS value FROM ({query})"
        return f"SELECT DISTINCT value AS key FROM ({query}) WHERE {_needs_lookup(cell.treatment, 'value')}"

    def repaired(self, untidy: Sequence[Cell], looked_up: Sequence[Cell]) -> str:
        """The suspect rows, repaired in the fields that hold ``untidy`` values, and finished."""
        values = ", ".join(f"{cell.column} AS {cell.value}" for cell in self.cells)
        query = f"SELECT *, {values} FROM {self.suspects}"
        query = _look_ups(_repairs(query, untidy), looked_up)
        return self._finished(query, "0")

    def _finished(self, query: str, suspect: str) -> str:
        """Rows with all columns of the part; constants, kind, number and exclusions follow from the field values."""
        kind = self.category.roles.subject_kind
        stated = self._value(kind)
        if self.part.fixed_subject_kind is not None:
            stated = f"coalesce({stated}, {literal(self.part.fixed_subject_kind)})"
        code = self._value(self.category.roles.subject_code)
        derived = (
            f"CASE WHEN {stated} IS NULL AND uscc_verdict({code}) IN {_ORGANISATION_VERDICTS} "
            f"THEN CASE WHEN starts_with({code}, '92') THEN '个体工商户' ELSE '法人及非法人组织' END END"
        )
        # The code of a suspect row says nothing before it is repaired.
        derived = f"CASE WHEN {suspect} = 0 THEN {derived} END"
        values = {code: self._value(code) for code in self.category.field_codes}
        number, fallback = self.category.roles.document_number, self.category.roles.document_number_fallback
        borrowed = "CAST(NULL AS VARCHAR)"
        if fallback is not None:
            borrowed = f"CASE WHEN {suspect} = 0 AND {values[number]} IS NULL THEN {values[fallback]} END"
        added = f"{stated} AS stated_kind, {derived} AS derived_kind, {borrowed} AS borrowed_number"
        query = f"SELECT *, {added} FROM ({query})"
        values[kind] = "coalesce(stated_kind, derived_kind)"
        values[number] = f"coalesce({values[number]}, borrowed_number)"
        timestamp = self.plan.timestamp
        beside = {
            source.field.code: self._value(source.field.code)
            for source in self.plan.sources
            if source.field.code not in values
        }
        columns = [
            "row_no",
            f"{literal(self.part.extract)} AS extract",
            "sheet",
            "line",
            *(f"{value} AS {identifier(code)}" for code, value in values.items()),
            f"{self._exclusion({**values, **beside})} AS excluded_reason",
            f"{'CAST(NULL AS VARCHAR)' if timestamp is None else f'sortable_timestamp({self.extra[timestamp]})'} "
            "AS source_timestamp",
            f"{suspect} AS _suspect",
            "derived_kind IS NOT NULL AS _kind_derived",
            "borrowed_number IS NOT NULL AS _number_borrowed",
            *(f"{value} AS {identifier(code)}" for code, value in beside.items()),
            *self.extra.values(),
            *(cell.came for cell in self.made_cells),
        ]
        return self._with_assumptions(f"SELECT {', '.join(columns)} FROM ({query})")

    def _with_assumptions(self, query: str) -> str:
        """Empty fields filled with what the edition assumes, in rows that need no repair any more."""
        if not self.plan.assumptions:
            return query
        flags, filled = [], {}
        for number, assumption in enumerate(self.plan.assumptions):
            field = identifier(assumption.field)
            value = identifier(assumption.copy_of) if assumption.copy_of else literal(assumption.value or "")
            conditions = ["_suspect = 0", f"{field} IS NULL", f"{value} IS NOT NULL"]
            conditions += [f"{identifier(code)} IS NOT NULL" for code in assumption.present]
            conditions += [f"{identifier(code)} IS NULL" for code in assumption.absent]
            flags.append(f"{' AND '.join(conditions)} AS {_assumed(number)}")
            filled[field] = f"CASE WHEN {_assumed(number)} THEN {value} ELSE {field} END AS {field}"
        return f"SELECT * REPLACE ({', '.join(filled.values())}) FROM (SELECT *, {', '.join(flags)} FROM ({query}))"

    def assumed(self) -> list[tuple[str, str, str]]:
        """(flag column, field, rule) of every assumption."""
        return [(_assumed(number), a.field, a.rule) for number, a in enumerate(self.plan.assumptions)]

    def _value(self, code: str) -> str:
        """The value of a field, with its constant where it is empty."""
        source = self.plan.source(code)
        constant = "CAST(NULL AS VARCHAR)" if source.constant is None else literal(source.constant)
        if not source.columns:
            return constant
        value = Cell(self.plan.sources.index(source), source).value
        return value if source.constant is None else f"coalesce({value}, {constant})"

    def _exclusion(self, values: dict[str, str]) -> str:
        cases = [
            f"WHEN {_matches(exclusion, values, self.extra, self.plan)} THEN {literal(exclusion.reason_zh)}"
            for exclusion in self.feed.exclude
        ]
        if self.plan.status is not None:
            state = values[self.plan.status.code]
            cases += [
                f"WHEN {state} = {literal(revoked)} THEN {literal(reason)}"
                for revoked, reason in self.plan.status.revoked.items()
            ]
        return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"


def _matches(exclusion: Exclusion, values: dict[str, str], extra: dict[str, str], plan: ColumnPlan) -> str:
    column = plan.column(exclusion.column)
    value = values[exclusion.column] if exclusion.column in values else extra[column or ""]
    if exclusion.match == "equals":
        return _is_one_of(value, exclusion.values)
    return " OR ".join(f"contains({value}, {literal(text)})" for text in exclusion.values)


def _suspicion(cells: Sequence[Cell]) -> str:
    """Which of the :data:`SUSPICIONS` a row raises, as a sum.

    One test per row and kind of field: nearly all rows are tidy, and cost little more than reading them.
    """
    texts = [cell.value for cell in cells if cell.treatment.test != "pattern"]
    names = [cell.value for cell in cells if cell.treatment.test == "name"]
    patterns = [cell for cell in cells if cell.treatment.test == "pattern"]
    tests = {"always": " OR ".join(_is_one_of(c.value, c.treatment.always) for c in cells if c.treatment.always)}
    if texts:
        tests["text"] = f"may_be_untidy('|' || concat_ws('|', {', '.join(texts)}) || '|')"
    if names:
        tests["name"] = f"has_narrow_brackets(concat_ws('|', {', '.join(names)}))"
    if patterns:
        values = ", '|', ".join(f"coalesce({cell.value}, '')" for cell in patterns)
        tidy = r"\|".join(f"(?:{cell.treatment.tidy})?" for cell in patterns)
        tests["pattern"] = f"NOT regexp_full_match(concat({values}), {literal(tidy)})"
    weighed = [f"CASE WHEN {test} THEN {SUSPICIONS[name]} ELSE 0 END" for name, test in tests.items() if test]
    return " + ".join(weighed)


def _is_untidy_cell(cell: Cell) -> str:
    """The test of one value, made only where its row raised the suspicion."""
    treatment = cell.treatment
    raised = SUSPICIONS[treatment.test] | (SUSPICIONS["text"] if treatment.test == "name" else 0)
    if treatment.always:
        raised |= SUSPICIONS["always"]
    return f"CASE WHEN _suspect & {raised} > 0 THEN {_is_untidy(treatment, cell.column)} ELSE false END"


def _is_untidy(treatment: Treatment, value: str) -> str:
    """Whether one value may need a repair: never false when it does."""
    if treatment.test == "pattern":
        test = f"NOT regexp_full_match({value}, {literal(treatment.tidy)})"
    else:
        test = f"is_untidy('|' || {value} || '|')"
        if treatment.test == "name":
            test += f" OR has_narrow_brackets({value})"
    if treatment.always:
        test += f" OR {_is_one_of(value, treatment.always)}"
    return f"coalesce({test}, false)"


def _repairs(query: str, cells: Sequence[Cell]) -> str:
    """A projection per stage, so that no step computes its argument twice."""
    staged = {cell: stages(cell.treatment.steps) for cell in cells}
    for depth in range(max((len(groups) for groups in staged.values()), default=0)):
        replaced = [
            f"CASE WHEN {cell.untidy} THEN {nested_sql(groups[depth], cell.value)} "
            f"ELSE {cell.value} END AS {cell.value}"
            for cell, groups in staged.items()
            if depth < len(groups)
        ]
        query = f"SELECT * REPLACE ({', '.join(replaced)}) FROM ({query})"
    return query


def _look_ups(query: str, cells: Sequence[Cell]) -> str:
    if not cells:
        return query
    keys = [
        f"CASE WHEN {cell.untidy} AND {_needs_lookup(cell.treatment, cell.value)} THEN {cell.value} END AS {cell.key}"
        for cell in cells
    ]
    replaced = [
        f"CASE WHEN q.{cell.key} IS NULL THEN q.{cell.value} ELSE {cell.lookup_table}.value END AS {cell.value}"
        for cell in cells
    ]
    joins = " ".join(f"LEFT JOIN {cell.lookup_table} ON q.{cell.key} = {cell.lookup_table}.key" for cell in cells)
    return f"SELECT q.* REPLACE ({', '.join(replaced)}) FROM (SELECT *, {', '.join(keys)} FROM ({query})) q {joins}"


def _needs_lookup(treatment: Treatment, value: str) -> str:
    test = f"NOT regexp_full_match({value}, {literal(treatment.settled)})"
    if treatment.always:
        test += f" OR {_is_one_of(value, treatment.always)}"
    return f"({test})"


def _assumed(number: int) -> str:
    return f"_assumed{number}"


def _is_one_of(value: str, texts: Iterable[str]) -> str:
    return f"{value} IN ({', '.join(literal(text) for text in texts)})"
