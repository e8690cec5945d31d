"""Blank official forms hold nothing to report: they end in one clear message and touch no other feed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from pipelines.errors import ExtractError
from pipelines.ledger.models import Run
from tests.real_input.conftest import Night
from tests.real_input.source_files import LISTS, MONTHLY, POWERS, TEMPLATES, RealFile

PROBLEMS = {MONTHLY: "no header that anybody knows", POWERS: "the file has a header and no rows"}


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.feed)
def test_a_blank_form_is_refused_with_its_name_and_a_remedy(file: RealFile, night: Night) -> None:
    result = night.results[file.feed]
    assert result.run is None
    assert isinstance(result.problem, ExtractError)
    assert result.problem.file == Path(file.path).name
    assert result.problem.problem.startswith(PROBLEMS[file])
    assert "ask the department" in result.problem.remedy


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.feed)
def test_the_ledger_keeps_the_problem_and_nothing_is_published(file: RealFile, night: Night) -> None:
    with night.context.ledger.read() as session:
        run = session.scalars(select(Run).where(Run.feed == file.feed)).one()
    assert (run.state, run.rows_decoded, run.accepted) == ("failed", 0, 0)
    assert run.problem == str(night.results[file.feed].problem)


def test_the_other_feeds_ran(night: Night) -> None:
    assert [file.feed for file in LISTS if night.results[file.feed].problem is not None] == []
