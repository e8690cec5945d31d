"""The receiver's REST interface, version 1: packages in, receipts and held records out."""

# Without "from __future__ import annotations": FastAPI could not resolve what is local to a function.
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Query
from sqlalchemy import func, select

from pipelines.catalogue.categories import Category
from pipelines.sandbox.desk import AnotherPackageError, Desk, StoreFullError
from pipelines.sandbox.gate import Gate
from pipelines.sandbox.messages import Key, SentPackage
from pipelines.sandbox.store import HeldRecord, IssuedReceipt, record_number

PREFIX = "/api/v1"


def rest_router(desk: Desk, gate: Gate) -> APIRouter:
    """Everything below ``/api/v1``; it wants the token or a signature."""
    router = APIRouter(prefix=PREFIX, dependencies=[Depends(gate.token_or_signature)])

    def known_category(category: str) -> Category:
        if category not in desk.categories:
            raise HTTPException(404, "unknown category")
        return desk.categories[category]

    @router.post("/{category}/packages", status_code=202)
    def submit(
        category: Annotated[Category, Depends(known_category)],
        package: SentPackage,
        idempotency_key: Annotated[Key, Header()],
        receipts: Literal["polled", "synchronous"] = "polled",
    ) -> dict[str, Any]:
        try:
            stored = desk.receive(category, package, idempotency_key, via="rest")
        except AnotherPackageError as error:
            raise HTTPException(409, error.problem) from error
        except StoreFullError as error:
            raise HTTPException(507, error.problem) from error
        taken = {"packageId": package.package_id, "received": stored.received}
        if receipts == "polled":
            return taken
        return taken | _told(desk, desk.told(package.package_id) or ())

    @router.get("/packages/{package_id}/receipts")
    def receipts(package_id: str) -> dict[str, Any]:
        lines = desk.told(package_id)
        if lines is None:
            raise HTTPException(404, "unknown package")
        return {"packageId": package_id, **_told(desk, lines)}

    @router.get("/{category}/records")
    def records(
        category: Annotated[Category, Depends(known_category)],
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[str | None, Query(pattern=r"^(SJ\d{12})?$")] = None,
    ) -> dict[str, Any]:
        # ``after`` the upper-level id of the page before: such pages stay right while records are added.
        if after is not None:
            page = desk.held(category, limit=limit, after=record_number(after))
            return {"records": [_record(record) for record in page]}
        with desk.sessions() as session:
            of_category = HeldRecord.category == category.category
            total = session.scalar(select(func.count()).select_from(HeldRecord).where(of_category))
        return {"total": total, "records": [_record(record) for record in desk.held(category, offset, limit)]}

    return router


def _told(desk: Desk, lines: Sequence[IssuedReceipt]) -> dict[str, Any]:
    done = desk.misbehaviour.takes("processing") is None
    return {"state": "done" if done else "processing", "receipts": [_receipt(line) for line in lines] if done else []}


def _receipt(line: IssuedReceipt) -> dict[str, Any]:
    return {
        "recordId": line.record_id,
        "idempotencyKey": line.idempotency_key,
        "result": line.result,
        "ruleCode": line.rule_code,
        "field": line.field,
        "message": line.message,
        "upperId": line.upper_id,
    }


def _record(record: HeldRecord) -> dict[str, Any]:
    return {
        "upperId": record.upper_id,
        "recordId": record.record_id,
        "contentHash": record.content_hash,
        "updates": record.updates,
        "acceptedAt": record.accepted_at.isoformat(),
        "updatedAt": record.updated_at.isoformat() if record.updated_at else None,
        "state": "withdrawn" if record.withdrawn_at else "shown",
        "reason": record.withdrawn_reason,
        "objection": record.objection,
        "data": record.data,
    }
