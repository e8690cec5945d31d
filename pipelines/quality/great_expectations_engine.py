"""Everything that touches Great Expectations: the only module that imports it.

Its types of our own take their SQL from :mod:`pipelines.quality.checks`; its built-in types compute as the library
does, which is what the agreement test holds against the scan. All of them return counts, never values: a value may
be personal data.

Importing this module takes seconds: only :mod:`pipelines.quality.great_expectations_bridge` does, when it is used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import great_expectations as gx
import sqlalchemy as sa
from great_expectations.core import expectationSuiteValidationResultSchema
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.core import expect_column_value_lengths_to_be_between as library_lengths
from great_expectations.expectations.core import expect_column_values_to_be_in_set as library_set
from great_expectations.expectations.core import expect_column_values_to_not_be_null as library_not_null
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.expectation_configuration import parse_result_format
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)
from great_expectations.expectations.registry import get_renderer_impl
from great_expectations.render.components import (
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    RenderedStringTemplateContent,
)
from great_expectations.render.renderer.renderer import renderer
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

from pipelines.quality.checks import Check, build_check
from pipelines.quality.compile import parameters
from pipelines.quality.facts import FACTS, ROW_NUMBER
from pipelines.quality.gate_checks import figures_of_gate, gate_check
from pipelines.quality.rule_words import check_zh
from pipelines.quality.rules import Rule, Suite
from pipelines.quality.shared_connection import URL

os.environ["GX_ANALYTICS_ENABLED"] = "false"
# Three built-in types are replaced below on purpose; the library would warn about each.
logging.getLogger("great_expectations.expectations.registry").setLevel(logging.ERROR)

_SEVERITIES = {"block": "critical", "warn": "warning", "info": "info"}
_ROWS = "guiji.rows"
_COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}


class RowsCondition(ColumnMapMetricProvider):
    """Rows for which an SQL condition is not TRUE; a bundle of these is one aggregate query."""

    condition_metric_name = _ROWS
    condition_value_keys = ("condition",)
    filter_column_isnull = False

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: Any, condition: str, **_: Any) -> Any:
        return sa.literal_column(f"({condition})")


class _InChinese:
    """How an expectation and its result are shown: the words of the rule book."""

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> list[RenderedStringTemplateContent]:
        """What is checked, and what is wrong where it is not so."""
        described = configuration or (result.expectation_config if result is not None else None)
        if described is None:
            return [_text("")]
        meta = described.meta or {}
        checked = check_zh(described.type, described.kwargs)
        return [_text(f"{meta.get('code', described.type)} {meta.get('message_zh', '')}（检查：{checked}）")]

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> str:
        """How many rows the rule applied to, how many broke it, to how many it did not apply."""
        counts = (result.result or {}) if result is not None else {}
        if "unexpected_count" not in counts:
            return "未能检查"
        missing = int(counts.get("missing_count") or 0)
        applied = int(counts["element_count"]) - missing
        return f"适用{applied:,}，不符{int(counts['unexpected_count']):,}，不适用{missing:,}"

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_STATEMENT)
    def _diagnostic_unexpected_statement_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> Any:
        """What to do, where there is something to do."""
        if result is None or result.success:
            return []
        return [_text((result.expectation_config.meta or {}).get("fix_zh", ""))]


def _text(text: str) -> RenderedStringTemplateContent:
    template = {"template": "$text", "params": {"text": text}}
    return RenderedStringTemplateContent(content_block_type="string_template", string_template=template)


class _CountsOnly(_InChinese, ColumnMapExpectation):
    """Asks for counts alone: no query ever fetches a value, and all counts of a suite fit one query."""

    def get_validation_dependencies(
        self,
        execution_engine: ExecutionEngine[Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
        **_: Any,
    ) -> ValidationDependencies:
        counts = {**(runtime_configuration or {}), "result_format": "BOOLEAN_ONLY"}
        dependencies = super().get_validation_dependencies(execution_engine, counts)
        # The counts are there; this only makes the result report them.
        dependencies.result_format = parse_result_format(_COUNTS_ONLY)
        return dependencies


class ExpectColumnValuesToNotBeNull(_CountsOnly, library_not_null.ExpectColumnValuesToNotBeNull):
    """The library's own, counts only."""


class ExpectColumnValuesToBeInSet(_CountsOnly, library_set.ExpectColumnValuesToBeInSet):
    """The library's own, counts only."""


class ExpectColumnValueLengthsToBeBetween(_CountsOnly, library_lengths.ExpectColumnValueLengthsToBeBetween):
    """The library's own, counts only."""


class _RowExpectation(_InChinese, ColumnMapExpectation):
    """A check of ours: rows that it applies to, and rows that break it."""

    own_arguments: ClassVar[tuple[str, ...]] = ()

    def get_validation_dependencies(
        self,
        execution_engine: ExecutionEngine[Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
        **_: Any,
    ) -> ValidationDependencies:
        given = self.configuration.kwargs
        arguments = {name: given[name] for name in ("column", *self.own_arguments) if given.get(name) is not None}
        check = self._check(arguments)
        dependencies = ValidationDependencies(result_format=parse_result_format(_COUNTS_ONLY))
        table = {"batch_id": given["batch_id"]} if given.get("batch_id") is not None else {}
        # Many rules apply under the same condition; asked of one column, they are one metric.
        conditions = [("failed", given["column"], check.broken), ("applied", ROW_NUMBER, check.applies)]
        looked_at = self._looked_at(arguments)
        if looked_at is not None:
            conditions.append(("rows", ROW_NUMBER, looked_at))
        for name, column, condition in conditions:
            metric = MetricConfiguration(
                f"{_ROWS}.unexpected_count",
                {**table, "column": column},
                {"condition": f"NOT coalesce({condition}, FALSE)"},
            )
            dependencies.set_metric_configuration(name, metric)
        if looked_at is None:
            dependencies.set_metric_configuration("rows", MetricConfiguration("table.row_count", table, {}))
        return dependencies

    @classmethod
    def _check(cls, arguments: dict[str, Any]) -> Check:
        """What is asked of a row."""
        return build_check(cls.expectation_type, arguments)

    @classmethod
    def _looked_at(cls, arguments: dict[str, Any]) -> str | None:
        """Which rows of the table the expectation is about, in SQL; None for all of them."""
        return None

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine[Any] | None = None,
    ) -> dict[str, Any]:
        failed, applied, rows = (int(metrics[name] or 0) for name in ("failed", "applied", "rows"))
        return {
            "success": failed == 0,
            "result": {
                "element_count": rows,
                "missing_count": rows - applied,
                "unexpected_count": failed,
                "unexpected_percent": 100 * failed / applied if applied else None,
            },
        }


class ExpectRowsToSatisfy(_RowExpectation):
    """A predicate over the facts, for rows that ``applies_when`` selects (default: the column is filled)."""

    map_metric = _ROWS
    own_arguments = ("predicate", "applies_when")
    predicate: str
    applies_when: str | None = None


class ExpectColumnToBePresentWhen(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("condition",)
    condition: str


class ExpectColumnToBeBlankWhen(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("condition",)
    condition: str


class ExpectColumnBytesToBeAtMost(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("max_value", "encoding")
    max_value: int
    encoding: str


class ExpectColumnToFollowCodeList(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("values", "open_entry", "separator")
    values: list[str]
    open_entry: str | None = None
    separator: str | None = None


class ExpectColumnOpenEntryToBeExplained(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("open_entry", "separator")
    open_entry: str
    separator: str | None = None


class ExpectColumnDatesToBeReadable(_RowExpectation):
    map_metric = _ROWS


class ExpectColumnAmountsToBeReadable(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("min_value",)
    min_value: str | None = None


class ExpectColumnDatesToBeNotAfter(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("latest",)
    latest: str | dict[str, Any]


class ExpectColumnDatesToBeNotBefore(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("earliest",)
    earliest: str | dict[str, Any]


class ExpectSourceTimestampToBeNotAfter(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("latest",)
    latest: str | dict[str, Any]


class ExpectColumnDatesToFollow(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("earlier",)
    earlier: str


class ExpectColumnCodeVerdictToBeAccepted(_RowExpectation):
    map_metric = _ROWS
    own_arguments = ("refused", "unless")
    refused: list[str]
    unless: str | None = None


class ExpectFiguresToBeAsUsual(_RowExpectation):
    """A gate: its figures in a table of figures lie between their limits. ``gate`` names the gate."""

    map_metric = _ROWS
    own_arguments = ("gate",)
    gate: str

    @classmethod
    def _check(cls, arguments: dict[str, Any]) -> Check:
        return gate_check(**arguments)

    @classmethod
    def _looked_at(cls, arguments: dict[str, Any]) -> str:
        return figures_of_gate(arguments["gate"])


def validate(arguments: dict[str, Any], suite: Suite, business_date: date) -> dict[str, Any]:
    """Validate the view ``facts`` over the engine that ``arguments`` make; the result as JSON-ready data."""
    asset = _asset(_context(), arguments, suite, FACTS)
    # Validated as it is: what a context keeps of definitions and results it would serialize, for a second each batch.
    result = (
        asset.add_batch_definition_whole_table("batch")
        .get_batch()
        .validate(
            great_expectations_suite(suite),
            result_format=_COUNTS_ONLY,
            expectation_parameters=parameters(business_date),
        )
    )
    data: dict[str, Any] = result.to_json_dict()
    return data


def checkpoint(arguments: dict[str, Any], suite: Suite, table: str) -> dict[str, Any]:
    """Run a checkpoint with one suite over one table of the session; its result as JSON-ready data."""
    context = _context()
    definition: gx.ValidationDefinition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=suite.name,
            data=_asset(context, arguments, suite, table).add_batch_definition_whole_table("batch"),
            suite=context.suites.add(great_expectations_suite(suite)),
        )
    )
    defined = context.checkpoints.add(
        gx.Checkpoint(name=suite.name, validation_definitions=[definition], result_format=_COUNTS_ONLY)
    )
    (result,) = defined.run().run_results.values()
    data: dict[str, Any] = result.to_json_dict()
    return data


def _context() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _asset(context: Any, arguments: dict[str, Any], suite: Suite, table: str) -> Any:
    source = context.data_sources.add_sql(
        name="session", connection_string=URL, kwargs=arguments, create_temp_table=False
    )
    # A table asset: of a query asset the library reads every row to learn the names of its columns.
    return source.add_table_asset(name=suite.name, table_name=table)


def great_expectations_suite(suite: Suite) -> gx.ExpectationSuite:
    """A suite with all its rules, written or derived, as the library's own object."""
    return gx.ExpectationSuite(
        name=suite.name,
        expectations=[
            {
                "type": rule.type,
                "kwargs": dict(rule.kwargs),
                "severity": _SEVERITIES[rule.severity],
                "meta": _meta(rule),
            }
            for rule in suite.rules
        ],
    )


@dataclass(frozen=True)
class RenderedResult:
    """One expectation of a validation result in the words of its registered renderers, with its counts."""

    meta: Mapping[str, str]
    column: str
    checked: str
    observed: str
    remedy: str
    applied: int
    failed: int
    not_applicable: int


def rendered(result: dict[str, Any]) -> list[RenderedResult]:
    """A validation result that was read from its file, in words; results in the order of the suite."""
    loaded = expectationSuiteValidationResultSchema.load(result)
    return [_rendered(one) for one in loaded.results]


def _rendered(one: Any) -> RenderedResult:
    described, counts = one.expectation_config, one.result or {}
    missing = int(counts.get("missing_count") or 0)
    return RenderedResult(
        meta=described.meta or {},
        column=str(described.kwargs.get("column", "")),
        checked=_words(one, LegacyRendererType.PRESCRIPTIVE),
        observed=_words(one, LegacyDiagnosticRendererType.OBSERVED_VALUE),
        remedy=_words(one, LegacyDiagnosticRendererType.UNEXPECTED_STATEMENT),
        applied=int(counts.get("element_count") or 0) - missing,
        failed=int(counts.get("unexpected_count") or 0),
        not_applicable=missing,
    )


def _words(one: Any, renderer_type: str) -> str:
    """What the registered renderer of an expectation says about its result, as plain text."""
    found = get_renderer_impl(one.expectation_config.type, renderer_type)
    if found is None:
        return ""
    content: Any = found.renderer(result=one)
    if isinstance(content, str):
        return content
    return "".join(str(part.string_template["params"]["text"]) for part in content)


def _meta(rule: Rule) -> dict[str, str]:
    return {
        "code": rule.code,
        "owner": rule.owner,
        "severity": rule.severity,
        "dimension": rule.dimension,
        "family": rule.family,
        "version": str(rule.version),
        "message_zh": rule.message_zh,
        "fix_zh": rule.fix_zh,
        "source": rule.source,
    }
