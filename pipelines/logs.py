"""Logs: what happened, in which batch, run or package; as text, or as JSON when ``GUIJI_LOG_FORMAT=json``.

Every line is an event with facts, e.g. ``run.published`` with run, rows and seconds. They go to the error stream;
inside Airflow they go where Airflow puts the log of a task. No fact is a record, and a filter masks identity numbers,
phones and bank cards in whatever is logged all the same. Of an exception only the kind is written: its text may quote
a row.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Any

from pipelines.errors import CatalogueError
from pipelines.identity.masking import mask_code, mask_text

NAME = "guiji"
LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("text", "json")
# A mistyped number still points at a person: what has the length of one is judged as a code, not as text.
_LONG_CODE = re.compile(r"(?<![0-9A-Za-z])(?:[0-9]{17}[0-9Xx]|[0-9]{15})(?![0-9A-Za-z])")


class Log:
    """Writes events of one part of the program, e.g. ``Log("run").info("run.published", run=run.id)``."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"{NAME}.{part}")
        if not any(isinstance(one, PersonalDataFilter) for one in self._logger.filters):
            self._logger.addFilter(PersonalDataFilter())

    def info(self, event: str, **facts: object) -> None:
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        self._write(logging.WARNING, event, facts)

    def _write(self, level: int, event: str, facts: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            known = {name: fact for name, fact in facts.items() if fact is not None}
            text = " ".join((event, *(f"{name}={_shown(fact)}" for name, fact in known.items())))
            # Others may write the message only: the facts stand in it too.
            self._logger.log(level, "%s", text, extra={"event": event, "facts": known})


class PersonalDataFilter(logging.Filter):
    """Masks personal data in the message and the facts of a record, before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage()), None
        facts: dict[str, Any] = getattr(record, "facts", {})
        record.facts = {name: masked(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
        return True


def masked(text: str) -> str:
    """The text without identity numbers, valid or mistyped, mobile phones and bank cards."""
    found = mask_text(_LONG_CODE.sub(lambda number: mask_code(number[0].upper()) or "", text))
    return found or ""


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_instant(record)} {record.levelname.lower()} {record.getMessage()}{_kind(record, ' error=')}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "event", record.getMessage()),
            **getattr(record, "facts", {}),
        }
        if kind := _kind(record, ""):
            line["error"] = kind
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(default_level: str = "error") -> None:
    """Let a command write its log to the error stream. Not for Airflow, which has its own.

    What goes wrong in a command is printed by the command itself, so that nothing is logged on a terminal unless
    ``GUIJI_LOG_LEVEL`` asks for it. Raises :class:`CatalogueError` for a level or format that does not exist.
    """
    level = _chosen("GUIJI_LOG_LEVEL", default_level, LEVELS)
    shape = _chosen("GUIJI_LOG_FORMAT", "text", FORMATS)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if shape == "json" else _Text())
    handler.addFilter(PersonalDataFilter())
    logger = logging.getLogger(NAME)
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def _chosen(variable: str, default: str, known: tuple[str, ...]) -> str:
    found = os.environ.get(variable, default).lower()
    if found not in known:
        raise CatalogueError(f"{variable} is {found}", remedy=f"set it to one of {', '.join(known)}")
    return found


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _kind(record: logging.LogRecord, before: str) -> str:
    kind = record.exc_info[0] if record.exc_info else None
    return "" if kind is None else f"{before}{kind.__name__}"


def _shown(fact: object) -> str:
    text = str(fact)
    return json.dumps(text, ensure_ascii=False) if re.search(r"[\s\"=]", text) else text
