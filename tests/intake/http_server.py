"""An HTTP interface of a department for tests: gives out rows page by page, and misbehaves on command."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """One answer. ``cut`` sends that many bytes of the body and breaks off, ``drip`` sends a byte at a time."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    drip: bool = False
    drip_headers: bool = False


class Interface:
    """What the server answers: ``replies`` first, one for each request, then pages of ``rows``."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.asked: list[Asked] = []
        self.replies: list[Reply | None] = []
        self.answer: Callable[[Asked], Reply] = self.numbered
        self.address = ""
        self.stopped = threading.Event()

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        waiting = self.replies.pop(0) if self.replies else None
        return waiting or self.answer(asked)

    def numbered(self, asked: Asked) -> Reply:
        """``page`` and ``size``, with the total."""
        page, size = int(asked.query.get("page", 1)), int(asked.query.get("size", 3))
        return self.json({"code": 0, "data": {"total": len(self.rows), "list": self._slice((page - 1) * size, size)}})

    def from_offset(self, asked: Asked) -> Reply:
        """``start`` and ``size``, without a total; never more than 3 rows a page."""
        start, size = int(asked.query["start"]), int(asked.query["size"])
        return self.json({"data": {"list": self._slice(start, min(size, 3))}})

    def with_cursor(self, asked: Asked) -> Reply:
        start = int(asked.query.get("cursor", 0))
        following = start + 3 if start + 3 < len(self.rows) else None
        return self.json({"data": {"list": self._slice(start, 3), "next": following}})

    def with_link_header(self, asked: Asked) -> Reply:
        start = int(asked.query.get("from", 0))
        reply = self.json({"data": {"list": self._slice(start, 3)}})
        if start + 3 < len(self.rows):
            reply.headers["Link"] = f'<{asked.path}?from={start + 3}>; rel="next", </first>; rel="first"'
        return reply

    def with_link(self, asked: Asked) -> Reply:
        start = int(asked.query.get("from", 0))
        following = f"{self.address}{asked.path}?from={start + 3}" if start + 3 < len(self.rows) else ""
        return self.json({"data": {"list": self._slice(start, 3)}, "links": {"next": following}})

    def xml(self, asked: Asked) -> Reply:
        page = int(asked.query.get("page", 1))
        rows = "".join(
            "<ROW>" + "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in row.items()) + "</ROW>"
            for row in self._slice((page - 1) * 3, 3)
        )
        text = f'<?xml version="1.0" encoding="GB18030"?><ROWDATA total="{len(self.rows)}">{rows}</ROWDATA>'
        return Reply(body=text.encode("gb18030"))

    def json(self, data: Any) -> Reply:
        return Reply(body=json.dumps(data, ensure_ascii=False).encode())

    def zipped(self, asked: Asked) -> Reply:
        whole = self.numbered(asked)
        return Reply(body=gzip.compress(whole.body), headers={"Content-Encoding": "gzip"})

    def _slice(self, start: int, size: int) -> list[dict[str, Any]]:
        return self.rows[start : start + size]


@contextmanager
def http_interface(certificate: Path | None = None) -> Iterator[Interface]:
    """A running interface on a free port of this machine; with ``certificate`` (PEM with its key) over TLS."""
    interface = Interface()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(interface))
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    interface.address = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield interface
    finally:
        interface.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _handler(interface: Interface) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is logged: the tests look at ``asked``."""

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = interface.reply(Asked(self.command, parts.path, query, headers, body))
            if reply.drip_headers:
                self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000)
                return
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.drip:
                self._drip(reply.body)
            elif reply.cut is not None:
                self.wfile.write(reply.body[: reply.cut])
                self.close_connection = True
            else:
                self.wfile.write(reply.body)

        def _drip(self, data: bytes) -> None:
            self.close_connection = True
            for byte in data:
                try:
                    self.wfile.write(bytes((byte,)))
                    self.wfile.flush()
                except OSError:
                    return
                if interface.stopped.wait(0.05):
                    return

    return Handler
