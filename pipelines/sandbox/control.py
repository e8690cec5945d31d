"""The interface that makes the running receiver misbehave, and behave again; it wants the token."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from pipelines.sandbox.gate import Gate
from pipelines.sandbox.misbehaviour import Kind, Misbehaviour, Ration

PATH = "/control/misbehaviour"


class Wish(BaseModel):
    """One kind of bad behaviour, as a :class:`Ration` says it."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    times: Annotated[int, Field(ge=1)] | None = None
    chance: float = Field(default=1.0, gt=0, le=1)
    seconds: float = Field(default=1.0, ge=0)
    status: int = Field(default=500, ge=400, le=599)


def control_router(misbehaviour: Misbehaviour, gate: Gate) -> APIRouter:
    """``GET`` says what is in force, ``POST`` adds or changes one kind, ``DELETE`` ends one (``?kind=``) or all."""
    router = APIRouter(prefix=PATH, dependencies=[Depends(gate.token)])

    def in_force() -> dict[str, Any]:
        return {
            kind: {
                "times": ration.times,
                "chance": ration.chance,
                "seconds": ration.seconds,
                "status": ration.status,
                "shown": ration.shown,
            }
            for kind, ration in misbehaviour.plan().items()
        }

    @router.get("")
    async def look() -> dict[str, Any]:
        return in_force()

    @router.post("")
    async def misbehave(wish: Wish) -> dict[str, Any]:
        misbehaviour.set(wish.kind, Ration(wish.times, wish.chance, wish.seconds, wish.status))
        return in_force()

    @router.delete("")
    async def behave(kind: Kind | None = None) -> dict[str, Any]:
        if kind is None:
            misbehaviour.behave()
        else:
            misbehaviour.set(kind, None)
        return in_force()

    return router
