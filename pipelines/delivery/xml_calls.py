"""One call of the national web service: over HTTP, in its envelope, and every way in which it can fail."""

from __future__ import annotations

from typing import NoReturn

import httpx

from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.protocols import XmlService
from pipelines.delivery.certificates import distrust, trusted
from pipelines.delivery.replies import PackageRefusedError, Trouble
from pipelines.delivery.rest import ABOUT_CONTENT, COME_LATER, NOT_SENT, retry_after
from pipelines.delivery.rowdata import Answer, read_answer
from pipelines.delivery.soap import HEADERS, NotXmlError, SoapFault, envelope, returned_text, sendable
from pipelines.errors import DeliveryError

CONNECT_SECONDS = 10.0


class XmlServiceClient:
    """The service behind one address.

    Proxies of the environment are not used and redirects are not followed: records and the token, which stands in the
    body of every call, go to the endpoint and nowhere else.
    """

    def __init__(self, endpoint: Endpoint, service: XmlService, url: str, token: str) -> None:
        if not token or not token.isprintable() or sendable(token) != token:
            raise DeliveryError(
                f"the token for {endpoint.endpoint} is empty or has characters that XML cannot carry",
                remedy=f"check the environment variable {endpoint.secret_variable} (line breaks?)",
            )
        self._endpoint = endpoint
        self._service = service
        self._url = url
        self._token = token
        self._client = httpx.Client(
            headers=HEADERS,
            timeout=httpx.Timeout(endpoint.timeout_seconds, connect=min(CONNECT_SECONDS, endpoint.timeout_seconds)),
            verify=trusted(endpoint, service.ca_file),
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def call(self, path: str, operation: str, text: str) -> Answer:
        """Hand ``text`` to an operation and read its answer.

        Raises :class:`Trouble` for what may be tried again, :class:`PackageRefusedError` when the service cannot read
        the call, and :class:`DeliveryError` when it refuses our token or our address.
        """
        parameters = dict(zip(self._service.parameters, (self._token, text), strict=True))
        response = self._send(path, envelope(self._service.namespace, operation, parameters))
        status = response.status_code
        try:
            answer = read_answer(returned_text(response.content))
        except SoapFault as fault:
            self._fault(fault, status)
        except NotXmlError as error:
            self._refuse(status)
            raise Trouble("broken", str(error), status=status) from None
        self._refuse(status)
        if answer.code in self._service.token_refused:
            raise self._token_refused(f"code {answer.code}")
        return answer

    def _send(self, path: str, content: bytes) -> httpx.Response:
        # Only the kind of an error is told: a body holds records and the token.
        try:
            response = self._client.post(self._url + path, content=content)
        except NOT_SENT as error:
            if (problem := distrust(error, self._endpoint, self._url)) is not None:
                raise problem from None
            raise Trouble("unreachable", type(error).__name__) from error
        except httpx.RequestError as error:
            raise Trouble("ambiguous", type(error).__name__) from error
        status = response.status_code
        if status in COME_LATER:
            raise Trouble("busy", f"HTTP {status}", status=status, retry_after=retry_after(response.headers))
        return response

    def _fault(self, fault: SoapFault, status: int) -> NoReturn:
        # SOAP 1.1 sends every fault with HTTP 500, so the status says nothing.
        told = fault.text.casefold()
        if any(word.casefold() in told for word in self._service.token_refused):
            raise self._token_refused(str(fault))
        if fault.code.partition(".")[0] == "Client":
            raise PackageRefusedError(str(fault))
        raise Trouble("broken", str(fault), status=status)

    def _refuse(self, status: int) -> None:
        if status in ABOUT_CONTENT:
            raise PackageRefusedError(status)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Trouble("broken", f"HTTP {status}", status=status)
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise self._token_refused(f"HTTP {status}")
        if not httpx.codes.is_success(status):
            name = self._endpoint.endpoint
            raise DeliveryError(
                f"{name} at {self._url} answers HTTP {status}; everything stays queued",
                remedy=f"check the address and the paths in schemas/endpoints/{name}.yaml, then deliver again",
            )

    def _token_refused(self, how: str) -> DeliveryError:
        return DeliveryError(
            f"{self._endpoint.endpoint} at {self._url} does not accept our token ({how}); everything stays queued",
            remedy=f"put a valid token into {self._endpoint.secret_variable}, then deliver again",
        )
