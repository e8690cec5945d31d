"""Commands to a running receiver: what it shall do wrong, and that it shall stop."""

from __future__ import annotations

import ssl
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from pipelines.errors import DeliveryError
from pipelines.sandbox.control import PATH
from pipelines.sandbox.misbehaviour import Kind, Ration

SECONDS = 10.0
InForce = dict[str, dict[str, Any]]
"""Kind → times, chance, seconds, status and how often it was shown."""


class Remote:
    """The receiver at ``url``, commanded with its token. ``authority``: the file that its certificate is checked with.

    Every command returns what is in force after it. Raises :class:`DeliveryError` when the receiver does not answer or
    does not know the token.
    """

    def __init__(self, url: str, token: str, authority: Path | None = None) -> None:
        self._url = url.rstrip("/")
        self._token = token
        try:
            self._verify = ssl.create_default_context(cafile=authority) if authority else True
        except (OSError, ssl.SSLError):
            raise DeliveryError(
                "the authority of the receiver cannot be read",
                remedy="name the authority.pem that the receiver wrote",
                file=authority,
            ) from None

    def misbehave(self, kind: Kind, ration: Ration) -> InForce:
        """Begin or change one kind of bad behaviour."""
        told = {name: value for name, value in asdict(ration).items() if name != "shown"}
        return self._ask("POST", json={"kind": kind, **told})

    def behave(self, kind: Kind | None = None) -> InForce:
        """End one kind, or all of it."""
        return self._ask("DELETE", params={"kind": kind} if kind else None)

    def in_force(self) -> InForce:
        """What it does wrong now."""
        return self._ask("GET")

    def _ask(self, method: str, **what: Any) -> InForce:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            with httpx.Client(trust_env=False, timeout=SECONDS, verify=self._verify) as client:
                response = client.request(method, self._url + PATH, headers=headers, **what)
        except httpx.HTTPError as error:
            raise DeliveryError(
                f"no receiver answers at {self._url} ({type(error).__name__})",
                remedy="start it with guiji sandbox, or give its address with --url",
            ) from None
        if response.status_code != httpx.codes.OK:
            raise DeliveryError(
                f"the receiver at {self._url} answers HTTP {response.status_code}",
                remedy="name the variable that holds its token with --variable"
                if response.status_code == httpx.codes.UNAUTHORIZED
                else "check the address and what is asked",
            )
        answer: InForce = response.json()
        return answer
