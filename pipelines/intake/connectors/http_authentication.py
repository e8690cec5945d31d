"""What opens an interface: a token in a header, or a signature that proves the secret without sending it.

The text that is signed (HMAC with SHA-256, or with SM3 of GB/T 32905) are these lines, joined by line feeds, in UTF-8::

    GET
    /api/penalties?page=2&size=500
    1795132800
    6f0c9e0d2b6b4b7f8d2f6f6a3c1e9b55

method, path with query as sent, seconds since 1970, nonce. Where a body is sent, a fifth line holds its digest (by the
same algorithm) in hexadecimal digits. Every attempt has its own time and nonce.
"""

from __future__ import annotations

import base64
import os
import secrets
import time
from collections.abc import Generator, Mapping

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from pipelines.catalogue.sources import HttpAuthentication
from pipelines.errors import SourceError

_DIGESTS: dict[str, type[hashes.SHA256] | type[hashes.SM3]] = {"sha256": hashes.SHA256, "sm3": hashes.SM3}


class TokenAuthentication(httpx.Auth):
    """The secret itself stands in a header."""

    def __init__(self, header: str, value: str) -> None:
        self._header = header
        self._value = value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._header] = self._value
        yield request


class ParameterAuthentication(httpx.Auth):
    """The secret itself stands in the address."""

    def __init__(self, parameter: str, secret: str) -> None:
        self._parameter = parameter
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.url = request.url.copy_set_param(self._parameter, self._secret)
        yield request


class SignedAuthentication(httpx.Auth):
    """Each request carries a signature of its own."""

    requires_request_body = True

    def __init__(self, description: HttpAuthentication, secret: str) -> None:
        self._description = description
        self._secret = secret.encode()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        described = self._description
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        lines = [request.method, request.url.raw_path.decode("ascii"), timestamp, nonce]
        if request.content:
            lines.append(self._digest(request.content).hex())
        signature = self._sign("\n".join(lines).encode())
        written = signature.hex() if described.encoding == "hex" else base64.b64encode(signature).decode()
        if described.key is not None:
            request.headers[described.key_header] = described.key
        request.headers[described.timestamp_header] = timestamp
        request.headers[described.nonce_header] = nonce
        request.headers[described.header or "X-Signature"] = f"{described.prefix or ''}{written}"
        yield request

    def _digest(self, data: bytes) -> bytes:
        digest = hashes.Hash(_DIGESTS[self._description.digest]())
        digest.update(data)
        return digest.finalize()

    def _sign(self, data: bytes) -> bytes:
        signing = HMAC(self._secret, _DIGESTS[self._description.digest]())
        signing.update(data)
        return signing.finalize()


def authentication_of(
    description: HttpAuthentication, environment: Mapping[str, str] = os.environ
) -> httpx.Auth | None:
    """How requests are opened; a :class:`SourceError` names the variable whose secret is missing or cannot be sent."""
    if description.style == "none" or description.secret_variable is None:
        return None
    secret = environment.get(description.secret_variable, "")
    if not secret:
        raise SourceError(
            "the secret that opens the interface is missing",
            remedy=f"set the environment variable {description.secret_variable}",
        )
    if description.style == "hmac":
        return SignedAuthentication(description, secret)
    if description.parameter is not None:
        return ParameterAuthentication(description.parameter, secret)
    if not secret.isascii() or not secret.isprintable() or secret.strip() != secret:
        raise SourceError(
            "the secret that opens the interface has characters that no header can carry",
            remedy=f"check the environment variable {description.secret_variable} (blanks, line breaks?)",
        )
    prefix = "Bearer " if description.prefix is None else description.prefix
    return TokenAuthentication(description.header or "Authorization", prefix + secret)
