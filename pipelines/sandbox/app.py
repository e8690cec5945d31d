"""The receiver as an HTTP application: its interfaces, its page and the way it misbehaves over one desk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy import func, select

from pipelines.catalogue.categories import Category
from pipelines.sandbox import rest, xml_service
from pipelines.sandbox.control import control_router
from pipelines.sandbox.desk import Desk
from pipelines.sandbox.gate import Gate
from pipelines.sandbox.http_misbehaviour import HttpMisbehaviour
from pipelines.sandbox.misbehaviour import Misbehaviour
from pipelines.sandbox.page import render
from pipelines.sandbox.store import HeldRecord
from pipelines.sandbox.subjects import load_subjects

BEIJING = ZoneInfo("Asia/Shanghai")
KEY_ID = "guiji"


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

    Without a subject base, names are not compared (rule 1001 is off). Everything that senders ask wants the token, or a
    signature with it as the key ``KEY_ID``; the page and ``/health`` show no restricted data and are open. The desk is
    ``app.state.desk``, for ways into it that are no HTTP.
    """
    behaviour = misbehaviour or Misbehaviour()
    known = load_subjects(subjects) if subjects else None
    desk = Desk(store, categories, subjects=known, today=today, misbehaviour=behaviour)
    gate = Gate(token, KEY_ID, behaviour)
    app = FastAPI(title="guiji sandbox receiver", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    app.add_middleware(HttpMisbehaviour, misbehaviour=behaviour, beginning=rest.PREFIX)
    app.add_middleware(HttpMisbehaviour, misbehaviour=behaviour, beginning=xml_service.PREFIX)
    app.include_router(rest.rest_router(desk, gate))
    app.include_router(xml_service.xml_router(desk, token))
    app.include_router(control_router(behaviour, gate))

    @app.exception_handler(RequestValidationError)
    def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        # The default answer repeats the input, which may hold personal data.
        complaints = [{"loc": part["loc"], "type": part["type"]} for part in error.errors()]
        return JSONResponse({"detail": complaints[:20]}, status_code=422)

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return render(desk)

    @app.get("/health")
    def health() -> dict[str, Any]:
        with desk.sessions() as session:
            return {"status": "ok", "records": session.scalar(select(func.count()).select_from(HeldRecord))}

    return app
