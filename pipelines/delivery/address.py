"""Where an endpoint is and what opens it: the address from its file or a variable, the secret from a variable only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from pipelines.catalogue.endpoints import Endpoint
from pipelines.errors import DeliveryError
from pipelines.network.plain_http import is_readable_on_the_way
from pipelines.network.sftp_connection import SSH_PORT, Server

# What an address may say beyond the place: how the server shows who it is. Everything else could hold a secret.
_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
_TLS_OPTIONS = {"sslmode", "sslrootcert", "ssl_ca", "ssl_check_hostname"}


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
            remedy=f"take it out of {source}; the secret belongs in {endpoint.secret_variable}",
        )
    if is_readable_on_the_way(url) and not endpoint.plain_http:
        raise DeliveryError(
            f"the address of {endpoint.endpoint} is http: everybody on the way could read records and secret",
            remedy=f"give its https address in {source}; only where a closed network protects the way, "
            f"set plain_http: true in schemas/endpoints/{endpoint.endpoint}.yaml",
        )
    return url.rstrip("/")


def endpoint_database(endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> URL:
    """Address of a front-end database, without user and password, with the driver that we use.

    Raises :class:`DeliveryError` for one that cannot be used.
    """
    text = (environment.get(endpoint.url_variable) if endpoint.url_variable else None) or endpoint.url
    source = endpoint.url_variable or f"schemas/endpoints/{endpoint.endpoint}.yaml"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Without "from": the error repeats the text.
        raise DeliveryError(
            f"the address of {endpoint.endpoint} is no database URL",
            remedy=f"write postgresql://host:port/database or mariadb://host:port/database in {source}",
        ) from None
    dialect = url.get_backend_name()
    if dialect not in _DRIVERS or not url.host or not url.database:
        raise DeliveryError(
            f"the address of {endpoint.endpoint} names no PostgreSQL, MariaDB or MySQL database on a host",
            remedy=f"write postgresql://host:port/database or mariadb://host:port/database in {source}",
        )
    if url.username is not None or url.password is not None or not set(url.query) <= _TLS_OPTIONS:
        raise DeliveryError(
            f"the address of {endpoint.endpoint} holds a user, a password or options other than those of TLS",
            remedy=f"take it out of {source}; the user belongs in exchange_table.user, "
            f"the password in {endpoint.secret_variable}",
        )
    return url.set(drivername=_DRIVERS[dialect])


def endpoint_secret(endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> str:
    """The secret that opens the endpoint; a :class:`DeliveryError` names the variable when it is missing."""
    secret = environment.get(endpoint.secret_variable, "")
    if not secret:
        raise DeliveryError(
            f"the secret for {endpoint.endpoint} is missing",
            remedy=f"set the environment variable {endpoint.secret_variable}",
        )
    return secret


def endpoint_server(endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> Server:
    """Host and port of an endpoint at ``sftp://host:port``; a :class:`DeliveryError` for an address that is not so."""
    url = (environment.get(endpoint.url_variable) if endpoint.url_variable else None) or endpoint.url
    source = endpoint.url_variable or f"schemas/endpoints/{endpoint.endpoint}.yaml"
    try:
        parts = urlsplit(url)
        server = Server(parts.hostname or "", parts.port or SSH_PORT)
    except ValueError:
        server = Server("", 0)
    if "@" in url:
        raise DeliveryError(
            f"the address of {endpoint.endpoint} holds a user or password",
            remedy=f"take it out of {source}; the user belongs in sftp_file, the secret in {endpoint.secret_variable}",
        )
    if not server.host or not url.startswith("sftp://") or parts.path.strip("/") or parts.query or parts.fragment:
        raise DeliveryError(
            f"the address of {endpoint.endpoint} is not sftp://host:port", remedy=f"mend it in {source}"
        )
    return server
