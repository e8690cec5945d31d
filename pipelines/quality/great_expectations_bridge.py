"""Great Expectations as a second judge of the same batch, inside the same session.

Nothing is copied and no value leaves the session: what comes back are counts per rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session
from pipelines.errors import StorageError
from pipelines.quality.facts import create_facts, has_facts
from pipelines.quality.rules import Rule, RuleCount, Suite


def validate_with_great_expectations(
    session: Session,
    suite: Suite,
    category: Category,
    business_date: date,
    relation: str = "standard",
    result_file: Path | None = None,
) -> list[RuleCount]:
    """Validate the facts that :func:`~pipelines.quality.compile.judge` left in the session; counts in suite order.

    Without such facts they are made from ``relation``. ``result_file`` keeps the validation result (counts only) for
    :func:`~pipelines.quality.data_docs.build_data_docs`. Raises :class:`RuntimeError` when the library cannot
    evaluate a rule that the scan could.
    """
    # The library takes seconds to import; commands that do not judge a batch need not wait for it.
    from pipelines.quality.great_expectations_engine import validate  # noqa: PLC0415
    from pipelines.quality.shared_connection import engine_arguments  # noqa: PLC0415

    if not has_facts(session):
        create_facts(session, category, relation)
    with engine_arguments(session) as arguments:
        result = validate(arguments, suite, business_date)
    return _kept(suite, result, result_file)


def run_checkpoint(session: Session, suite: Suite, table: str, result_file: Path | None = None) -> list[RuleCount]:
    """Have a checkpoint validate a small table of the session; counts in suite order.

    ``result_file`` keeps the validation result for :func:`~pipelines.quality.data_docs.build_data_docs`. Raises
    :class:`RuntimeError` when the library cannot evaluate an expectation.
    """
    from pipelines.quality.great_expectations_engine import checkpoint  # noqa: PLC0415
    from pipelines.quality.shared_connection import engine_arguments  # noqa: PLC0415

    with engine_arguments(session) as arguments:
        result = checkpoint(arguments, suite, table)
    return _kept(suite, result, result_file)


def _kept(suite: Suite, result: Mapping[str, Any], result_file: Path | None) -> list[RuleCount]:
    if result_file is not None:
        _write(result_file, json.dumps(result, ensure_ascii=False))
    outcomes = {outcome["expectation_config"]["meta"]["code"]: outcome for outcome in result["results"]}
    return [_counted(rule, outcomes[rule.code]) for rule in suite.rules]


def _counted(rule: Rule, outcome: Mapping[str, Any]) -> RuleCount:
    counts = outcome["result"]
    if "unexpected_count" not in counts:
        problem = outcome.get("exception_info") or {}
        raise RuntimeError(f"Great Expectations could not evaluate {rule.code}: {_message(problem)}")
    missing = int(counts.get("missing_count") or 0)
    return RuleCount(rule.code, int(counts["element_count"]) - missing, int(counts["unexpected_count"] or 0))


def _message(problem: Mapping[str, Any]) -> str:
    """The library nests the exceptions of metrics one level deeper than others."""
    if "exception_message" in problem:
        return str(problem["exception_message"])
    return "; ".join(str(inner.get("exception_message")) for inner in problem.values() if isinstance(inner, Mapping))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".writing")
        beside.write_text(text, encoding="utf-8")
        beside.rename(path)
    except OSError as error:
        raise StorageError(
            "cannot be written", file=path, remedy="free disk space or mend permissions, then run again"
        ) from error
