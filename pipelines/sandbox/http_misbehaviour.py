"""Bad behaviour of an HTTP server: late, busy, broken before or after its work, cut off in the middle of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from pipelines.sandbox.misbehaviour import Misbehaviour

TOO_MANY_REQUESTS = 429

# The interface between server and application (ASGI 3).
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class HttpMisbehaviour:
    """Stands between the server and the application for all paths that begin with ``beginning``.

    ``slow``, ``busy`` and ``cut`` hit any request; ``fail_before``, ``fail_after`` and ``lose_answer`` only what is
    submitted (POST). What comes after the work comes only after work that was done.
    """

    def __init__(self, app: Application, misbehaviour: Misbehaviour, beginning: str) -> None:
        self._app = app
        self._misbehaviour = misbehaviour
        self._beginning = beginning

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._beginning):
            await self._app(scope, receive, send)
            return
        if slow := self._misbehaviour.takes("slow"):
            await asyncio.sleep(slow.seconds)
        if (refusal := self._refusal(scope)) is not None:
            # Read to the end first: who is still sending would not see the answer.
            while (await receive()).get("more_body"):
                pass
            await refusal(scope, receive, send)
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        await self._send(scope, receive, send, answer)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        if busy := self._misbehaviour.takes("busy"):
            status = TOO_MANY_REQUESTS if busy.status == 500 else busy.status
            return JSONResponse({"detail": "not now"}, status, headers={"Retry-After": f"{busy.seconds:.0f}"})
        if scope["method"] == "POST" and (failure := self._misbehaviour.takes("fail_before")):
            return JSONResponse({"detail": "not now"}, failure.status)
        return None

    async def _send(self, scope: Scope, receive: Receive, send: Send, answer: list[Message]) -> None:
        if answer[0]["status"] < 400:
            if scope["method"] == "POST":
                if failure := self._misbehaviour.takes("fail_after"):
                    await JSONResponse({"detail": "something broke"}, failure.status)(scope, receive, send)
                    return
                if loss := self._misbehaviour.takes("lose_answer"):
                    await asyncio.sleep(loss.seconds)
            if self._misbehaviour.takes("cut"):
                await _cut(send, answer)
                return
        for message in answer:
            await send(message)


async def _cut(send: Send, answer: list[Message]) -> None:
    """Send the head with the full length and half of the body; a server closes the connection of such an answer."""
    body = b"".join(message.get("body", b"") for message in answer[1:])
    await send(answer[0])
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
