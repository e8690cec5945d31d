"""The benchmark's rows: the official template, valid codes, the declared share of defects, the same file each time."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.penalty_rows import HEADERS, write_penalty_rows
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.identity.uscc import uscc_verdict
from pipelines.settings import Settings


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    path = tmp_path_factory.mktemp("bench") / "clean.csv"
    write_penalty_rows(path, 2000, dirty=0, hard=0)
    return read(path)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_headers_are_those_of_the_official_template() -> None:
    category = load_catalogue(Settings()).categories["administrative_penalty"]
    (template,) = (one for one in category.templates if one.template == "organisation_penalty")
    assert template.columns == HEADERS


def test_clean_rows_have_valid_codes_and_agree_with_themselves(clean: list[dict[str, str]]) -> None:
    assert len(clean) == 2000
    for row in clean:
        assert uscc_verdict(row["行政相对人代码_1 (统一社会信用代码)"]) == "valid"
        assert uscc_verdict(row["处罚机关统一社会信用代码"]) == "valid"
        assert ("罚款" in row["处罚类别"]) == bool(row["罚款金额 (万元)"])
    assert len({row["违法事实"] for row in clean}) > 1900
    assert len({row["处罚机关"] for row in clean}) == 5


def test_hard_and_dirty_rows_come_in_the_declared_share(clean: list[dict[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "dirty.csv"
    write_penalty_rows(path, 2000, dirty=0.5, hard=0)
    dirty = sum(row != other for row, other in zip(read(path), clean, strict=True))
    # A defect of a field that a row does not fill leaves the row as it is.
    assert 0.38 < dirty / 2000 < 0.52
    write_penalty_rows(path, 2000, dirty=0, hard=0.1)
    data = path.read_bytes()
    with pytest.raises(UnicodeDecodeError):
        data.decode()
    assert 150 < data.count(b"\n") - 2000 < 260


def test_the_same_arguments_give_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_penalty_rows(tmp_path / name, 3000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
