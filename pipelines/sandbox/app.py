"""The receiver's HTTP interface, version 1."""

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Lock
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipelines.catalogue.categories import Category
from pipelines.sandbox.judge import Judge
from pipelines.sandbox.messages import Key, SentPackage
from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.page import render
from pipelines.sandbox.store import HeldRecord, IssuedReceipt, ReceivedPackage, open_store
from pipelines.sandbox.subjects import load_subjects

BEIJING = ZoneInfo("Asia/Shanghai")


def beijing_today() -> date:
    """The calendar day at the receiver."""
    return datetime.now(BEIJING).date()


def create_app(
    store: Path,
    categories: Mapping[str, Category],
    token: str,
    *,
    subjects: Path | None = None,
    today: Callable[[], date] = beijing_today,
    misbehaviour: Misbehaviour | None = None,
) -> FastAPI:
    """The receiver over the SQLite file ``store``.

    Without a subject base, names are not compared (rule 1001 is off). Everything below ``/api`` wants the bearer
    token; the page and ``/health`` show no restricted data and are open.
    """
    sessions = open_store(store)
    known_subjects = load_subjects(subjects) if subjects else None
    behaviour = misbehaviour or Misbehaviour()
    writing = Lock()
    app = FastAPI(title="guiji sandbox receiver", docs_url=None, redoc_url=None, openapi_url=None)

    def authorise(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "unknown token", headers={"WWW-Authenticate": "Bearer"})

    def known_category(category: str) -> Category:
        if category not in categories:
            raise HTTPException(404, "unknown category")
        return categories[category]

    @app.exception_handler(RequestValidationError)
    def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        # The default answer repeats the input, which may hold personal data.
        complaints = [{"loc": part["loc"], "type": part["type"]} for part in error.errors()]
        return JSONResponse({"detail": complaints[:20]}, status_code=422)

    @app.post("/api/v1/{category}/packages", status_code=202, dependencies=[Depends(authorise)])
    def submit(
        category: Annotated[Category, Depends(known_category)],
        package: SentPackage,
        idempotency_key: Annotated[Key, Header()],
    ) -> dict[str, Any]:
        if behaviour.takes_failure():
            headers = {"Retry-After": behaviour.retry_after} if behaviour.retry_after else None
            raise HTTPException(behaviour.fail_status, "not now", headers=headers)
        with writing, sessions.begin() as session:
            received = _receive(session, category, package, idempotency_key)
        if behaviour.takes_loss():
            time.sleep(behaviour.lose_seconds)
        return {"packageId": package.package_id, "received": received}

    def _receive(session: Session, category: Category, package: SentPackage, idempotency_key: str) -> int:
        stored = session.scalar(select(ReceivedPackage).where(ReceivedPackage.idempotency_key == idempotency_key))
        if stored is not None:
            if (stored.package_id, stored.category, stored.digest) != (
                package.package_id,
                category.category,
                package.digest(),
            ):
                raise HTTPException(409, "the idempotency key belongs to another package")
            return stored.received
        if session.get(ReceivedPackage, package.package_id) is not None:
            raise HTTPException(409, "the package id is taken")
        judge = Judge(session, category, known_subjects, today(), datetime.now(UTC).replace(tzinfo=None))
        return judge.receive(package, idempotency_key).received

    @app.get("/api/v1/packages/{package_id}/receipts", dependencies=[Depends(authorise)])
    def receipts(package_id: str) -> dict[str, Any]:
        with writing, sessions.begin() as session:
            package = session.get(ReceivedPackage, package_id)
            if package is None:
                raise HTTPException(404, "unknown package")
            package.polls += 1
            done = package.polls > behaviour.processing_polls
            issued = select(IssuedReceipt).where(IssuedReceipt.package_id == package_id)
            lines = session.scalars(issued.order_by(IssuedReceipt.position)) if done else []
            return {
                "packageId": package_id,
                "state": "done" if done else "processing",
                "receipts": [_receipt(line) for line in lines],
            }

    @app.get("/api/v1/{category}/records", dependencies=[Depends(authorise)])
    def records(
        category: Annotated[Category, Depends(known_category)],
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        of_category = HeldRecord.category == category.category
        with sessions() as session:
            total = session.scalar(select(func.count()).select_from(HeldRecord).where(of_category))
            page = select(HeldRecord).where(of_category).order_by(HeldRecord.id).offset(offset).limit(limit)
            return {"total": total, "records": [_record(record) for record in session.scalars(page)]}

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        with sessions() as session:
            return render(session, categories)

    @app.get("/health")
    def health() -> dict[str, Any]:
        with sessions() as session:
            return {"status": "ok", "records": session.scalar(select(func.count()).select_from(HeldRecord))}

    return app


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
        "data": record.data,
    }
