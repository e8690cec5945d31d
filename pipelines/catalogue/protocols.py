"""What an endpoint's file says about its protocol: one section per protocol, each with what only that one needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field as Value
from pydantic import StringConstraints, ValidationInfo, field_validator, model_validator

from pipelines.catalogue.yaml_source import Strict


class Rest(Strict):
    """JSON packages over HTTP with a receipt per record.

    Paths may contain ``{category}`` and ``{package}`` (our reference). ``receipts``: ``polled`` after a submission
    was taken, or ``synchronous`` in its answer; then only a receiver that can also be asked later has a
    ``receipts_path``. ``authentication``: a bearer token, or a signature over body, time and nonce with the secret as
    key; the receiver knows the key as ``key_id``. Without ``records_path`` the receiver cannot be asked what it holds.
    ``ca_file`` holds the authority of its certificate (PEM, relative to the installation's root) when that is not one
    that everybody trusts.
    """

    submit_path: str
    receipts_path: str | None = None
    records_path: str | None = None
    receipts: Literal["polled", "synchronous"] = "polled"
    authentication: Literal["bearer", "hmac_sha256", "hmac_sm3"] = "bearer"
    key_id: str = Value(default="", pattern=r"^[0-9A-Za-z._-]*$")
    ca_file: str | None = None

    @field_validator("submit_path", "receipts_path", "records_path")
    @classmethod
    def _placeholders_are_known(cls, path: str | None, info: ValidationInfo) -> str | None:
        known = {"receipts_path": "{package}"}.get(info.field_name or "", "{category}")
        if unknown := sorted(set(re.findall(r"\{[^}]*\}?|\}", path or "")) - {known}):
            raise ValueError(f"nothing is known to put in for {unknown[0]}; only {known} is replaced")
        return path

    @model_validator(mode="after")
    def _receipts_are_somewhere(self) -> Self:
        if self.receipts == "polled" and self.receipts_path is None:
            raise ValueError("polled receipts need receipts_path")
        return self

    @model_validator(mode="after")
    def _signature_names_its_key(self) -> Self:
        if self.authentication != "bearer" and not self.key_id:
            raise ValueError("a signature needs key_id: the name under which the receiver knows our key")
        return self


XML_NAME = r"^[^\W\d][\w.-]*$"
XmlName = Annotated[str, Value(pattern=XML_NAME)]
"""The name of an XML element, without prefix."""


class XmlCalls(Strict):
    """Path and operations of the web service of one category. Without ``query`` it cannot be asked what it holds."""

    path: str
    submit: XmlName
    remove: XmlName | None = None
    query: XmlName | None = None


class XmlService(Strict):
    """The SOAP web service of the 2016-2018 generation: ``ROWDATA/ROW`` and a token in one call per package.

    ``calls``: category → operations. ``namespace``: that of their names; ``parameters`` are the names of what
    they take: the token and the XML text. ``id_name``: the element of a row that carries the receiver's own id.
    ``token_refused``: an answer with such a code, or a fault with such a word in its text, is about our token.
    """

    namespace: str = Value(min_length=1)
    calls: dict[str, XmlCalls] = Value(min_length=1)
    parameters: tuple[XmlName, XmlName] = ("token", "xml")
    id_name: XmlName = "ID"
    token_refused: tuple[str, ...] = ("token", "令牌")
    ca_file: str | None = None

    def lacks(self, categories: Collection[str], operations: Collection[str]) -> str | None:
        """What ``calls`` has no call for although the endpoint says that it takes it; None when all is there."""
        for category in categories:
            if category not in self.calls:
                return f"calls for {category}"
            if "withdraw" in operations and self.calls[category].remove is None:
                return f"remove in the calls for {category}, or operations without withdraw"
        if {"objection_on", "objection_off"} & set(operations):
            return "a call for objections: take them out of operations"
        return None


class ExchangeColumns(Strict):
    """What the columns are called that stand beside the fields of the standard in a table that we write."""

    batch: str = "BATCH_NO"
    record: str = "REC_ID"
    operation: str = "OP"
    content_hash: str = "CONTENT_HASH"
    written_at: str = "WRITE_TIME"
    read: str = "READ_FLAG"
    read_at: str = "READ_TIME"


class ReceiptColumns(Strict):
    """What the columns of the receipt table are called."""

    batch: str = "BATCH_NO"
    record: str = "REC_ID"
    result: str = "RESULT"
    rule_code: str = "RULE_CODE"
    field: str = "FIELD"
    message: str = "MESSAGE"
    upper_id: str = "UPPER_ID"
    issued_at: str = "RECEIPT_TIME"


class HoldingViews(Strict):
    """Where the receiver shows what it holds: category → table or view, and what its columns are called.

    ``withdrawn`` are the values of ``state`` that mean: no longer shown. Without ``objection`` it does not tell which
    records are marked as disputed; the column holds 0 or 1.
    """

    views: dict[str, str] = Value(min_length=1)
    record: str = "REC_ID"
    content_hash: str = "CONTENT_HASH"
    upper_id: str = "UPPER_ID"
    state: str = "STATE"
    withdrawn: tuple[str, ...] = ("2",)
    objection: str | None = None


OperationCode = Annotated[str, StringConstraints(min_length=1, max_length=10)]


class ExchangeTable(Strict):
    """Front-end database tables (前置库): ``tables`` maps categories to the tables that we write.

    ``receipts`` is the table that we read back. ``operations`` maps ours to what stands in the column OP, and
    ``withdrawals`` names other codes for withdrawals by their reason. All names are taken as they are written here,
    capitals included. ``consumed_rows``: what the receiver does with a row that it has read, ``stay`` (it marks it) or
    ``move`` (it takes it away). ``batch_length`` is how long a batch number may be. Without ``holdings`` the receiver
    cannot be asked what it holds.
    """

    user: str
    table_schema: str | None = None
    tables: dict[str, str] = Value(min_length=1)
    receipts: str
    operations: dict[Literal["new", "update", "withdraw", "objection_on", "objection_off"], OperationCode]
    withdrawals: dict[Literal["revoked", "repaired", "expired", "error"], OperationCode] = Value(default_factory=dict)
    columns: ExchangeColumns = ExchangeColumns()
    receipt_columns: ReceiptColumns = ReceiptColumns()
    consumed_rows: Literal["stay", "move"] = "stay"
    batch_length: int = Value(default=64, ge=20, le=64)
    holdings: HoldingViews | None = None

    def gaps(self, operations: Iterable[str], categories: Collection[str]) -> list[str]:
        """What the endpoint takes and this section has no code or table for."""
        return [
            *(
                f"operations has no code for {operation}"
                for operation in operations
                if operation not in self.operations
            ),
            *(f"tables has no table for {category}" for category in categories if category not in self.tables),
            *(
                f"holdings.views names the category {category}, which the endpoint does not take"
                for category in (self.holdings.views if self.holdings is not None else ())
                if category not in categories
            ),
        ]


_ELEMENT = r"^[A-Za-z_][0-9A-Za-z_.-]*$"
ElementName = Annotated[str, StringConstraints(pattern=_ELEMENT)]


class Identity(Strict):
    """Elements beside the fields of a record in a file, for a receiver that knows them.

    ``record`` is our key of the record, ``operation`` what is to be done, ``content`` the hash of the record, ``key``
    one that this version and act alone have, ``reason`` why a record is withdrawn.
    """

    record: ElementName
    operation: ElementName
    content: ElementName
    key: ElementName | None = None
    reason: ElementName | None = None


class SftpFile(Strict):
    """Files over SFTP: ``folder`` takes them, ``receipts`` is where the receiver puts its answers.

    ``authentication``: the endpoint's secret is the account's password, or the path of its private key
    (``passphrase_variable`` where that is encrypted). ``host_key`` is the server's public key as ``ssh-keyscan``
    prints it, kind and key: another one is refused. ``prefix`` is the department's code of four characters; ``tables``
    maps category and subject kind (``organisation``, ``person``) to the table's two digits. ``done`` is the folder
    where the receiver puts files that it has read. ``taken_by_moving``: it takes a file by moving it away, so that a
    file which is still there was not read. ``receipts_come``: all in one file, or in several over time. ``holdings`` is
    the name of the full list of a table in the folder of the receipts, with ``{table}`` in it. ``operations`` maps ours
    to what stands in the element of ``identity.operation``.
    """

    user: str
    host_key: str = Value(pattern=r"^(ssh-|ecdsa-|sk-)\S+ [0-9A-Za-z+/]+=*$")
    authentication: Literal["password", "key"] = "password"
    passphrase_variable: str | None = None
    folder: str
    receipts: str
    done: str | None = None
    taken_by_moving: bool = False
    receipts_come: Literal["at_once", "in_parts"] = "at_once"
    holdings: str | None = Value(default=None, pattern=r"\{table\}")
    prefix: str = Value(pattern=r"^[0-9A-Za-z]{4}$")
    tables: dict[str, dict[Literal["organisation", "person"], str]] = Value(min_length=1)
    format: Literal["xml", "xlsx"] = "xml"
    identity: Identity | None = None
    operations: dict[str, str] = Value(default_factory=dict)

    @model_validator(mode="after")
    def _tables_are_told_apart(self) -> Self:
        numbers = [number for kinds in self.tables.values() for number in kinds.values()]
        if any(len(number) != 2 or not number.isascii() or not number.isdigit() for number in numbers):
            raise ValueError('tables: a table has a number of two digits, in quotation marks: "01"')
        if len(set(numbers)) < len(numbers):
            raise ValueError("tables: two of them have the same number")
        return self

    @model_validator(mode="after")
    def _identity_stands_in_xml(self) -> Self:
        if self.identity is not None and self.format == "xlsx":
            raise ValueError("identity: the official template has no such columns; use format: xml or leave it out")
        if self.passphrase_variable is not None and self.authentication != "key":
            raise ValueError("passphrase_variable belongs to authentication: key")
        return self

    def lacks(
        self, categories: Collection[str], operations: Collection[str], fields: Mapping[str, Mapping[str, str]]
    ) -> str | None:
        """What the section does not say although the endpoint takes it; None when all is there.

        ``fields`` are the receiver's names of ours, per category: in XML they become names of elements.
        """
        for name in (name for names in fields.values() for name in names.values()):
            if self.format == "xml" and not re.fullmatch(_ELEMENT, name):
                return f"fields: a name that an element can have in place of {name}"
        for category in categories:
            for kind in ("organisation", "person"):
                if kind not in self.tables.get(category, {}):
                    return f"tables: the table of {category} for {kind}"
        if self.identity is None:
            if unsaid := set(operations) - {"new", "update"}:
                return f"identity: without it a file cannot say {', '.join(sorted(unsaid))}"
        elif unsaid := set(operations) - set(self.operations):
            return f"operations: what stands for {', '.join(sorted(unsaid))}"
        return None
