"""Good files changed at random for a bounded time: refused with one clear message, or read with nothing lost.

``GUIJI_FUZZ_SECONDS`` says for how long (``make fuzz`` takes ten minutes), ``GUIJI_FUZZ_SEED`` where to start.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, session
from pipelines.errors import ExtractError
from pipelines.intake.landing import land
from pipelines.intake.reading import read_landed
from pipelines.settings import Settings
from tests.bad_inputs.accounting import account, leftovers
from tests.bad_inputs.bad_input import CELLS, HEAD, HEADERS, ROW
from tests.bad_inputs.mutation import mutated
from tests.bad_inputs.structured_files import RECORD, archive, xml
from tests.bad_inputs.workbook_files import open_document, workbook

SECONDS = float(os.environ.get("GUIJI_FUZZ_SECONDS", "20"))
FIRST_SEED = int(os.environ.get("GUIJI_FUZZ_SEED", "0"))
LONGEST_SECONDS = 30

_TABLE = HEAD + ROW * 12 + '"甲\n公司","示罚〔2026〕2号","警,告"\n' + ROW * 12
GOOD_FILES: dict[str, bytes] = {
    "utf8.csv": _TABLE.encode(),
    "gb18030.csv": _TABLE.encode("gb18030"),
    "utf16.csv": _TABLE.encode("utf-16"),
    "book.xlsx": workbook(HEADERS, *([CELLS] * 12)),
    "book.ods": open_document(HEADERS, *([CELLS] * 12)),
    "rows.xml": xml(12).encode(),
    "rows.json": json.dumps({"data": [RECORD] * 12}, ensure_ascii=False).encode(),
    "rows.jsonl": (json.dumps(RECORD, ensure_ascii=False) + "\n").encode() * 12,
    "rows.zip": archive(a__csv=_TABLE.encode(), b__xlsx=workbook(HEADERS, *([CELLS] * 12)), c__xml=xml(3).encode()),
}


def test_no_change_to_a_file_loses_rows_or_ends_in_anything_but_one_message(tmp_path: Path) -> None:
    category = load_catalogue(Settings()).categories["administrative_penalty"]
    deadline = time.monotonic() + SECONDS
    seed = FIRST_SEED
    with session() as duck:
        while time.monotonic() < deadline or seed < FIRST_SEED + len(GOOD_FILES):
            name = list(GOOD_FILES)[seed % len(GOOD_FILES)]
            data = mutated(GOOD_FILES[name], random.Random(seed))
            try:
                _read(duck, category, data, name, tmp_path / str(seed))
            except Exception as error:  # noqa: BLE001 - whatever it is, the file that caused it is worth keeping
                kept = tmp_path / f"seed_{seed}_{name}"
                kept.write_bytes(data)
                pytest.fail(f"seed {seed}, kept as {kept}: {type(error).__name__}: {error}")
            seed += 1


def _read(duck: Session, category: Category, data: bytes, name: str, folder: Path) -> None:
    folder.mkdir()
    (folder / name).write_bytes(data)
    started = time.monotonic()
    try:
        result = read_landed(duck, [land(folder / name, folder / "landing")], None, category, folder / "run")
    except ExtractError as error:
        assert error.file, "a message without a file"
        assert error.file.startswith(name), f"a message about {error.file}"
        assert error.remedy, "a message without a remedy"
    else:
        account(result, data)
    assert time.monotonic() - started < LONGEST_SECONDS, "too slow"
    assert leftovers(folder) == []
