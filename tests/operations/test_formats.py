"""The same rows in any format end in the same records; a batch without rows is published like any other."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from sqlalchemy import select

from pipelines.catalogue.headers import normalise_header
from pipelines.intake.connectors.contract import Pull
from pipelines.ledger.models import Run
from pipelines.operations import pulling
from pipelines.operations.attempts import begin_run
from pipelines.operations.context import Context
from pipelines.operations.fingerprint import deciding_parts
from pipelines.operations.judging import judge_batch
from pipelines.operations.publishing import publish_batch
from pipelines.operations.trace import trace
from tests.operations import state
from tests.operations.conftest import FRIDAY, MONDAY, drop, golden

FEED = "market_licence"
Rows = Sequence[dict[str, str]]


def as_json(rows: Rows) -> bytes:
    return json.dumps({"code": 0, "data": {"list": rows}}, ensure_ascii=False).encode("gb18030")


def as_json_lines(rows: Rows) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def as_xml(rows: Rows) -> bytes:
    text = "".join(
        f"<ROW>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in row.items())}</ROW>\n" for row in rows
    )
    return f'<?xml version="1.0" encoding="GBK"?>\n<ROWDATA>\n{text}</ROWDATA>'.encode("gb18030")


def as_archive(rows: Rows) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("1.json", as_json(rows[:3]))
        archive.writestr("2.json", as_json(rows[3:5]))
        archive.writestr("3.xml", as_xml(rows[5:]))
        archive.writestr("说明.txt", "请查收")
    return data.getvalue()


def test_the_same_rows_in_another_format_are_the_same_records(
    tmp_path: Path, inbox: Path, install: Callable[[Path], Context]
) -> None:
    context = install(tmp_path / "csv")
    header, *lines = csv.reader(io.StringIO(golden(FEED).decode("utf-8-sig")))
    codes = context.catalogue.categories["administrative_licence"].headers()
    names = [codes.get(normalise_header(name), name) for name in header]
    rows = [dict(zip(names, line, strict=True)) for line in lines if len(line) == len(names)]
    expected = published(context)
    assert len(expected) > 3
    for form in (as_archive, as_json_lines):
        drop(inbox, FEED, FRIDAY, form(rows))
        other = install(tmp_path / form.__name__)
        assert published(other) == expected
        with other.session() as session:
            found = [trace(other, session, "administrative_licence", key).versions[-1] for key, *_ in expected]
        sent = [{name: value for name, value in row.items() if value} for row in rows]
        assert all({name: value for name, value in version.source_row.items() if value} in sent for version in found)


def published(context: Context) -> list[tuple[str, str, int]]:
    run_id = pulling.pull_batch(context, FEED, FRIDAY)
    publish_batch(context, judge_batch(context, run_id))
    with context.session() as session:
        context.stores["administrative_licence"].versions(session, "found", set())
        return session.rows("SELECT record_key, content_hash, version FROM found ORDER BY ALL")


def test_a_batch_without_rows_is_published(tmp_path: Path, install: Callable[[Path], Context]) -> None:
    """An increment that has nothing in it has no extracts, no parts and no columns."""
    context = install(tmp_path / "home")
    before = published(context)
    feed = context.catalogue.feed(FEED)
    run = begin_run(context, feed, MONDAY)
    pulling._read(context, feed, run, Pull(()), deciding_parts(context, feed, ()))
    publish_batch(context, judge_batch(context, run.id))
    with context.ledger.read() as session:
        done = session.scalars(select(Run).where(Run.id == run.id)).one()
    assert (done.state, done.rows_decoded, done.accepted, done.quarantined) == ("published", 0, 0, 0)
    assert len(state.records(context)["administrative_licence"]) == len(before)
