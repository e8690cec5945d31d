"""The REST protocol: packages of JSON records in, receipts per record out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import Rest
from pipelines.delivery.adapter import Adapter, Holding, Message, OutgoingPackage
from pipelines.delivery.certificates import distrust, trusted
from pipelines.delivery.payload import renamed
from pipelines.delivery.replies import (
    Inquiry,
    PackageRefusedError,
    PackageUnknownError,
    ReceiptReply,
    Receipts,
    SubmitReply,
    Trouble,
)
from pipelines.delivery.rest_answers import ReceiptsAnswer, RecordsAnswer, SubmitAnswer
from pipelines.delivery.signing import Bearer, Signature
from pipelines.errors import DeliveryError

# About the content of this one package; every other 4xx is about us, the address or the agreement.
ABOUT_CONTENT = {400, 413, 422}
COME_LATER = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
PAGE = 1000
NOTABLE_SECONDS = 60
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


_Answer = TypeVar("_Answer", bound=BaseModel)


class RestAdapter(Adapter):
    """One endpoint over HTTP.

    Proxies of the environment are not used: records go to the endpoint and nowhere else. Redirects are not
    followed, because they would carry the token along.
    """

    def __init__(self, endpoint: Endpoint, url: str, secret: str) -> None:
        if endpoint.rest is None:
            raise DeliveryError(f"{endpoint.endpoint} does not speak rest", remedy="give it a section rest")
        self._endpoint = endpoint
        self._rest: Rest = endpoint.rest
        self.place = url
        self._client = httpx.Client(
            headers={"Accept": "application/json"},
            auth=_proof(endpoint, endpoint.rest, secret),
            timeout=endpoint.timeout_seconds,
            verify=trusted(endpoint, endpoint.rest.ca_file),
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def submit(self, package: OutgoingPackage) -> SubmitReply:
        body = {
            "packageId": package.reference,
            "sentAt": package.created_at.replace(tzinfo=UTC).isoformat(),
            "records": [_message(package.category, message, self._endpoint) for message in package.messages],
        }
        response = self._send(
            "POST",
            self._rest.submit_path.format(category=package.category.category),
            content=json.dumps(body, ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": package.reference},
        )
        if response.status_code in ABOUT_CONTENT:
            raise PackageRefusedError(response.status_code)
        if response.status_code == httpx.codes.CONFLICT:
            # The id is a hash of the idempotency keys, so these record versions are there already, perhaps in
            # another form of words; their receipts say what became of them.
            return SubmitReply(len(package.messages), response.status_code)
        answer = self._read(response, SubmitAnswer)
        if answer.package_id != package.reference or answer.received != len(package.messages):
            raise Trouble("ambiguous", "the answer is about another package", status=response.status_code)
        return SubmitReply(answer.received, response.status_code, self._at_once(answer, response.status_code))

    def receipts(self, package: OutgoingPackage) -> Receipts:
        if self._rest.receipts_path is None:
            # What was not in the answer to the submission never comes.
            return Receipts([], complete=True)
        response = self._send("GET", self._rest.receipts_path.format(package=package.reference))
        if response.status_code == httpx.codes.NOT_FOUND:
            raise PackageUnknownError
        answer = self._read(response, ReceiptsAnswer)
        if answer.package_id != package.reference:
            raise Trouble("broken", "the receipts are those of another package", status=response.status_code)
        return Receipts([line.reply(self._endpoint.results) for line in answer.receipts], answer.state == "done")

    def inquire(self, package: OutgoingPackage) -> Inquiry:
        if self._rest.receipts_path is None:
            return Inquiry("unanswerable")
        try:
            self.receipts(package)
        except PackageUnknownError:
            return Inquiry("unknown")
        return Inquiry("taken")

    def holdings(self, category: Category) -> Iterator[Holding] | None:
        if self._rest.records_path is None:
            return None
        return self._pages(self._rest.records_path.format(category=category.category), category)

    def _pages(self, path: str, category: Category) -> Iterator[Holding]:
        # Each page begins after the last record of the one before: what is added meanwhile moves nothing.
        after = ""
        while True:
            page = self._read(self._send("GET", f"{path}?after={quote(after)}&limit={PAGE}"), RecordsAnswer)
            for record in page.records:
                yield record.holding(category, self._endpoint)
            if not page.records:
                return
            if page.records[-1].upper_id == after:
                raise Trouble("broken", "the same page of records comes again and again")
            after = page.records[-1].upper_id

    def _at_once(self, answer: SubmitAnswer, status: int) -> list[ReceiptReply] | None:
        if self._rest.receipts == "polled" or answer.state == "processing":
            return None
        if answer.state is None:
            raise Trouble("broken", "the answer has no receipts", status=status)
        return [line.reply(self._endpoint.results) for line in answer.receipts]

    def _send(
        self, method: str, path: str, *, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        # Only the kind of an error is told: the text of some repeats headers, and a body may hold a record.
        try:
            response = self._client.request(method, self.place + path, content=content, headers=headers)
        except NOT_SENT as error:
            if (problem := distrust(error, self._endpoint, self.place)) is not None:
                raise problem from None
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
            self._refuse(response)
        try:
            return model.model_validate_json(response.content)
        except ValidationError:
            # Without "from": the validation error repeats the answer, which may repeat a record.
            raise Trouble("broken", "the answer is not what the protocol says", status=response.status_code) from None

    def _refuse(self, response: httpx.Response) -> NoReturn:
        name, status = self._endpoint.endpoint, response.status_code
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            variable = self._endpoint.secret_variable
            what, remedy = "token", f"put a valid token into {variable}, then deliver again"
            if self._rest.authentication != "bearer":
                what = f"signature{clock_difference(response.headers)}"
                remedy = f"check this machine's clock, the key in {variable} and its key_id, then deliver again"
            raise DeliveryError(
                f"{name} at {self.place} does not accept our {what} (HTTP {status}); everything stays queued",
                remedy=remedy,
            )
        raise DeliveryError(
            f"{name} at {self.place} answers HTTP {status}; everything stays queued",
            remedy=f"check the address and the paths in schemas/endpoints/{name}.yaml, then deliver again",
        )


def _proof(endpoint: Endpoint, rest: Rest, secret: str) -> httpx.Auth:
    """What shows the receiver with every request who we are."""
    if rest.authentication != "bearer":
        return Signature(rest.authentication, rest.key_id, secret)
    if not secret.isascii() or not secret.isprintable() or " " in secret or not secret:
        raise DeliveryError(
            f"the token for {endpoint.endpoint} is empty or has characters that no header can carry",
            remedy=f"check the environment variable {endpoint.secret_variable} (blanks, line breaks?)",
        )
    return Bearer(secret)


def _message(category: Category, message: Message, endpoint: Endpoint) -> dict[str, Any]:
    told: dict[str, Any] = {
        "recordId": message.record_key,
        "operation": message.operation.upper(),
        "idempotencyKey": message.idempotency_key,
        "contentHash": message.content_hash,
        "data": renamed(message.data, category, endpoint),
    }
    if message.reason is not None:
        told["reason"] = message.reason
    return told


def clock_difference(headers: httpx.Headers, now: datetime | None = None) -> str:
    """By how much the receiver's clock and ours differ, in words; empty when they agree or it does not say."""
    try:
        theirs = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return ""
    seconds = (theirs.astimezone(UTC) - (now or datetime.now(UTC))).total_seconds()
    return f" (its clock and ours differ by {abs(seconds):.0f} s)" if abs(seconds) > NOTABLE_SECONDS else ""


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
