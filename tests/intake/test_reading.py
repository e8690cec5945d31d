"""A whole batch: found, landed, read, accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.intake.conftest import part_rows

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.engine.duck import Session
from pipelines.engine.rows import RowsPart
from pipelines.errors import ExtractError
from pipelines.intake.connectors.contract import PullRequest
from pipelines.intake.connectors.folder import pull
from pipelines.intake.reading import inspect_file, read_landed
from pipelines.settings import Settings

DAY = date(2026, 11, 20)
HEAD = "行政相对人名称,行政处罚决定书文号,处罚内容\n"


def test_a_batch_of_several_extracts(
    duck: Session, category: Category, feed: Callable[..., Feed], tmp_path: Path
) -> None:
    settings = Settings(inbox=tmp_path / "inbox", home=tmp_path / "home")
    folder = settings.inbox / "dept" / "2026-11-20"
    folder.mkdir(parents=True)
    (folder / "1.csv").write_text(HEAD + "甲,1号,警告\n乙,2号\n丙,3号,罚款\n", encoding="gb18030")
    (folder / "2.txt").write_text(HEAD + "丁,4号,警告\n", encoding="utf-8")
    (folder / "3.csv").write_text(HEAD + "丁,4号,警告\n", encoding="utf-8")
    found = pull(PullRequest(settings, feed(), DAY, tmp_path / "workspace"))
    result = read_landed(duck, found.extracts, feed(), category, tmp_path / "run")
    assert (result.rows_decoded, result.lines_undecoded) == (3, 1)
    assert [(part.row_offset, part.row_count) for part in result.parts] == [(0, 2), (2, 1)]
    assert [part.path.name for part in result.parts] == ["000.parquet", "001.parquet"]
    assert [line for line, _ in part_rows(result.parts[0])] == [2, 4]
    assert result.extracts[2]["same_bytes_as"] == "2.txt"
    reject = pq.read_table(result.rejects_path).to_pylist()[0]
    assert (reject["line"], reject["rule"], reject["reason"]) == (3, "LINE-002", "cell_count")
    assert reject["bytes"] == "乙,2号".encode("gb18030")
    assert reject["extract"] == result.parts[0].extract
    stored = json.loads(json.dumps(result.extracts))
    assert RowsPart.from_json(stored[0]["parts"][0], tmp_path / "run" / "rows") == result.parts[0]
    landed = settings.landing / reject["extract"][:2] / reject["extract"]
    assert landed.read_bytes() == (folder / "1.csv").read_bytes()


def test_rejects_are_written_even_when_there_are_none(duck: Session, category: Category, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(HEAD + "甲,1号,警告\n", encoding="utf-8")
    result = inspect_file(duck, path, category, tmp_path / "work")
    assert pq.read_table(result.rejects_path).num_rows == 0
    assert result.extracts[0]["template"] is None


def test_only_bad_lines_are_rejects_not_an_empty_file(duck: Session, category: Category, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(HEAD + "甲,1号\n", encoding="utf-8")
    result = inspect_file(duck, path, category, tmp_path / "work")
    assert (result.rows_decoded, result.lines_undecoded) == (0, 1)
    assert part_rows(result.parts[0]) == []


def test_nothing_is_left_of_a_run_that_fails(duck: Session, category: Category, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(HEAD, encoding="utf-8")
    with pytest.raises(ExtractError, match=r"x\.csv: the file has a header and no rows"):
        inspect_file(duck, path, category, tmp_path / "work")
    assert not (tmp_path / "work" / "rejects.parquet").exists()
    assert list((tmp_path / "work").glob("**/*.writing")) == []


@pytest.mark.parametrize(
    ("name", "columns", "rows", "rejects"),
    [
        ("penalties/samr_penalties.csv", {"CF_WSH": "doc_no", "CF_XDR_MC": "party_name"}, 130, 0),
        ("penalties/nfra_penalties_100.csv", {}, 100, 0),
        ("penalties/env_penalties_mee2017.csv", {"CF_NR": "处罚结果"}, 171, 0),
        ("lists/dishonest_ecommerce_500.csv", {}, 500, 0),
        ("lists/dishonest_transport_270.csv", {}, 270, 0),
        ("lists/ocr_fin_crime_org_a.csv", {"CF_XDR_MC": "企让名称", "CF_WSH": "案号"}, 165, 0),
        ("lists/ocr_safety_blacklist.csv", {"CF_XDR_MC": "单位名 称", "CF_YJ": "纳入理由"}, 36, 0),
        ("messy/registry_name_anomalies_gb18030.csv", {"CF_XDR_MC": "name", "CF_XDR_SHXYM": "code_raw"}, 448, 0),
        ("messy/dishonest_ecommerce_500_masked.xlsx", {}, 500, 0),
        ("messy/env_penalties_mee2017_masked.xlsx", {"CF_NR": "处罚结果"}, 171, 0),
        ("messy/ocr_fin_crime_org_a_masked.xlsx", {"CF_XDR_MC": "企让名称", "CF_WSH": "案号"}, 165, 0),
        ("registry/registry_orgs_100k.csv", {"CF_XDR_MC": "name", "CF_XDR_SHXYM": "code_raw"}, 100_598, 0),
        ("registry/registry_name_anomalies.csv", {"CF_XDR_MC": "name", "CF_XDR_SHXYM": "code_raw"}, 448, 0),
        ("registry/registry_ragged_rows.csv", {"CF_NR": "masked_row"}, 9, 0),
    ],
)
def test_real_files(
    duck: Session,
    category: Category,
    feed: Callable[..., Feed],
    shared: Path,
    tmp_path: Path,
    name: str,
    columns: dict[str, str],
    rows: int,
    rejects: int,
) -> None:
    """The numbers are those of real/README.md (and of the files' own lines where it says "about")."""
    result = inspect_file(duck, shared / "real" / name, category, tmp_path, feed=feed(columns=columns))
    assert (result.rows_decoded, result.lines_undecoded) == (rows, rejects)


def test_the_gb18030_copy_of_a_real_file_gives_the_same_names(
    duck: Session, category: Category, feed: Callable[..., Feed], shared: Path, tmp_path: Path
) -> None:
    mapped = feed(columns={"CF_XDR_MC": "name", "CF_XDR_SHXYM": "code_raw"})
    both = [
        inspect_file(duck, shared / "real" / name, category, tmp_path / str(number), feed=mapped)
        for number, name in enumerate(
            ("messy/registry_name_anomalies_gb18030.csv", "registry/registry_name_anomalies.csv")
        )
    ]
    assert [result.extracts[0]["encoding"] for result in both] == ["gb18030", "utf-8"]
    first, second = (part_rows(result.parts[0]) for result in both)
    assert first == second
