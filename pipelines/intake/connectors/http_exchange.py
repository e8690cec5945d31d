"""One exchange with an HTTP interface: bounded in time and size, told apart by what may be tried again.

Nothing of an answer is ever repeated in a message, and of the address only scheme, host and path: the rest may hold a
secret or personal data.
"""

from __future__ import annotations

import logging
import os
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx

from pipelines.catalogue.sources import HttpSource
from pipelines.errors import SourceError
from pipelines.intake.connectors.http_authentication import authentication_of
from pipelines.intake.connectors.patience import Trouble
from pipelines.intake.connectors.time_limit import time_limit
from pipelines.network.plain_http import is_readable_on_the_way

_COME_LATER = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
_REFUSED = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.PROXY_AUTHENTICATION_REQUIRED}
_REDIRECTS = 5
_INFLATED_AT_ONCE = 1 << 20
_GZIP = zlib.MAX_WBITS | 16
_ASK_OPERATORS = "ask the operators of the source, then run the batch again"


# On its level INFO the library logs addresses with their queries.
logging.getLogger("httpx").setLevel(logging.WARNING)


class Exchange:
    """Requests to one interface; use it as a context manager.

    Proxies and certificates of the environment are not used unless the source names a variable for them. Redirects and
    links are followed on the same scheme, host and port only: anywhere else they would carry the secret along.
    """

    def __init__(self, source: HttpSource, url: str, environment: Mapping[str, str] = os.environ) -> None:
        self.first = _checked_url(source, url)
        self.place = _place(self.first)
        self.requests = 0
        self._source = source
        self._descriptor: int | None = None
        self._client = httpx.Client(
            auth=authentication_of(source.authentication, environment),
            verify=_certificates(source, environment),
            proxy=_proxy(source, environment),
            trust_env=False,
            follow_redirects=False,
            timeout=source.timeout_seconds,
            headers={
                "Accept": "application/json" if source.format == "json" else "application/xml, text/xml",
                "Accept-Encoding": "gzip",
                "User-Agent": "guiji",
            },
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

    def ask(self, url: httpx.URL, parameters: Mapping[str, str]) -> tuple[bytes, httpx.Headers, httpx.URL]:
        """The body of an answer, its headers and the address that gave it.

        Raises :class:`Trouble` for what may pass and :class:`SourceError` when the source refuses us, our address, or
        sends more than ``max_page_bytes``.
        """
        request = self._request(url, parameters)
        with self._told(), time_limit(self._source.timeout_seconds, lambda: self._descriptor):
            for _ in range(_REDIRECTS + 1):
                self.requests += 1
                response = self._client.send(request, stream=True)
                try:
                    if not response.has_redirect_location:
                        self._check(response)
                        return self._body(response), response.headers, response.url
                    request = self._redirected(request, response)
                finally:
                    response.close()
        raise self._error("the interface redirects in circles", "mend source.url in the feed's YAML")

    def same_place(self, url: httpx.URL) -> bool:
        """Whether an address has the scheme, host and port that the feed names."""
        return (url.scheme, url.host, url.port) == (self.first.scheme, self.first.host, self.first.port)

    def _request(self, url: httpx.URL, parameters: Mapping[str, str]) -> httpx.Request:
        extensions = {"trace": self._note_connection}
        if self._source.send == "query":
            return self._client.build_request("GET", url.copy_merge_params(dict(parameters)), extensions=extensions)
        if self._source.send == "form":
            return self._client.build_request("POST", url, data=dict(parameters), extensions=extensions)
        return self._client.build_request("POST", url, json=dict(parameters), extensions=extensions)

    def _note_connection(self, event: str, details: dict[str, Any]) -> None:
        """The socket behind a new connection, so that the time limit can cut it."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._descriptor = details["return_value"].get_extra_info("socket").fileno()

    def _redirected(self, request: httpx.Request, response: httpx.Response) -> httpx.Request:
        target = response.url.join(response.headers["Location"])
        if not self.same_place(target):
            raise self._error(
                f"the interface redirects (HTTP {response.status_code}) to another address, {_place(target)}",
                "if that is right, name the new address as source.url in the feed's YAML",
            )
        if request.method != "GET":
            raise self._error(
                f"the interface redirects (HTTP {response.status_code}) what was posted",
                "name the address it redirects to as source.url in the feed's YAML",
            )
        return self._client.build_request("GET", target, extensions={"trace": self._note_connection})

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if response.is_success:
            return
        if status in _COME_LATER or status >= 500:
            raise Trouble(f"the interface answers HTTP {status}", remedy=_ASK_OPERATORS, pause=asked_pause(response))
        if status in _REFUSED:
            variable = self._source.authentication.secret_variable or "source.authentication"
            raise self._error(
                f"the interface does not let us in (HTTP {status})",
                f"check {variable}; a signature also fails when the clocks differ",
            )
        raise self._error(
            f"the interface answers HTTP {status}", "check source.url and source.parameters in the feed's YAML"
        )

    def _body(self, response: httpx.Response) -> bytes:
        limit = self._source.max_page_bytes
        body = bytearray()
        for piece in _inflated(response):
            body += piece
            if len(body) > limit:
                raise self._error(
                    f"an answer has more than {limit:,} bytes, which is all that the feed allows",
                    "ask for fewer rows a page (source.paging.size), or raise source.max_page_bytes",
                )
        return bytes(body)

    @contextmanager
    def _told(self) -> Iterator[None]:
        # Only the kind of an error is told: the text of some repeats headers.
        try:
            yield
        except (httpx.TransportError, zlib.error) as error:
            if _is_untrusted(error):
                raise self._error(
                    "the certificate of the interface is not trusted, or not for this host",
                    "name the file of the certificates to trust in source.certificates_variable",
                ) from None
            raise Trouble(f"the exchange broke ({type(error).__name__})", remedy=_ASK_OPERATORS) from None
        except httpx.InvalidURL:
            raise self._error("the interface redirects to something that is no address", _ASK_OPERATORS) from None

    def _error(self, problem: str, remedy: str) -> SourceError:
        return SourceError(problem, remedy=remedy, file=self.place)


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def asked_pause(response: httpx.Response, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> timedelta | None:
    """The pause in ``Retry-After`` (RFC 9110, 10.2.3: seconds or a date); None without a readable one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - now(), timedelta())


def _inflated(response: httpx.Response) -> Iterator[bytes]:
    """The body without its compression, in bounded pieces: a few bytes may stand for gigabytes."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        yield from response.iter_raw()
        return
    if encoding not in {"gzip", "x-gzip"}:
        raise Trouble("the answer is compressed in a way that was not asked for", remedy=_ASK_OPERATORS)
    inflater = zlib.decompressobj(_GZIP)
    for piece in response.iter_raw():
        waiting = piece
        while waiting:
            if inflater.eof:
                # Several members may follow one another (RFC 1952, 2.2).
                inflater = zlib.decompressobj(_GZIP)
            yield inflater.decompress(waiting, _INFLATED_AT_ONCE)
            waiting = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise Trouble("the answer ends in the middle of its compression", remedy=_ASK_OPERATORS)


def _checked_url(source: HttpSource, url: str) -> httpx.URL:
    where = source.url_variable or "source.url in the feed's YAML"
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise SourceError("the address of the interface is no URL", remedy=f"mend {where}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise SourceError("the address of the interface is no http(s) URL", remedy=f"mend {where}")
    if parsed.userinfo:
        raise SourceError(
            "the address of the interface holds a user or password",
            remedy=f"take it out of {where}; a secret belongs in source.authentication.secret_variable",
        )
    if is_readable_on_the_way(url) and not source.plain_http:
        raise SourceError(
            "the address of the interface is http: everybody on the way could read records and secret",
            remedy=f"give its https address in {where}; only where a closed network protects the way, "
            "set source.plain_http: true in the feed's YAML",
        )
    return parsed


def _place(url: httpx.URL) -> str:
    """Scheme, host, port and path, without query."""
    return str(url.copy_with(query=None, fragment=None, username=None, password=None))


def _certificates(source: HttpSource, environment: Mapping[str, str]) -> ssl.SSLContext | bool:
    if source.certificates_variable is None:
        return True
    path = environment.get(source.certificates_variable, "")
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise SourceError(
            "the certificates that the interface is checked with cannot be read",
            remedy=f"set {source.certificates_variable} to a file of certificates in PEM",
            file=path or None,
        ) from None


def _proxy(source: HttpSource, environment: Mapping[str, str]) -> str | None:
    if source.proxy_variable is None:
        return None
    proxy = environment.get(source.proxy_variable, "")
    if not proxy.startswith(("http://", "https://")):
        raise SourceError(
            "the proxy to the interface is missing or no http(s) URL",
            remedy=f"set the environment variable {source.proxy_variable}",
        )
    return proxy
