"""Endpoints: who receives records, how they are asked and what they answer."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, time, timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field as Value
from pydantic import ValidationInfo, field_validator, model_validator

from pipelines.catalogue.protocols import XML_NAME, ExchangeTable, Rest, SftpFile, XmlService
from pipelines.catalogue.yaml_source import Strict

Operation = Literal["new", "update", "withdraw", "objection_on", "objection_off"]
Family = Literal["content", "withdrawal", "objection"]
FAMILY: dict[str, Family] = {
    "new": "content",
    "update": "content",
    "withdraw": "withdrawal",
    "objection_on": "objection",
    "objection_off": "objection",
}

SCHEMES = {
    "rest": ("https", "http"),
    "xml_service": ("https", "http"),
    "exchange_table": ("postgresql", "mariadb", "mysql"),
    "sftp_file": ("sftp",),
}
"""How the address of an endpoint may begin, by protocol."""


class Retry(Strict):
    """Back-off between attempts, in seconds: ``first`` × ``factor``ⁿ, never above ``longest``."""

    attempts: int = Value(default=5, ge=1)
    first_seconds: float = Value(default=1.0, gt=0)
    factor: float = Value(default=2.0, ge=1)
    longest_seconds: float = Value(default=60.0, gt=0)


class Breaker(Strict):
    """After ``failures`` deliveries in a row that ended with a dead endpoint, it is left alone for a while.

    The pause grows like a back-off from ``first_minutes`` to ``longest_minutes``; then one package may try.
    """

    failures: int = Value(default=3, ge=1)
    first_minutes: float = Value(default=15.0, gt=0)
    longest_minutes: float = Value(default=240.0, gt=0)


class ResultMeaning(Strict):
    """Which values of the result code mean what."""

    accepted: tuple[str, ...]
    rejected: tuple[str, ...]
    duplicate: tuple[str, ...]

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Self:
        codes = (*self.accepted, *self.rejected, *self.duplicate)
        if twice := sorted(code for code, count in Counter(codes).items() if count > 1):
            raise ValueError(f"the code {twice[0]} has two meanings")
        return self


class Window(Strict):
    """From when until when in a day, Beijing time, an endpoint takes deliveries; over midnight when until ≤ from."""

    start: time
    end: time

    def contains(self, moment: time) -> bool:
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


class Endpoint(Strict):
    """A receiver: what it takes, in which form, where it is and how it answers.

    ``operations`` are those that it takes; any other is withheld from it and becomes a task for a person.
    ``url_variable`` and ``secret_variable`` name environment variables: no address with credentials and no secret
    ever stands in a file. ``plain_http`` allows an http address beyond this machine. ``fields`` renames fields per
    category: our code → the receiver's name. ``restricted_fields`` are sent only to government sharing platforms.
    ``rate`` is the most records a minute; without ``windows`` it takes deliveries at any time. A record of a package
    that was taken and has no receipt after ``receipt_patience_hours`` is asked about. ``acceptance`` names the profiles
    in ``expectations/acceptance`` that say what this receiver takes.
    Exactly the section that ``protocol`` names is there.
    """

    endpoint: str = Value(pattern=r"^[a-z][a-z0-9_]*$")
    name_zh: str
    protocol: Literal["rest", "xml_service", "exchange_table", "sftp_file"]
    audience: Literal["sharing", "public"]
    categories: tuple[str, ...] = Value(min_length=1)
    operations: tuple[Operation, ...] = ("new", "update")
    url: str
    url_variable: str | None = None
    secret_variable: str
    plain_http: bool = False
    package_size: int = Value(default=500, ge=1, le=5000)
    rate: int | None = Value(default=None, ge=1)
    windows: tuple[Window, ...] = ()
    timeout_seconds: float = Value(default=60.0, gt=0)
    date_format: str = "%Y/%m/%d"
    fields: dict[str, dict[str, str]] = Value(default_factory=dict)
    restricted_fields: Literal["send", "drop"] = "drop"
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    receipt_wait_seconds: float = Value(default=60.0, gt=0)
    receipt_patience_hours: float = Value(default=24.0, gt=0)
    results: ResultMeaning
    acceptance: tuple[str, ...] = ()
    rest: Rest | None = None
    xml_service: XmlService | None = None
    exchange_table: ExchangeTable | None = None
    sftp_file: SftpFile | None = None

    @property
    def receipt_patience(self) -> timedelta:
        return timedelta(hours=self.receipt_patience_hours)

    def takes_now(self, moment: datetime) -> bool:
        """Whether a package may leave at ``moment``, an instant in Beijing time."""
        return not self.windows or any(window.contains(moment.time()) for window in self.windows)

    @field_validator("url")
    @classmethod
    def _address_fits(cls, url: str, info: ValidationInfo) -> str:
        # The complaint never repeats the address: there may be a password in it.
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        schemes = SCHEMES.get(info.data.get("protocol", ""), (parts.scheme,))
        if parts.scheme not in schemes:
            wanted = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(f"an address of protocol {info.data['protocol']} begins with {wanted}")
        if "@" in parts.netloc:
            raise ValueError("it holds a user or password; secret_variable names the variable with the secret")
        return url

    @field_validator("secret_variable")
    @classmethod
    def _secret_stands_elsewhere(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][0-9A-Za-z_]*", name):
            raise ValueError("an environment variable has no such name; the secret itself never stands in a file")
        return name

    @field_validator("date_format")
    @classmethod
    def _dates_are_written(cls, date_format: str) -> str:
        if unknown := re.findall(r"%(?!-?[YymdBbjF]).?", date_format.replace("%%", "")):
            raise ValueError(f"{unknown[0]} is no part of a date; use %Y, %m and %d")
        return date_format

    @field_validator("operations")
    @classmethod
    def _content_is_taken(cls, operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        if "new" not in operations:
            raise ValueError("an endpoint that does not take new records receives nothing")
        return operations

    @model_validator(mode="after")
    def _only_its_own_section(self) -> Self:
        for protocol in ("rest", "xml_service", "exchange_table", "sftp_file"):
            if (getattr(self, protocol) is not None) != (protocol == self.protocol):
                wanted = "is missing" if protocol == self.protocol else f"does not belong to protocol: {self.protocol}"
                raise ValueError(f"the section {protocol} {wanted}")
        return self

    @model_validator(mode="after")
    def _web_service_has_its_calls(self) -> Self:
        if self.xml_service is not None and (lacking := self.xml_service.lacks(self.categories, self.operations)):
            raise ValueError(f"the section xml_service lacks {lacking}")
        names = [name for renaming in self.fields.values() for name in renaming.values()]
        if self.xml_service is not None and not all(re.fullmatch(XML_NAME, name) for name in names):
            raise ValueError("fields gives a name that no XML element can have")
        return self

    @model_validator(mode="after")
    def _tables_say_everything(self) -> Self:
        if self.exchange_table is not None and (gaps := self.exchange_table.gaps(self.operations, self.categories)):
            raise ValueError(f"exchange_table: {'; '.join(gaps)}")
        return self

    @model_validator(mode="after")
    def _files_can_say_it(self) -> Self:
        if self.sftp_file is not None:
            lacking = self.sftp_file.lacks(self.categories, self.operations, self.fields)
            if lacking:
                raise ValueError(f"the section sftp_file lacks {lacking}")
        return self

    @model_validator(mode="after")
    def _restricted_fields_stay_inside(self) -> Self:
        if self.audience == "public" and self.restricted_fields == "send":
            raise ValueError("restricted_fields: send is for sharing platforms; a public audience gets drop")
        return self
