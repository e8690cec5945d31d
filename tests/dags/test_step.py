"""What an operator sees of a failed task, and which failures are tried again."""

from __future__ import annotations

import traceback

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from sqlalchemy.exc import OperationalError
from step import step

from pipelines.errors import (
    BatchHeldError,
    CalendarError,
    CatalogueError,
    ConservationError,
    DeliveryError,
    ExtractError,
    GuijiError,
    RunConflictError,
    SourceError,
    StorageError,
)


def fail_with(error: BaseException) -> AirflowException:
    def work() -> None:
        raise error

    with pytest.raises(AirflowException) as caught:
        step(work)()
    return caught.value


@pytest.mark.parametrize("kind", [CatalogueError, CalendarError, ExtractError, BatchHeldError, ConservationError])
def test_what_no_retry_can_mend_fails_at_once(kind: type[GuijiError]) -> None:
    failure = fail_with(kind("it is so", remedy="do that", file="inbox/a.csv", line=7))
    assert isinstance(failure, AirflowFailException)
    assert str(failure) == "inbox/a.csv, line 7: it is so — do that"


@pytest.mark.parametrize("kind", [SourceError, DeliveryError, RunConflictError, StorageError, GuijiError])
def test_what_may_pass_is_tried_again(kind: type[GuijiError]) -> None:
    failure = fail_with(kind("it is down", remedy="wait"))
    assert not isinstance(failure, AirflowFailException)
    assert str(failure) == "it is down — wait"


def test_an_unforeseen_failure_says_where_but_not_what() -> None:
    failure = fail_with(ValueError("11010519491231002X 张三"))
    printed = "".join(traceback.format_exception(failure))
    assert "11010519491231002X" not in printed
    assert "张三" not in printed
    assert str(failure).startswith("ValueError at ")
    assert "in work" in str(failure)


def test_a_ledger_that_cannot_be_reached_is_tried_again_and_its_address_is_not_told() -> None:
    failure = fail_with(OperationalError("INSERT", {"name": "张三"}, Exception("postgresql://guiji:secret@db is down")))
    assert not isinstance(failure, AirflowFailException)
    assert str(failure).startswith("OperationalError at ")
    assert "secret" not in str(failure)


def test_no_stack_trace_of_the_first_error_is_dragged_along() -> None:
    failure = fail_with(ExtractError("it is so", remedy="do that"))
    assert failure.__cause__ is None
    assert failure.__context__ is None


def test_an_interrupt_is_not_mistaken_for_a_failure() -> None:
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step(work)()


def test_the_result_and_the_name_of_the_step_are_kept() -> None:
    def pull() -> str:
        """Pull."""
        return "a run"

    assert step(pull)() == "a run"
    assert (step(pull).__name__, step(pull).__doc__) == ("pull", "Pull.")
