"""The REST protocol: packages of JSON records in, receipts per record out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Literal, NoReturn, Self, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.replies import (
    Meaning,
    PackageRefusedError,
    PackageUnknownError,
    ReceiptReply,
    SubmitReply,
    Trouble,
)
from pipelines.errors import DeliveryError

# About the content of this one package; every other 4xx is about us, the address or the agreement.
ABOUT_CONTENT = {400, 413, 422}
COME_LATER = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class OutgoingPackage:
    """What is submitted; ``sent_at`` is UTC without zone, ``records`` are in the form of the protocol."""

    package_id: str
    category: str
    sent_at: datetime
    records: Sequence[dict[str, Any]]


class _SubmitAnswer(BaseModel):
    package_id: str = Field(alias="packageId")
    received: int


class _ReceiptAnswer(BaseModel):
    record_id: str = Field(alias="recordId")
    idempotency_key: str = Field(alias="idempotencyKey")
    result: str
    rule_code: str | None = Field(default=None, alias="ruleCode", max_length=60)
    field: str | None = Field(default=None, max_length=60)
    message: str | None = None
    upper_id: str | None = Field(default=None, alias="upperId", min_length=1, max_length=100)


class _ReceiptsAnswer(BaseModel):
    package_id: str = Field(alias="packageId")
    state: Literal["processing", "done"]
    receipts: tuple[_ReceiptAnswer, ...] = ()


_Answer = TypeVar("_Answer", bound=BaseModel)


class RestAdapter:
    """One endpoint over HTTP; use it as a context manager.

    Proxies of the environment are not used: records go to the endpoint and nowhere else. Redirects are not
    followed, because they would carry the token along.
    """

    def __init__(self, endpoint: Endpoint, url: str, token: str) -> None:
        if not token.isascii() or not token.isprintable() or " " in token or not token:
            raise DeliveryError(
                f"the token for {endpoint.endpoint} is empty or has characters that no header can carry",
                remedy=f"check the environment variable {endpoint.token_variable} (blanks, line breaks?)",
            )
        self._endpoint = endpoint
        self.url = url
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=endpoint.timeout_seconds,
            trust_env=False,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self._client.__exit__(kind, error, trace)

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        """Hand a package over.

        Raises :class:`Trouble` for what may be tried again, :class:`PackageRefusedError` when the package itself
        is refused and :class:`DeliveryError` when the endpoint refuses us or our address.
        """
        body = {
            "packageId": package.package_id,
            "sentAt": package.sent_at.replace(tzinfo=UTC).isoformat(),
            "records": list(package.records),
        }
        response = self._send(
            "POST",
            self._endpoint.submit_path.format(category=package.category),
            content=json.dumps(body, ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": package.package_id},
        )
        if response.status_code in ABOUT_CONTENT:
            raise PackageRefusedError(response.status_code)
        if response.status_code == httpx.codes.CONFLICT:
            # The id is a hash of the idempotency keys, so these record versions are there already, perhaps in
            # another form of words; their receipts say what became of them.
            return SubmitReply(len(package.records), response.status_code)
        answer = self._read(response, _SubmitAnswer)
        if answer.package_id != package.package_id or answer.received != len(package.records):
            raise Trouble("ambiguous", "the answer is about another package", status=response.status_code)
        return SubmitReply(answer.received, response.status_code)

    def receipts(self, package_id: str) -> list[ReceiptReply] | None:
        """The receipts of a package, ``None`` while the receiver is still at work.

        Raises like :meth:`submit`, and :class:`PackageUnknownError` when the receiver does not know the package.
        """
        response = self._send("GET", self._endpoint.receipts_path.format(package_id=package_id))
        if response.status_code == httpx.codes.NOT_FOUND:
            raise PackageUnknownError
        answer = self._read(response, _ReceiptsAnswer)
        if answer.package_id != package_id:
            raise Trouble("broken", "the receipts are those of another package", status=response.status_code)
        if answer.state == "processing":
            return None
        return [self._receipt(line) for line in answer.receipts]

    def _receipt(self, line: _ReceiptAnswer) -> ReceiptReply:
        results = self._endpoint.results
        meaning: Meaning = "other"
        if line.result in results.accepted:
            meaning = "accepted"
        elif line.result in results.rejected:
            meaning = "rejected"
        elif line.result in results.duplicate:
            meaning = "duplicate"
        return ReceiptReply(
            line.record_id,
            line.idempotency_key,
            line.result,
            meaning,
            line.rule_code,
            line.field,
            line.message,
            line.upper_id,
        )

    def _send(
        self, method: str, path: str, *, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        # Only the kind of an error is told: the text of some repeats headers, and a body may hold a record.
        try:
            response = self._client.request(method, self.url + path, content=content, headers=headers)
        except NOT_SENT as error:
            raise Trouble("unreachable", type(error).__name__) from error
        except httpx.TransportError as error:
            raise Trouble("ambiguous", type(error).__name__) from error
        status = response.status_code
        if status in COME_LATER:
            raise Trouble("busy", f"HTTP {status}", status=status, retry_after=retry_after(response.headers))
        if status >= 500:
            raise Trouble("broken", f"HTTP {status}", status=status)
        return response

    def _read(self, response: httpx.Response, model: type[_Answer]) -> _Answer:
        if not response.is_success:
            self._refuse(response.status_code)
        try:
            return model.model_validate_json(response.content)
        except ValidationError:
            # Without "from": the validation error repeats the answer, which may repeat a record.
            raise Trouble("broken", "the answer is not what the protocol says", status=response.status_code) from None

    def _refuse(self, status: int) -> NoReturn:
        name = self._endpoint.endpoint
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise DeliveryError(
                f"{name} at {self.url} does not accept our token (HTTP {status}); everything stays queued",
                remedy=f"put a valid token into {self._endpoint.token_variable}, then deliver again",
            )
        raise DeliveryError(
            f"{name} at {self.url} answers HTTP {status}; everything stays queued",
            remedy=f"check the address and the paths in schemas/endpoints/{name}.yaml, then deliver again",
        )


def retry_after(headers: httpx.Headers, now: datetime | None = None) -> timedelta | None:
    """The pause a receiver asks for (RFC 9110, 10.2.3: seconds or a date); ``None`` without a readable one."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - (now or datetime.now(UTC)), timedelta())
