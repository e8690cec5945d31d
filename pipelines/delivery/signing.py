"""How a request shows who sends it: a token, or a keyed digest over what is asked, the body, the time and a nonce."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator
from typing import Literal

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

Algorithm = Literal["hmac_sha256", "hmac_sm3"]
# SM3 is the digest of GB/T 32905-2016, which government platforms ask for in place of SHA-256.
_DIGESTS: dict[Algorithm, type[hashes.HashAlgorithm]] = {"hmac_sha256": hashes.SHA256, "hmac_sm3": hashes.SM3}


def digest(algorithm: Algorithm, text: bytes) -> str:
    """The plain digest as lower-case hexadecimal text."""
    hashing = hashes.Hash(_DIGESTS[algorithm]())
    hashing.update(text)
    return hashing.finalize().hex()


def keyed_digest(algorithm: Algorithm, key: bytes, text: bytes) -> str:
    """The HMAC (GB/T 15852.2-2012, RFC 2104) as lower-case hexadecimal text."""
    hashing = HMAC(key, _DIGESTS[algorithm]())
    hashing.update(text)
    return hashing.finalize().hex()


class Bearer(httpx.Auth):
    """A token that opens everything to whoever holds it (RFC 6750)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class Signature(httpx.Auth):
    """Signs every request of a client anew, so that a repeated one has a time and a nonce of its own.

    The header is ``Authorization: HMAC-SM3 keyId="…", time="…", nonce="…", signature="…"`` (or ``HMAC-SHA256``). What
    is signed are five lines: the method, the path with its query as it is sent, the digest of the body, the time in
    seconds since 1970 (UTC), and the nonce.
    """

    requires_request_body = True

    def __init__(self, algorithm: Algorithm, key_id: str, key: str, now: Callable[[], float] = time.time) -> None:
        self._algorithm = algorithm
        self._key_id = key_id
        self._key = key.encode()
        self._now = now

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        at, nonce = f"{self._now():.0f}", secrets.token_hex(16)
        path = request.url.raw_path.decode("ascii")
        signed = "\n".join((request.method, path, digest(self._algorithm, request.content), at, nonce))
        signature = keyed_digest(self._algorithm, self._key, signed.encode())
        scheme = self._algorithm.upper().replace("_", "-")
        request.headers["Authorization"] = (
            f'{scheme} keyId="{self._key_id}", time="{at}", nonce="{nonce}", signature="{signature}"'
        )
        yield request
