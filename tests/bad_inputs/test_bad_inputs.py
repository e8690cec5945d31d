"""Each bad input ends in one clear message, or is read with every line accounted for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.engine.duck import Session, session
from pipelines.errors import ExtractError
from pipelines.intake.landing import land
from pipelines.intake.reading import read_landed
from pipelines.settings import Settings
from tests.bad_inputs.accounting import account, leftovers
from tests.bad_inputs.corpus import BAD_INPUTS, BadInput

# None of these files is larger than a few megabytes of text.
LONGEST_SECONDS = 30


@pytest.fixture(scope="module")
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


def test_the_corpus_is_as_large_as_promised_and_has_no_name_twice() -> None:
    names = [bad.name for bad in BAD_INPUTS]
    assert len(names) >= 120
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_input(bad: BadInput, duck: Session, tmp_path: Path) -> None:
    category = load_catalogue(Settings()).categories["administrative_penalty"]
    data = bad.content()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / bad.name).write_bytes(data)
    extract = land(tmp_path / "inbox" / bad.name, tmp_path / "landing")
    started = time.monotonic()
    refused: ExtractError | None = None
    try:
        result = read_landed(duck, [extract], None, category, tmp_path / "run")
    except ExtractError as error:
        refused = error
    assert time.monotonic() - started < LONGEST_SECONDS
    assert leftovers(tmp_path) == []
    if refused is None:
        assert bad.expected is None, f"read into {result.rows_decoded} rows, {result.lines_undecoded} rejects"
        account(result, data)
        if not bad.either:
            assert (result.rows_decoded, result.lines_undecoded) == (bad.rows, bad.rejects)
        return
    assert bad.expected is not None or bad.either, str(refused)
    assert refused.file is not None
    assert refused.file.startswith(bad.name)
    assert refused.remedy
    assert not (tmp_path / "run" / "rejects.parquet").exists()
    if bad.expected is not None:
        assert re.search(bad.expected, str(refused))
