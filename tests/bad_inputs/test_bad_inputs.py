"""Each bad input ends in one clear message, or is read with every line accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus import BAD_INPUTS, BadInput, write_corpus

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.engine.duck import Session, session
from pipelines.errors import ExtractError
from pipelines.intake.reading import inspect_file
from pipelines.settings import Settings


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_input(bad: BadInput, corpus: Path, duck: Session, tmp_path: Path) -> None:
    category = load_catalogue(Settings()).categories["administrative_penalty"]
    if bad.expected is None:
        result = inspect_file(duck, corpus / bad.name, category, tmp_path)
        assert (result.rows_decoded, result.lines_undecoded) == (bad.rows, bad.rejects)
        return
    with pytest.raises(ExtractError, match=bad.expected) as caught:
        inspect_file(duck, corpus / bad.name, category, tmp_path)
    assert caught.value.file == bad.name
    assert caught.value.remedy
    assert not (tmp_path / "rejects.parquet").exists()
    assert [path for path in tmp_path.rglob("*") if path.suffix in {".writing", ".utf8"}] == []
