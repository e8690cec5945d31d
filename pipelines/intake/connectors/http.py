"""The HTTP connector: the pages of an interface, landed as they came, as one archive.

The archive is stored without compression and without time stamps, so that the same answers are the same bytes. Pages
without rows are left out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.sources import HttpSource
from pipelines.errors import ExtractError, SourceError, StorageError
from pipelines.intake.connectors.contract import Declared, Pull, PullRequest
from pipelines.intake.connectors.http_answers import largest
from pipelines.intake.connectors.http_exchange import Exchange
from pipelines.intake.connectors.http_pages import Pages
from pipelines.intake.connectors.patience import patiently
from pipelines.intake.landing import land
from pipelines.settings import Settings

# The earliest time that an archive can state.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class _Read:
    pages: int
    rows: int
    size: int
    total: int | None
    watermark: str | None


def pull(request: PullRequest) -> Pull:
    """Land the pages that answer for the business date, or for what is newer than the watermark.

    Raises :class:`SourceError` when not every page could be had, then nothing was landed, and :class:`ExtractError` for
    an answer without rows that should be a full dump.
    """
    source = _source(request.feed)
    parameters = _parameters(source, request)
    path = request.workspace / f"{request.feed.feed}-{request.business_date.isoformat()}.pages.zip"
    with Exchange(source, _url(source, request.business_date)) as exchange:

        def read() -> _Read:
            return _read(source, exchange, parameters, path, request)

        try:
            done = patiently(source.retries, exchange.place, read, request.progress)
            extracts = (land(path, request.settings.landing),) if done.rows else ()
        finally:
            path.unlink(missing_ok=True)
    if not extracts and request.feed.dump == "full":
        raise ExtractError(
            "the answer has no rows; a full dump without rows is not believed",
            remedy="ask the department what became of its rows, or declare dump: increment in the feed's YAML",
            file=exchange.place,
        )
    declared = {}
    if done.total is not None:
        declared[""] = Declared(f"{exchange.place}, {source.total_path}", rows=done.total)
    watermark = None
    if source.watermark_path is not None:
        # An answer without rows, or with old ones only, does not turn time back.
        watermark = largest((request.watermark, done.watermark))
    facts = {
        "source": "http",
        "address": exchange.place,
        "pages": done.pages,
        "rows": done.rows,
        "bytes": done.size,
        "requests": exchange.requests,
        "total": done.total,
        "since": parameters.get(source.since_parameter or ""),
        "until": parameters.get(source.until_parameter or ""),
    }
    return Pull(extracts, facts=facts, declared=declared, watermark=watermark)


def settle(settings: Settings, feed: Feed, receipt: Mapping[str, Any]) -> Sequence[str]:
    """Nothing is owed to an interface: it was only asked."""
    return ()


def _source(feed: Feed) -> HttpSource:
    if not isinstance(feed.source, HttpSource):
        raise TypeError(f"{feed.feed} is no http feed")
    return feed.source


def _url(source: HttpSource, day: date, environment: Mapping[str, str] = os.environ) -> str:
    url = (environment.get(source.url_variable) if source.url_variable else None) or source.url
    return url.replace("{date}", day.isoformat()).replace("{day}", f"{day:%Y%m%d}")


def _parameters(source: HttpSource, request: PullRequest) -> dict[str, str]:
    parameters = dict(source.parameters)
    if source.since_parameter is not None:
        if source.watermark_path is None:
            parameters[source.since_parameter] = request.business_date.strftime(source.date_format)
        elif (since := request.watermark or source.watermark_start) is not None:
            parameters[source.since_parameter] = since
    if source.until_parameter is not None:
        until = request.business_date + timedelta(days=source.until_days)
        parameters[source.until_parameter] = until.strftime(source.until_format or source.date_format)
    return parameters


def _read(
    source: HttpSource, exchange: Exchange, parameters: Mapping[str, str], path: Path, request: PullRequest
) -> _Read:
    """Write all pages to the archive at ``path``, from the first one."""
    pages = Pages(source, exchange, parameters, request.progress)
    count = size = 0
    watermark: str | None = None
    try:
        with ZipFile(path, "w", ZIP_STORED) as archive:
            for answer in pages:
                count += 1
                size += len(answer.body)
                if size > source.max_bytes:
                    raise SourceError(
                        f"the pages have more than {source.max_bytes:,} bytes, which is all that the feed allows",
                        remedy="raise source.max_bytes in the feed's YAML if this size is right",
                        file=exchange.place,
                    )
                archive.writestr(_entry(count, source.format), answer.body)
                watermark = largest((watermark, answer.watermark))
    except OSError as error:
        raise StorageError(
            f"the pages cannot be kept: {error.strerror or 'the disk refuses'}",
            remedy="free disk space or mend permissions, then run again",
            file=path,
        ) from error
    return _Read(count, pages.rows, size, pages.total, watermark)


def _entry(number: int, extension: str) -> ZipInfo:
    entry = ZipInfo(f"page-{number:05d}.{extension}", _NO_TIME)
    entry.create_system = 3
    entry.external_attr = 0o600 << 16
    return entry
