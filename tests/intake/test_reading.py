"""A whole batch: found, landed, read, accounted for."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.catalogue.categories import Category
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Format
from pipelines.catalogue.sources import DatabaseSource, HttpSource
from pipelines.engine.duck import Session
from pipelines.engine.rows import RowsPart
from pipelines.errors import ExtractError
from pipelines.intake.connectors.contract import PullRequest
from pipelines.intake.connectors.folder import pull
from pipelines.intake.landing import LandedExtract, land
from pipelines.intake.reading import IntakeResult, inspect_file, read_landed
from pipelines.settings import Settings
from tests.intake.conftest import located, part_rows

DAY = date(2026, 11, 20)
Take = Callable[..., IntakeResult]
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


def test_a_batch_without_extracts_has_no_parts(
    duck: Session, category: Category, feed: Callable[..., Feed], tmp_path: Path
) -> None:
    result = read_landed(duck, [], feed(), category, tmp_path / "run")
    assert (result.parts, result.extracts, result.rows_decoded, result.lines_undecoded) == ((), (), 0, 0)
    assert pq.read_table(result.rejects_path).num_rows == 0


def test_settings_of_single_extracts(
    duck: Session, category: Category, feed: Callable[..., Feed], tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("决定号,内容\n1号,警告\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("NO;TEXT\n2号;罚款\n", encoding="utf-8")
    own = {"match": "b*.csv", "format": {"delimiter": "semicolon"}, "columns": {"CF_WSH": "NO", "CF_NR": "TEXT"}}
    mapped = feed(columns={"CF_WSH": "决定号", "CF_NR": "内容"}, format=Format(delimiter="comma"), extracts=[own])
    landed = [land(tmp_path / name, tmp_path / "landing") for name in ("a.csv", "b.csv")]
    result = read_landed(duck, landed, mapped, category, tmp_path / "run")
    assert [part.columns for part in result.parts] == [("决定号", "内容"), ("NO", "TEXT")]
    assert [extract["delimiter"] for extract in result.extracts] == ["comma", "semicolon"]


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"Rar!\x1a\x07", "a.csv", "a compressed archive"),
        (b"7z\xbc\xaf\x27\x1c", "a.zip", "a compressed archive"),
        (b"\x1f\x8b\x08\0", "a.csv.gz", "a compressed file"),
        (b"\xfd7zXZ\0", "a.csv", "a compressed file"),
        (b"%PDF-1.7", "a.xlsx", "a PDF"),
        (b"\x89PNG", "a.xlsx", "a picture"),
        (b"GIF89a", "a.xlsx", "a picture"),
        (rb"{\rtf1 \ansi}", "a.doc", "a text document"),
        (b"PAR1", "a.parquet", "a Parquet file"),
        (b"<html><table></table></html>", "a.xls", "a web page"),
        (b"\xef\xbb\xbf\n<table><tr><td>1</td></tr></table>", "a.xls", "a web page"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<!DOCTYPE html>\n<html/>', "a.xls", "a web page"),
        ("<html>".encode("utf-16"), "a.xls", "a web page"),
        (b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?><Workbook/>', "a.xls", "XML spreadsheet"),
        (b" \n\t", "a.json", "the file is empty"),
    ],
)
def test_what_is_no_table_is_refused(take: Take, data: bytes, name: str, words: str) -> None:
    with pytest.raises(ExtractError, match=words) as caught:
        take(data, name)
    assert caught.value.file == name
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("part", "content", "words"),
    [
        ("word/document.xml", b"<w/>", "a text document"),
        ("ppt/presentation.xml", b"<p/>", "a presentation"),
        ("OFD.xml", b"<o/>", "a document"),
        ("xl/workbook.bin", b"", "a binary workbook"),
        ("mimetype", b"application/vnd.oasis.opendocument.text", "an OpenDocument text"),
    ],
)
def test_documents_that_are_zips_are_refused(take: Take, part: str, content: bytes, words: str) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(part, content)
    with pytest.raises(ExtractError, match=words):
        take(data.getvalue(), "a.xlsx")


def test_a_declared_kind_is_held(take: Take, feed: Callable[..., Feed]) -> None:
    with pytest.raises(ExtractError, match="the file is xml, the feed declares csv"):
        take(b"<ROWDATA><ROW><CF_WSH>1</CF_WSH></ROW></ROWDATA>", "a.csv", feed(format=Format(kind="csv")))


@pytest.fixture
def database_feed(feed: Callable[..., Feed]) -> Feed:
    return feed(source=DatabaseSource(kind="database", url_variable="DATABASE_URL", table="t", key=("ID",)))


def _landed_table(folder: Path, columns: dict[str, pa.Array]) -> LandedExtract:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return land(folder / "t.parquet", folder / "landing")


def test_a_landed_table_is_its_own_rows(duck: Session, category: Category, database_feed: Feed, tmp_path: Path) -> None:
    landed = _landed_table(tmp_path, {"ID": pa.array(["1", "2"]), "CF_WSH": pa.array(["一", None], pa.string())})
    result = read_landed(duck, [landed], database_feed, category, tmp_path / "run")
    [part] = result.parts
    assert located(duck, part) == [("", 1, {"ID": "1", "CF_WSH": "一"}), ("", 2, {"ID": "2"})]
    assert part.path.samefile(landed.path)
    assert (result.rows_decoded, result.extracts[0]["kind"]) == (2, "parquet")


def test_a_landed_table_without_rows_is_an_empty_increment(
    duck: Session, category: Category, database_feed: Feed, tmp_path: Path
) -> None:
    landed = _landed_table(tmp_path, {"CF_WSH": pa.array([], pa.string())})
    result = read_landed(duck, [landed], database_feed, category, tmp_path / "run")
    assert result.rows_decoded == 0
    assert [part.row_count for part in result.parts] == [0]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"CF_WSH": pa.array([1])}, "no text"),
        ({"CF_WSH": pa.array(["1"]), "cf_wsh": pa.array(["1"])}, "differ in case only"),
        ({"CF_WSH": pa.array(["1"]), "_line": pa.array(["1"])}, "reserved"),
        ({"X": pa.array(["1"])}, "no column of the table is known"),
    ],
)
def test_a_landed_table_that_cannot_be_rows_is_refused(
    duck: Session, category: Category, database_feed: Feed, tmp_path: Path, columns: dict[str, pa.Array], words: str
) -> None:
    landed = _landed_table(tmp_path, columns)
    with pytest.raises(ExtractError, match=words):
        read_landed(duck, [landed], database_feed, category, tmp_path / "run")


def test_a_landed_table_that_changed_afterwards_is_refused(
    duck: Session, category: Category, database_feed: Feed, tmp_path: Path
) -> None:
    landed = _landed_table(tmp_path, {"CF_WSH": pa.array(["1"])})
    data = bytearray(landed.path.read_bytes())
    data[8] ^= 1
    landed.path.write_bytes(data)
    with pytest.raises(ExtractError, match="not what was landed"):
        read_landed(duck, [landed], database_feed, category, tmp_path / "run")
    (tmp_path / "cut").write_bytes(bytes(data)[:-9])
    cut = land(tmp_path / "cut", tmp_path / "landing")
    with pytest.raises(ExtractError, match="is damaged"):
        read_landed(duck, [cut], database_feed, category, tmp_path / "run")


@pytest.mark.parametrize("data", [b"[]", b'{"data": null}', b"<ROWDATA></ROWDATA>"])
def test_an_answer_without_rows_is_an_empty_increment(take: Take, feed: Callable[..., Feed], data: bytes) -> None:
    path = {b"[": "", b"{": "data", b"<": "ROWDATA/ROW"}[data[:1]]
    kind = "xml" if path.endswith("ROW") else "json"
    source = HttpSource(kind="http", url="https://example.org", rows_path=path, format=kind)
    result = take(data, "answer", feed(source=source))
    assert (result.parts, result.rows_decoded, len(result.extracts)) == ((), 0, 1)
    with pytest.raises(ExtractError, match="no rows"):
        take(data, "answer", feed())


def test_traces_of_wrong_conversions_are_counted(take: Take) -> None:
    result = take('[{"CF_WSH": "锟斤拷1号", "CF_NR": "\\ufffd"}]'.encode(), "a.json")
    assert result.extracts[0]["mojibake"] == {
        "kun_jin_kao": 1,
        "replacement": 1,
        "private_use": 0,
        "question_marks": 0,
    }


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
        ("reference/shuanggongshi_api_samples.jsonl", {}, 2, 0),
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
