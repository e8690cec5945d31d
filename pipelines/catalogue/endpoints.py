"""Endpoints: who receives records, how they are asked and what they answer."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field as Value
from pydantic import model_validator

from pipelines.catalogue.yaml_source import Strict


class Retry(Strict):
    """Back-off between attempts, in seconds: ``first`` × ``factor``ⁿ, never above ``longest``."""

    attempts: int = Value(default=5, ge=1)
    first_seconds: float = Value(default=1.0, gt=0)
    factor: float = Value(default=2.0, ge=1)
    longest_seconds: float = Value(default=60.0, gt=0)


class ResultMeaning(Strict):
    """Which values of the result code mean what."""

    accepted: tuple[str, ...]
    rejected: tuple[str, ...]
    duplicate: tuple[str, ...]


class Endpoint(Strict):
    """A receiver that speaks REST with JSON packages and per-record receipts.

    ``url_variable`` and ``token_variable`` name environment variables: no address with credentials and no
    secret ever stands in a file. ``restricted_fields`` are sent only to government sharing platforms. ``acceptance``
    names the profiles in ``expectations/acceptance`` that say what this receiver takes.
    """

    endpoint: str = Value(pattern=r"^[a-z][a-z0-9_]*$")
    name_zh: str
    protocol: Literal["rest"]
    audience: Literal["sharing", "public"]
    categories: tuple[str, ...] = Value(min_length=1)
    url: str
    url_variable: str | None = None
    token_variable: str
    submit_path: str
    receipts_path: str
    package_size: int = Value(default=500, ge=1, le=5000)
    timeout_seconds: float = Value(default=60.0, gt=0)
    date_format: str = "%Y/%m/%d"
    restricted_fields: Literal["send", "drop"] = "drop"
    retry: Retry = Retry()
    receipt_wait_seconds: float = Value(default=60.0, gt=0)
    results: ResultMeaning
    acceptance: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _restricted_fields_stay_inside(self) -> Self:
        if self.audience == "public" and self.restricted_fields == "send":
            raise ValueError("restricted_fields: send is for sharing platforms; a public audience gets drop")
        return self
