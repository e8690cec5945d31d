"""Where extracts come from: one model per kind of source, read from the ``source:`` of a feed.

No secret and no address with a secret stands in a file: ``..._variable`` names an environment variable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field as Value
from pydantic import field_validator, model_validator

from pipelines.catalogue.yaml_source import Strict

VARIABLE = r"^[A-Z][A-Z0-9_]*$"


class Retries(Strict):
    """How often a source is asked again, in seconds: ``first`` × 2ⁿ, never above ``longest``."""

    attempts: int = Value(default=4, ge=1, le=20)
    first_seconds: float = Value(default=1.0, gt=0)
    longest_seconds: float = Value(default=60.0, gt=0)


class Totals(Strict):
    """Control totals that the department declares in a file beside each extract.

    ``file`` is its name, with ``{name}`` (of the extract) or ``{stem}`` (without extension); ``rows`` and ``amount``
    are regular expressions whose first group is the number of rows and the sum of the source column
    ``amount_column``. An extract that does not agree is refused whole.
    """

    file: str
    rows: str | None = None
    amount: str | None = None
    amount_column: str | None = None
    required: bool = True

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

    ``marker`` is the marker's name with ``{name}`` or ``{stem}``. A file younger than ``stable_seconds`` is waited for,
    at most ``wait_seconds``.
    """

    marker: str | None = None
    stable_seconds: float = Value(default=0.0, ge=0)
    wait_seconds: float = Value(default=0.0, ge=0)


class Afterwards(Strict):
    """What happens to a file of the source after its batch was published; it is never touched before."""

    do: Literal["leave", "move", "rename"] = "leave"
    folder: str | None = None
    suffix: str = ".done"

    @model_validator(mode="after")
    def _needs_a_folder(self) -> Self:
        if (self.do == "move") != (self.folder is not None):
            raise ValueError("move needs a folder, the others have none")
        return self


class Files(AnySource):
    """What sources that hold files have.

    ``{date}`` in ``path`` and ``pattern`` stands for the business date as ``YYYY-MM-DD``, ``{day}`` for ``YYYYMMDD``.
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

    @field_validator("path", "pattern")
    @classmethod
    def _stays_below(cls, value: str) -> str:
        if value.startswith(("/", "~")) or ".." in Path(value).parts:
            raise ValueError("must stay below the inbox")
        return value

    @model_validator(mode="after")
    def _names_its_column(self) -> Self:
        if (self.dated_by == "column") != (self.date_column is not None):
            raise ValueError("dated_by: column needs date_column, the others have none")
        return self


class FolderSource(Files):
    """Files in a folder of the inbox; paths cannot leave the inbox."""

    kind: Literal["folder"] = "folder"


class SftpSource(Files):
    """Files of an SFTP account, below the account's first folder.

    ``host`` may be overridden by ``host_variable`` (``host`` or ``host:port``). The account is opened with the private
    key in the file that ``key_variable`` names, or with the password in ``password_variable``. The server must be in
    ``known_hosts``, a file below ``schemas/`` or named by ``known_hosts_variable``.
    """

    kind: Literal["sftp"]
    host: str
    port: int = Value(default=22, ge=1, le=65535)
    host_variable: str | None = Value(default=None, pattern=VARIABLE)
    user: str
    password_variable: str | None = Value(default=None, pattern=VARIABLE)
    key_variable: str | None = Value(default=None, pattern=VARIABLE)
    known_hosts: str | None = None
    known_hosts_variable: str | None = Value(default=None, pattern=VARIABLE)

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if (self.password_variable is None) == (self.key_variable is None):
            raise ValueError("name either password_variable or key_variable")
        if (self.known_hosts is None) == (self.known_hosts_variable is None):
            raise ValueError("name either known_hosts or known_hosts_variable: an unknown server is never trusted")
        return self


class Paging(Strict):
    """How the pages of an answer are asked for.

    ``number``: parameter ``parameter`` counts pages from ``first``; ``offset``: it counts rows; ``cursor``: it carries
    the value at ``cursor_path`` of the answer before; ``link``: the address of the next page stands at ``link_path``,
    or in the header ``Link``. ``size_parameter`` asks for ``size`` rows a page.
    """

    style: Literal["none", "number", "offset", "cursor", "link"] = "none"
    parameter: str | None = None
    first: int = Value(default=1, ge=0)
    size_parameter: str | None = None
    size: int = Value(default=500, ge=1)
    cursor_path: str | None = None
    link_path: str | None = None
    max_pages: int = Value(default=100_000, ge=1)


class HttpAuthentication(Strict):
    """``token``: a secret in a header. ``hmac``: a signature over method, path with query, time stamp and nonce."""

    style: Literal["none", "token", "hmac"] = "none"
    secret_variable: str | None = Value(default=None, pattern=VARIABLE)
    header: str = "Authorization"
    prefix: str = "Bearer "
    key: str | None = None
    digest: Literal["sha256", "sm3"] = "sha256"


class HttpSource(AnySource):
    """Pages of JSON or XML over HTTP.

    ``rows_path`` leads to the rows of an answer (``data.list``, ``ROWDATA/ROW``), ``total_path`` to the number of rows
    that all pages together should have. ``since_parameter`` and ``until_parameter`` carry the business date, or the
    last watermark when ``watermark_path`` names a value of each row; written as ``date_format``.
    """

    kind: Literal["http"]
    url: str
    url_variable: str | None = Value(default=None, pattern=VARIABLE)
    format: Literal["json", "xml"] = "json"
    rows_path: str
    parameters: dict[str, str] = Value(default_factory=dict)
    paging: Paging = Paging()
    authentication: HttpAuthentication = HttpAuthentication()
    total_path: str | None = None
    since_parameter: str | None = None
    until_parameter: str | None = None
    date_format: str = "%Y-%m-%d"
    watermark_path: str | None = None


class ReadFlag(Strict):
    """The read-flag protocol: ``unread`` rows are taken, and set to ``read`` after our commit."""

    column: str
    unread: str = "0"
    read: str = "1"
    time_column: str | None = None


class DatabaseSource(AnySource):
    """A table or view of a front-end database (前置库).

    ``url_variable`` names the variable with the SQLAlchemy URL. ``key`` are the columns that tell rows apart and put
    them in order. ``watermark`` is a column that only grows (then ``key`` breaks ties); ``read_flag`` the other way
    of taking only what is new; with neither the whole table is read. ``day_column``: only rows of the business date.
    """

    kind: Literal["database"]
    url_variable: str = Value(pattern=VARIABLE)
    table: str
    table_schema: str | None = None
    columns: tuple[str, ...] = ()
    key: tuple[str, ...] = Value(min_length=1)
    watermark: str | None = None
    read_flag: ReadFlag | None = None
    day_column: str | None = None
    fetch_rows: int = Value(default=10_000, ge=1)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.watermark is not None and self.read_flag is not None:
            raise ValueError("name either watermark or read_flag")
        return self


Source = Annotated[FolderSource | SftpSource | HttpSource | DatabaseSource, Value(discriminator="kind")]
