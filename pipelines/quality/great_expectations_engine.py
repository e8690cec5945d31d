"""Everything that touches Great Expectations: the only module that imports it.

Its types of our own take their SQL from :mod:`pipelines.quality.checks`; its built-in types compute as the library
does, which is what the agreement test holds against the scan. All of them return counts, never values: a value may
be personal data.

Importing this module takes seconds: only :mod:`pipelines.quality.great_expectations_bridge` does, when it is used.
"""

from __future__ import annotations

import logging
import os
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
from great_expectations.render.components import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.renderer.renderer import renderer
from great_expectations.render.view.view import DefaultJinjaPageView
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

from pipelines.quality.checks import build_check
from pipelines.quality.compile import parameters
from pipelines.quality.facts import FACTS, ROW_NUMBER
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


class _CountsOnly(ColumnMapExpectation):
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


class _RowExpectation(ColumnMapExpectation):
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
        check = build_check(self.expectation_type, arguments)
        dependencies = ValidationDependencies(result_format=parse_result_format(_COUNTS_ONLY))
        table = {"batch_id": given["batch_id"]} if given.get("batch_id") is not None else {}
        # Many rules apply under the same condition; asked of one column, they are one metric.
        for name, column, condition in (
            ("failed", given["column"], check.broken),
            ("applied", ROW_NUMBER, check.applies),
        ):
            metric = MetricConfiguration(
                f"{_ROWS}.unexpected_count",
                {**table, "column": column},
                {"condition": f"NOT coalesce({condition}, FALSE)"},
            )
            dependencies.set_metric_configuration(name, metric)
        dependencies.set_metric_configuration("rows", MetricConfiguration("table.row_count", table, {}))
        return dependencies

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

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> list[RenderedStringTemplateContent]:
        described = configuration or (result.expectation_config if result is not None else None)
        meta = (described.meta or {}) if described is not None else {}
        text = f"{meta.get('code', cls.expectation_type)}: {meta.get('message_zh', '')}"
        template = {"template": "$text", "params": {"text": text}}
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=template)]


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


def validate(arguments: dict[str, Any], suite: Suite, business_date: date) -> dict[str, Any]:
    """Validate the view ``facts`` over the engine that ``arguments`` make; the result as JSON-ready data."""
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_sql(  # type: ignore[call-arg]
        name="session", connection_string=URL, kwargs=arguments, create_temp_table=False
    )
    # A table asset: of a query asset the library reads every row to learn the names of its columns.
    asset = source.add_table_asset(name=suite.name, table_name=FACTS)
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=suite.name,
            data=asset.add_batch_definition_whole_table("batch"),
            suite=context.suites.add(great_expectations_suite(suite)),
        )
    )
    result = definition.run(result_format=_COUNTS_ONLY, expectation_parameters=parameters(business_date))
    data: dict[str, Any] = result.to_json_dict()  # type: ignore[no-untyped-call]
    return data


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


def render_page(result: dict[str, Any]) -> str:
    """The library's page for a validation result that was read from its file."""
    loaded = expectationSuiteValidationResultSchema.load(result)
    page: str = DefaultJinjaPageView().render(  # type: ignore[no-untyped-call]
        ValidationResultsPageRenderer().render(loaded)
    )
    return page


def _meta(rule: Rule) -> dict[str, str]:
    return {
        "code": rule.code,
        "owner": rule.owner,
        "dimension": rule.dimension,
        "message_zh": rule.message_zh,
        "fix_zh": rule.fix_zh,
        "source": rule.source,
    }
