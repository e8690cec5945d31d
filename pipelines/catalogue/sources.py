"""Where extracts come from: one model per kind of source, read from the ``source:`` of a feed.

No secret and no address with a secret stands in a file: ``..._variable`` names an environment variable.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field as Value
from pydantic import field_validator, model_validator

from pipelines.catalogue.yaml_source import Strict

VARIABLE = r"^[A-Z][A-Z0-9_]*$"
HEADER = r"^[A-Za-z0-9][A-Za-z0-9-]*$"


def _path_below(value: str, what: str = "the inbox or the account's first folder") -> str:
    if value.startswith(("/", "~")) or "\\" in value or ".." in PurePosixPath(value).parts:
        raise ValueError(f"must stay below {what}; folders are separated by /")
    return value


def _name_beside(value: str) -> str:
    if "/" in value or value.strip(" .") in {"", "{name}"}:
        raise ValueError("must be the name of another file in the same folder, such as {name}.ok")
    return value


class Retries(Strict):
    """How often a source is asked again, in seconds: ``first`` × 2ⁿ, never above ``longest``."""

    attempts: int = Value(default=4, ge=1, le=20)
    first_seconds: float = Value(default=1.0, gt=0)
    longest_seconds: float = Value(default=60.0, gt=0)


class Totals(Strict):
    """Control totals that the department declares in a file beside its extracts.

    ``file`` is its name, with ``{name}`` (of the extract) or ``{stem}`` (without extension), ``{date}`` and ``{day}``;
    without the first two one file speaks for all extracts of the batch together. ``rows`` and ``amount`` are regular
    expressions whose first group is the number of rows and the sum of the source column ``amount_column``. An extract
    that does not agree is refused whole.
    """

    file: str
    rows: str | None = None
    amount: str | None = None
    amount_column: str | None = None
    required: bool = True

    @field_validator("file")
    @classmethod
    def _file_is_a_name(cls, value: str) -> str:
        return _name_beside(value)

    @field_validator("rows", "amount")
    @classmethod
    def _finds_a_group(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                groups = re.compile(value).groups
            except re.error as error:
                raise ValueError(f"is no regular expression: {error}") from error
            if groups == 0:
                raise ValueError("needs brackets around the number it looks for")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.rows is None and self.amount is None:
            raise ValueError("needs rows or amount")
        if (self.amount is None) != (self.amount_column is None):
            raise ValueError("amount and amount_column belong together")
        return self


class AnySource(Strict):
    """What every kind of source has.

    ``timeout_seconds`` bounds one exchange with the source (connecting, one answer, one block of a file),
    ``max_bytes`` one extract.
    """

    max_bytes: int = Value(default=1 << 30, gt=0)
    timeout_seconds: float = Value(default=60.0, gt=0)
    retries: Retries = Retries()


class Complete(Strict):
    """When a dropped file counts as finished: a marker file stands beside it, or size and time held still.

    ``marker`` is the marker's name with ``{name}`` or ``{stem}``, ``{date}`` and ``{day}``; without the first two one
    marker speaks for all files. A marker older than its file does not count. A file that is not finished is waited
    for, at most ``wait_seconds``.
    """

    marker: str | None = None
    stable_seconds: float = Value(default=0.0, ge=0)
    wait_seconds: float = Value(default=0.0, ge=0)

    @field_validator("marker")
    @classmethod
    def _marker_is_a_name(cls, value: str | None) -> str | None:
        return None if value is None else _name_beside(value)


class Afterwards(Strict):
    """What happens to a file of the source after its batch was published; it is never touched before.

    ``folder`` lies below the inbox or the account's first folder and may contain ``{date}`` and ``{day}``.
    """

    do: Literal["leave", "move", "rename"] = "leave"
    folder: str | None = None
    suffix: str = Value(default=".done", pattern=r"^[^/\\\x00]+$")

    @field_validator("folder")
    @classmethod
    def _folder_stays_below(cls, value: str | None) -> str | None:
        return None if value is None else _path_below(value)

    @model_validator(mode="after")
    def _needs_a_folder(self) -> Self:
        if (self.do == "move") != (self.folder is not None):
            raise ValueError("move needs a folder, the others have none")
        return self


class Files(AnySource):
    """What sources that hold files have.

    ``path`` is a folder, ``pattern`` the names of the files directly in it (``*``, ``?``, ``[...]``). ``{date}`` in
    both stands for the business date as ``YYYY-MM-DD``, ``{day}`` for ``YYYYMMDD``.
    ``dated_by``: files belong to the business date that their name says, to the day (in China) on which they were
    last modified, or to the latest day in the source column ``date_column``.
    """

    path: str
    pattern: str = "*"
    dated_by: Literal["name", "modified", "column"] = "name"
    date_column: str | None = None
    complete: Complete = Complete()
    totals: Totals | None = None
    afterwards: Afterwards = Afterwards()

    @field_validator("path")
    @classmethod
    def _stays_below(cls, value: str) -> str:
        return _path_below(value)

    @field_validator("pattern")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if "/" in value or not value:
            raise ValueError("is a pattern of file names; folders belong into path")
        return value

    @model_validator(mode="after")
    def _names_its_column(self) -> Self:
        if (self.dated_by == "column") != (self.date_column is not None):
            raise ValueError("dated_by: column needs date_column, the others have none")
        return self

    @model_validator(mode="after")
    def _moves_away(self) -> Self:
        folder = self.afterwards.folder
        if folder is not None and PurePosixPath(folder) == PurePosixPath(self.path):
            raise ValueError("afterwards.folder is path itself: files moved there would be found again")
        return self


class FolderSource(Files):
    """Files in a folder of the inbox; paths cannot leave the inbox."""

    kind: Literal["folder"] = "folder"


class SftpSource(Files):
    """Files of an SFTP account, below the account's first folder.

    ``host`` may be overridden by ``host_variable`` (``host`` or ``host:port``). The account is opened with the private
    key in the file that ``key_variable`` names (``key_passphrase_variable`` where it is encrypted), or with the
    password in ``password_variable``. The server must be in ``known_hosts``, a file below ``schemas/`` or named by
    ``known_hosts_variable``.
    """

    kind: Literal["sftp"]
    host: str
    port: int = Value(default=22, ge=1, le=65535)
    host_variable: str | None = Value(default=None, pattern=VARIABLE)
    user: str
    password_variable: str | None = Value(default=None, pattern=VARIABLE)
    key_variable: str | None = Value(default=None, pattern=VARIABLE)
    key_passphrase_variable: str | None = Value(default=None, pattern=VARIABLE)
    known_hosts: str | None = None
    known_hosts_variable: str | None = Value(default=None, pattern=VARIABLE)

    @field_validator("known_hosts")
    @classmethod
    def _known_hosts_stay_below(cls, value: str | None) -> str | None:
        return None if value is None else _path_below(value, "schemas/")

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if (self.password_variable is None) == (self.key_variable is None):
            raise ValueError("name either password_variable or key_variable")
        if self.key_passphrase_variable is not None and self.key_variable is None:
            raise ValueError("key_passphrase_variable belongs to key_variable")
        if (self.known_hosts is None) == (self.known_hosts_variable is None):
            raise ValueError("name either known_hosts or known_hosts_variable: an unknown server is never trusted")
        return self

    @model_validator(mode="after")
    def _looks_twice(self) -> Self:
        # The clock of the server need not be ours, so the age of a file proves nothing: it has to be watched.
        if self.complete.wait_seconds < self.complete.stable_seconds:
            raise ValueError("complete.wait_seconds must be at least complete.stable_seconds")
        return self


class Paging(Strict):
    """How the pages of an answer are asked for.

    ``number``: parameter ``parameter`` counts pages from ``first`` (else 1); ``offset``: it counts rows from ``first``
    (else 0); ``cursor``: it carries the value at ``cursor_path`` of the answer before; ``link``: the address of the
    next page stands at ``link_path``, or in the header ``Link``. ``size_parameter`` asks for ``size`` rows a page.

    Pages end where the answer's total is reached, where there is no cursor or link, at a page without rows, and with
    ``end: short`` at a page of fewer than ``size`` rows. That is not the default: a server that gives out fewer rows a
    page than it was asked for would end at its first one.
    """

    style: Literal["none", "number", "offset", "cursor", "link"] = "none"
    parameter: str | None = None
    first: int | None = Value(default=None, ge=0)
    size_parameter: str | None = None
    size: int = Value(default=500, ge=1)
    end: Literal["empty", "short"] = "empty"
    cursor_path: str | None = None
    link_path: str | None = None
    max_pages: int = Value(default=100_000, ge=1)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.style in {"number", "offset", "cursor"}) != (self.parameter is not None):
            raise ValueError("number, offset and cursor need parameter, the others have none")
        if (self.style == "cursor") != (self.cursor_path is not None):
            raise ValueError("cursor needs cursor_path, the others have none")
        if self.style != "link" and self.link_path is not None:
            raise ValueError("link_path belongs to style: link")
        if self.first is not None and self.style not in {"number", "offset"}:
            raise ValueError("first belongs to style: number and offset")
        if self.end == "short" and self.size_parameter is None:
            raise ValueError("end: short needs size_parameter")
        return self

    @property
    def start(self) -> int:
        """What ``parameter`` is for the first page, where it counts."""
        if self.first is not None:
            return self.first
        return 1 if self.style == "number" else 0


class HttpAuthentication(Strict):
    """What opens an interface.

    ``token``: the secret stands in ``header`` (else ``Authorization``) behind ``prefix`` (else ``Bearer ``), or in
    ``parameter`` of the address where the interface wants it there.
    ``hmac``: the signature stands in ``header`` (else ``X-Signature``) behind ``prefix``, written as ``encoding``; the
    key's name ``key``, the time in seconds since 1970 and a nonce stand in headers of their own. What is signed is
    described at :mod:`pipelines.intake.connectors.http_authentication`.
    """

    style: Literal["none", "token", "hmac"] = "none"
    secret_variable: str | None = Value(default=None, pattern=VARIABLE)
    header: str | None = Value(default=None, pattern=HEADER)
    prefix: str | None = None
    parameter: str | None = None
    key: str | None = None
    digest: Literal["sha256", "sm3"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    key_header: str = Value(default="X-Key", pattern=HEADER)
    timestamp_header: str = Value(default="X-Timestamp", pattern=HEADER)
    nonce_header: str = Value(default="X-Nonce", pattern=HEADER)

    @model_validator(mode="after")
    def _has_its_secret(self) -> Self:
        if (self.style != "none") != (self.secret_variable is not None):
            raise ValueError("token and hmac need secret_variable")
        if self.style != "hmac" and self.key is not None:
            raise ValueError("key belongs to style: hmac")
        if self.parameter is not None and (self.style != "token" or self.header is not None):
            raise ValueError("parameter belongs to style: token, instead of header")
        return self


class HttpSource(AnySource):
    """Pages of JSON or XML over HTTP.

    ``url`` may contain ``{date}`` (YYYY-MM-DD) and ``{day}`` (YYYYMMDD). ``rows_path`` leads to the rows of an answer
    (``data.list``, ``ROWDATA/ROW``; ``.`` when a JSON answer is the list itself), ``total_path`` to the number of rows
    that all pages together should have. With ``ok_path`` an answer counts only when one of ``ok_values`` stands there.
    ``since_parameter`` and ``until_parameter`` carry the business date, written as ``date_format`` and
    ``until_format``; ``until_days`` is added to it where the end does not belong to the range. With ``watermark_path``,
    a value of each row that only grows, ``since_parameter`` carries the largest one taken before (``watermark_start``
    at first).
    ``send``: parameters in the address (GET), or in the body as a form or as JSON (POST). ``plain_http`` allows an http
    address beyond this machine.
    """

    kind: Literal["http"]
    url: str
    url_variable: str | None = Value(default=None, pattern=VARIABLE)
    plain_http: bool = False
    format: Literal["json", "xml"] = "json"
    rows_path: str
    parameters: dict[str, str] = Value(default_factory=dict)
    send: Literal["query", "form", "json"] = "query"
    paging: Paging = Paging()
    authentication: HttpAuthentication = HttpAuthentication()
    total_path: str | None = None
    ok_path: str | None = None
    ok_values: tuple[str, ...] = ("0", "200", "true")
    since_parameter: str | None = None
    until_parameter: str | None = None
    date_format: str = "%Y-%m-%d"
    until_format: str | None = None
    until_days: int = Value(default=0, ge=0, le=366)
    watermark_path: str | None = None
    watermark_start: str | None = None
    max_page_bytes: int = Value(default=64 << 20, gt=0)
    certificates_variable: str | None = Value(default=None, pattern=VARIABLE)
    proxy_variable: str | None = Value(default=None, pattern=VARIABLE)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.watermark_path is not None and self.since_parameter is None:
            raise ValueError("watermark_path needs since_parameter")
        if self.watermark_path is None and self.watermark_start is not None:
            raise ValueError("watermark_start belongs to watermark_path")
        return self


class ReadFlag(Strict):
    """The read-flag protocol: ``unread`` rows are taken, and set to ``read`` after our commit.

    A row without any flag is unread. ``time_column`` is set to the time of setting.
    """

    column: str
    unread: str = "0"
    read: str = "1"
    time_column: str | None = None

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.unread == self.read:
            raise ValueError("unread and read are the same")
        return self


class DatabaseSource(AnySource):
    """A table or view of a front-end database (前置库).

    ``url_variable`` names the variable with the SQLAlchemy URL. ``columns`` are taken in this order; without them all
    are, except those of the read flag. ``key`` are the columns that tell rows apart and put them in order.
    ``watermark`` is a column that only grows (then ``key`` breaks ties); ``read_flag`` the other way of taking only
    what is new; with neither the whole table is read. ``overlap`` is how far before the last watermark reading starts
    again, in seconds for a time and in steps for a number: rows that were committed late are found there.
    ``day_column``: only rows of the business date; text is compared with its beginning, written as ``day_format``.
    ``isolation`` replaces the level that is usual for the database. ``fetch_rows`` is what memory holds at a time.
    """

    kind: Literal["database"]
    url_variable: str = Value(pattern=VARIABLE)
    table: str
    table_schema: str | None = None
    columns: tuple[str, ...] = ()
    key: tuple[str, ...] = Value(min_length=1)
    watermark: str | None = None
    overlap: float = Value(default=0.0, ge=0)
    read_flag: ReadFlag | None = None
    day_column: str | None = None
    day_format: str = "%Y-%m-%d"
    fetch_rows: int = Value(default=10_000, ge=1)
    isolation: str | None = Value(default=None, pattern=r"^[A-Z]+( [A-Z]+)*$")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.watermark is not None and self.read_flag is not None:
            raise ValueError("name either watermark or read_flag")
        if self.watermark is None and self.overlap:
            raise ValueError("overlap belongs to watermark")
        return self


FileSource = Annotated[FolderSource | SftpSource, Value(discriminator="kind")]
Source = Annotated[FolderSource | SftpSource | HttpSource | DatabaseSource, Value(discriminator="kind")]
