"""The receiver as a SOAP web service, as the national platform offered it from 2016 to 2018."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Request, Response
from jinja2 import Environment, PackageLoader

from pipelines.errors import StorageError
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.soap_envelopes import MEDIA_TYPE, NAMESPACE, UnreadableError, fault, read_call, returned
from pipelines.sandbox.xml_desk import XmlDesk

_TEMPLATES = Environment(loader=PackageLoader("pipelines.sandbox", ""), autoescape=True)
PREFIX = "/service"


@dataclass(frozen=True)
class Service:
    """One web service: the category that it takes and the word in the names of its operations."""

    category: str
    word: str


SERVICES = {
    "PermissionWebService": Service("administrative_licence", "Permission"),
    # Its operations are spelled so.
    "PenaltyWebService": Service("administrative_penalty", "Penaly"),
}


def xml_router(desk: Desk, token: str) -> APIRouter:
    """The web services below ``PREFIX``; every call carries the token in its body."""
    router = APIRouter(prefix=PREFIX)
    behaviour = desk.misbehaviour
    operations = {
        name: _operations(XmlDesk(desk, desk.categories[service.category]), service.word)
        for name, service in SERVICES.items()
        if service.category in desk.categories
    }

    @router.get("/{name}")
    def description(name: str, request: Request) -> Response:
        if name not in operations:
            raise HTTPException(404, "unknown service")
        address = str(request.url.replace(query=""))
        text = _TEMPLATES.get_template("service.wsdl.j2").render(
            service=name, operations=list(operations[name]), url=address, namespace=NAMESPACE
        )
        return Response(text, media_type=MEDIA_TYPE)

    @router.post("/{name}")
    def call(name: str, content: Annotated[bytes, Body(media_type=MEDIA_TYPE)] = b"") -> Response:
        if name not in operations:
            raise HTTPException(404, "unknown service")
        return _answered(operations[name], token, behaviour, content)

    return router


def _operations(desk: XmlDesk, word: str) -> dict[str, Callable[[str], str]]:
    return {f"import{word}Xml": desk.submit, f"remove{word}Xml": desk.remove, f"query{word}Xml": desk.query}


def _answered(
    operations: dict[str, Callable[[str], str]], token: str, behaviour: Misbehaviour, content: bytes
) -> Response:
    try:
        asked = read_call(content)
    except UnreadableError as error:
        return _fault("Client", str(error))
    if asked.operation not in operations:
        return _fault("Client", "unknown operation")
    if behaviour.takes("wrong_token") or not secrets.compare_digest(asked.token.encode(), token.encode()):
        return _fault("Server", "the token is not known")
    try:
        text = operations[asked.operation](asked.text)
    except StorageError:
        return _fault("Server", "the store is full")
    return Response(returned(asked.operation, text), media_type=MEDIA_TYPE)


def _fault(code: str, words: str) -> Response:
    # SOAP 1.1 binds every fault to this status.
    return Response(fault(code, words), 500, media_type=MEDIA_TYPE)
