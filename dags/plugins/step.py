"""How a step of guiji becomes an Airflow task: its parameters, its errors, its retries."""

from __future__ import annotations

import datetime
import functools
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from airflow.sdk import Connection, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

from pipelines.errors import (
    BatchHeldError,
    CalendarError,
    CatalogueError,
    ConservationError,
    ExtractError,
    GuijiError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

# What the same input will bring about again, however often it is tried.
BEYOND_RETRY = (CatalogueError, CalendarError, ExtractError, BatchHeldError, ConservationError)

# Retried after half a minute, two minutes and eight minutes.
DEFAULTS: dict[str, Any] = {
    "owner": "guiji",
    "retries": 3,
    "retry_delay": datetime.timedelta(seconds=30),
    "retry_exponential_backoff": 4.0,
    # A feed that was begun comes before one that was not: its records are out sooner, and fewer files lie half done.
    "weight_rule": "upstream",
}


def business_date_parameter() -> dict[str, Param]:
    """The field in which an operator names the business date when she starts a run by hand."""
    return {
        "business_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="业务日期",
            description="留空为前一日 / empty: the day before",
        )
    }


def step(work: Callable[P, R]) -> Callable[P, R]:
    """Wrap the body of a task so that what it raises is short, tells what to do and holds no personal data.

    A :class:`GuijiError` is passed on by its message; one that no retry can mend fails the task at once. Of any
    other exception only the kind and the place are passed on: its text may hold a row.
    """

    @functools.wraps(work)
    def task_body(*args: P.args, **kwargs: P.kwargs) -> R:
        failure: AirflowException
        try:
            lend_lake_key()
            return work(*args, **kwargs)
        except BEYOND_RETRY as error:
            failure = AirflowFailException(str(error))
        except GuijiError as error:
            failure = AirflowException(str(error))
        except AirflowException:
            raise
        except Exception as error:  # noqa: BLE001 - nothing is swallowed: it fails the task below
            failure = AirflowException(f"{type(error).__name__} at {_place(error)}")
        # Raised here, outside of the handlers: an exception raised inside one carries the first one's text along.
        raise failure

    return task_body


def lend_lake_key() -> None:
    """Put the password of the Airflow connection ``guiji_lake`` where the record store looks for its key.

    A variable that is already set wins. The change lasts as long as the task's own process.
    """
    if "GUIJI_LAKE_KEY" in os.environ:
        return
    try:
        key = Connection.get("guiji_lake").password
    except AirflowNotFoundException:
        return
    if key:
        os.environ["GUIJI_LAKE_KEY"] = key


def lend_connections() -> None:
    """Put the addresses and tokens of Airflow connections where ``operations`` look for them.

    The connection is called like the endpoint (``AIRFLOW_CONN_<ENDPOINT>`` or one kept by Airflow); its
    password is the token, its host the address. A variable that is already set wins. The change lasts as long
    as the task's own process.
    """
    from pipelines.catalogue.catalogue import load_catalogue  # noqa: PLC0415 - not while DAG files are parsed
    from pipelines.settings import Settings  # noqa: PLC0415

    for endpoint in load_catalogue(Settings()).endpoints.values():
        try:
            connection = Connection.get(endpoint.endpoint)
        except AirflowNotFoundException:
            continue
        if connection.password:
            os.environ.setdefault(endpoint.secret_variable, connection.password)
        if connection.host and endpoint.url_variable:
            os.environ.setdefault(endpoint.url_variable, _address(connection))


def _address(connection: Connection) -> str:
    host = connection.host or ""
    if "://" in host:
        return host
    scheme = connection.conn_type if connection.conn_type in ("http", "https") else "https"
    return f"{scheme}://{host}:{connection.port}" if connection.port else f"{scheme}://{host}"


def _place(error: BaseException) -> str:
    """The innermost place of an exception inside guiji, else the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "pipelines" in Path(frame.filename).parts] or frames
    return f"{ours[-1].filename}:{ours[-1].lineno} in {ours[-1].name}"
