"""Where an endpoint is and what opens it: the address from its file or a variable, the secret from a variable only."""

from __future__ import annotations

import os
from collections.abc import Mapping

import httpx

from pipelines.catalogue.endpoints import Endpoint
from pipelines.errors import DeliveryError


def endpoint_url(endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> str:
    """Base address without a trailing slash; a :class:`DeliveryError` for one that cannot be used."""
    url = (environment.get(endpoint.url_variable) if endpoint.url_variable else None) or endpoint.url
    source = endpoint.url_variable or f"schemas/endpoints/{endpoint.endpoint}.yaml"
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise DeliveryError(f"the address of {endpoint.endpoint} is no URL", remedy=f"mend it in {source}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise DeliveryError(f"the address of {endpoint.endpoint} is no http(s) URL", remedy=f"mend it in {source}")
    if parsed.userinfo:
        raise DeliveryError(
            f"the address of {endpoint.endpoint} holds a user or password",
            remedy=f"take it out of {source}; the secret belongs in {endpoint.token_variable}",
        )
    return url.rstrip("/")


def endpoint_token(endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> str:
    """The bearer token; a :class:`DeliveryError` names the variable when it is missing."""
    token = environment.get(endpoint.token_variable, "")
    if not token:
        raise DeliveryError(
            f"the token for {endpoint.endpoint} is missing",
            remedy=f"set the environment variable {endpoint.token_variable}",
        )
    return token
