"""Looks for personal data in everything that a session of tests logs, prints, raises and reports.

Identity numbers that are valid, mobile phones, and the names of the persons that the tests invent must stand in none of
it. What is looked at: every log record that a handler gets, the output of every command run by ``CliRunner``, the text
of every :class:`GuijiError`, and the files of report-like folders below the session's temporary folder, Airflow's task
logs included. Left out on purpose are the folders of :data:`MAY_HOLD_PERSONAL_DATA` and, by their suffix, workbooks,
which go to one department each and hold its own rows.
"""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.errors import GuijiError
from pipelines.identity.masking import mask_text
from pipelines.identity.resident_id import is_resident_id
from pipelines.logs import NAME

REPORT_FOLDERS = frozenset({"reports", "data_docs", "notices", "logs", "metrics", "health"})
REPORT_SUFFIXES = frozenset({".html", ".md", ".json", ".jsonl", ".log", ".txt", ".prom", ".csv", ".js"})
MAY_HOLD_PERSONAL_DATA = frozenset({"inbox", "landing", "runs", "records", "scratch"})
# What is not made from records: configuration, and the pages of the rule book.
NOT_FROM_RECORDS = frozenset({"root", "schemas", "expectations", "rules"})
MOST_BYTES = 4 << 20

_IDENTITY = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_MOBILE = re.compile(r"(?<![0-9A-Za-z.])1[3-9][0-9]{9}(?![0-9A-Za-z.])")
# Persons of the tests, and those that data_samples.generator.city.person_name invents.
_NAME = re.compile(
    "示例[王李赵陈杨黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹][一二三四五六七八九十]{1,2}|张测试"
)


def personal_data_in(text: str) -> list[str]:
    """What kind of personal data a text holds, with the place covered."""
    found = [f"identity number {mask_text(one)}" for one in _IDENTITY.findall(text) if is_resident_id(one.upper())]
    found += [f"mobile phone {one[:3]}…" for one in _MOBILE.findall(text)]
    return found + [f"person's name {one[:3]}…" for one in _NAME.findall(text)]


@dataclass
class Scan:
    """What was looked at, and what was found."""

    found: list[str] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)
    cut: list[Path] = field(default_factory=list)

    def look_at(self, kind: str, place: str, text: str) -> None:
        self.looked_at[kind] = self.looked_at.get(kind, 0) + 1
        self.found += [f"{kind} of {place}: {what}" for what in sorted(set(personal_data_in(text)))]

    def look_at_files(self, folder: Path) -> None:
        """Read the report-like files below ``folder``; of longer ones the first :data:`MOST_BYTES`."""
        for name, folders, files in os.walk(folder):
            folders[:] = [below for below in folders if below not in MAY_HOLD_PERSONAL_DATA | NOT_FROM_RECORDS]
            if REPORT_FOLDERS.isdisjoint(Path(name).relative_to(folder).parts):
                continue
            for path in (Path(name) / file for file in files):
                if path.suffix in REPORT_SUFFIXES:
                    with path.open("rb") as opened:
                        data = opened.read(MOST_BYTES)
                        if opened.read(1):
                            self.cut.append(path)
                    self.look_at("file", str(path), data.decode(errors="replace"))


class _Listener(logging.Handler):
    def __init__(self, scan: Scan) -> None:
        super().__init__()
        self._scan = scan

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info is not None and isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            text += "".join(traceback.format_exception(record.exc_info[1]))
        self._scan.look_at("log record", _test(), text)


@pytest.fixture(scope="session", autouse=True)
def personal_data_scan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scan]:
    """Fails the last test of a session, or of each of its workers, when there is personal data where none may be."""
    scan = Scan()
    listener = _Listener(scan)
    invoke, begin = CliRunner.invoke, GuijiError.__init__

    def invoke_and_look(self: CliRunner, *arguments: Any, **options: Any) -> Any:
        result = invoke(self, *arguments, **options)
        scan.look_at("output", _test(), result.output)
        return result

    def begin_and_look(self: GuijiError, problem: str, **where: Any) -> None:
        begin(self, problem, **where)
        scan.look_at("error", _test(), str(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CliRunner, "invoke", invoke_and_look)
        patch.setattr(GuijiError, "__init__", begin_and_look)
        logging.getLogger().addHandler(listener)
        logging.getLogger(NAME).setLevel(logging.INFO)
        yield scan
        logging.getLogger().removeHandler(listener)
    scan.look_at_files(tmp_path_factory.getbasetemp())
    assert not scan.found, "personal data where none may be:\n" + "\n".join(scan.found)
    assert not scan.cut, f"only the first {MOST_BYTES} bytes were looked at of: {', '.join(map(str, scan.cut))}"


def _test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "the session")
