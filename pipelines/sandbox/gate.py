"""Who may come in: whoever holds the token, or has signed the request with it as key."""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from fastapi import HTTPException, Request

from pipelines.sandbox.misbehaviour import Misbehaviour

SKEW_SECONDS = 300
DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {"HMAC-SHA256": hashes.SHA256, "HMAC-SM3": hashes.SM3}
_SIGNED = re.compile(
    r'(HMAC-SHA256|HMAC-SM3) keyId="([^"]{1,100})", time="(\d{1,12})", '
    r'nonce="([0-9A-Za-z]{16,64})", signature="([0-9a-f]{64})"'
)


class Gate:
    """Lets a request through or answers 401.

    ``key_id`` is the name of the key that signatures must give. A signature is good for ``SKEW_SECONDS`` around the
    receiver's own time, which may be wrong, and each nonce once.
    """

    def __init__(
        self, token: str, key_id: str, misbehaviour: Misbehaviour, now: Callable[[], float] = time.time
    ) -> None:
        self._token = token
        self._key_id = key_id
        self._misbehaviour = misbehaviour
        self._now = now
        self._nonces: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    async def token_or_signature(self, request: Request) -> None:
        """For what senders ask."""
        if self._misbehaviour.takes("wrong_token"):
            raise _refused()
        shown = request.headers.get("Authorization", "")
        if (signed := _SIGNED.fullmatch(shown)) is not None:
            self._check(signed, request, await request.body())
        else:
            self.check_token(shown)

    async def token(self, request: Request) -> None:
        """For those who command the receiver."""
        self.check_token(request.headers.get("Authorization", ""))

    def check_token(self, shown: str) -> None:
        if not secrets.compare_digest(shown.encode(), f"Bearer {self._token}".encode()):
            raise _refused()

    def _check(self, signed: re.Match[str], request: Request, body: bytes) -> None:
        scheme, key_id, at, nonce, signature = signed.groups()
        path = request.scope["raw_path"].decode("ascii")
        query = request.scope["query_string"].decode("ascii")
        digest = hashes.Hash(DIGESTS[scheme]())
        digest.update(body)
        lines = (request.method, f"{path}?{query}" if query else path, digest.finalize().hex(), at, nonce)
        keyed = HMAC(self._token.encode(), DIGESTS[scheme]())
        keyed.update("\n".join(lines).encode())
        expected = keyed.finalize().hex()
        if key_id != self._key_id or not secrets.compare_digest(signature, expected):
            raise _refused()
        wrong = self._misbehaviour.takes("wrong_clock")
        now = self._now() - (wrong.seconds if wrong else 0.0)
        if abs(now - int(at)) > SKEW_SECONDS or not self._is_first_use(nonce, now):
            raise _refused()

    def _is_first_use(self, nonce: str, now: float) -> bool:
        with self._lock:
            # What is older would be refused for its time.
            while self._nonces and next(iter(self._nonces.values())) < now - 2 * SKEW_SECONDS:
                self._nonces.popitem(last=False)
            if nonce in self._nonces:
                return False
            self._nonces[nonce] = now
            return True


def _refused() -> HTTPException:
    return HTTPException(401, "unknown token or signature", headers={"WWW-Authenticate": "Bearer"})
