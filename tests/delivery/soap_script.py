"""A web service that answers as a test says and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

Rows = list[dict[str, str]]
ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'


@dataclass(frozen=True)
class Said:
    """One answer over HTTP."""

    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


def returned(text: str) -> Said:
    """An answer with this text as what the operation returns."""
    return Said(ENVELOPE.format(f'<r:xResponse xmlns:r="urn:r"><return>{escape(text)}</return></r:xResponse>'))


def accepted(*ids: str) -> Said:
    listed = "".join(f"<id>{identity}</id>" for identity in ids)
    return returned(f'<?xml version="1.0" encoding="GBK"?><root><row><code>00</code><ids>{listed}</ids></row></root>')


def named(line: int | str, code: str = "1001") -> Said:
    return returned(f"<root><row><code>{code}</code><line>{line}</line></row></root>")


def held(rows: Rows) -> Said:
    """The answer to a query."""
    told = "".join(
        "<ROW>" + "".join(f"<{name}>{escape(text)}</{name}>" for name, text in row.items()) + "</ROW>" for row in rows
    )
    return returned(f"<root><row><code>00</code><rows>{told}</rows></row></root>")


def fault(code: str, words: str) -> Said:
    told = f"<s:Fault><faultcode>s:{code}</faultcode><faultstring>{words}</faultstring></s:Fault>"
    return Said(ENVELOPE.format(told), 500)


@dataclass
class Service:
    """``answer`` is given the rows of a call; ``calls`` are the operations with their rows, ``bodies`` as they came."""

    answer: Callable[[Rows], Said]
    url: str = ""
    calls: list[tuple[str, Rows]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def say(self, *answers: Said) -> None:
        """Give these answers, one after the other; one call more is an error of the test."""
        left = iter(answers)
        self.answer = lambda _rows: next(left)

    def hear(self, body: bytes) -> Said:
        self.bodies.append(body)
        call = etree.fromstring(body)[0][0]
        rows = etree.fromstring((call[1].text or "").encode())
        told = [{str(cell.tag): cell.text or "" for cell in row} for row in rows]
        self.calls.append((etree.QName(call).localname, told))
        return self.answer(told)


@contextmanager
def scripted_service() -> Iterator[Service]:
    """The service on a port of its own."""
    service = Service(lambda _rows: Said("", 404))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = service.hear(self.rfile.read(int(self.headers["Content-Length"])))
            content = said.body.encode()
            self.send_response(said.status)
            for name, value in (said.headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if said.cut else content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
