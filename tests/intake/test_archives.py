"""Zip archives: every entry read or named, every trick refused, and thousands of pages as one part."""

from __future__ import annotations

import io
import json
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xlsxwriter

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Archive, Format
from pipelines.catalogue.sources import HttpSource
from pipelines.engine.duck import Session
from pipelines.errors import ExtractError
from pipelines.intake.reading import IntakeResult
from tests.intake.conftest import located

Take = Callable[..., IntakeResult]
Feeds = Callable[..., Feed]
CSV = "行政相对人名称,行政处罚决定书文号,处罚内容\n甲,1号,警告\n".encode()
XML = "<ROWDATA>\n<ROW><CF_XDR_MC>乙</CF_XDR_MC></ROW>\n<ROW><CF_XDR_MC>丙</CF_XDR_MC></ROW></ROWDATA>".encode()
EPOCH = (2020, 1, 1, 0, 0, 0)


def packed(entries: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = method
            archive.writestr(info, content)
    return data.getvalue()


def renamed(data: bytes, old: bytes, new: bytes, *, extra: bytes = b"") -> bytes:
    """The names of entries changed under zipfile's nose; both are equally long."""
    assert len(old) == len(new)
    return data.replace(old, new)


def book(sheets: dict[str, list[list[str]]]) -> bytes:
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as workbook:
        for name, rows in sheets.items():
            sheet = workbook.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return data.getvalue()


def test_each_entry_is_a_sheet_and_everything_else_is_named(duck: Session, take: Take) -> None:
    table = book(
        {"数据": [["行政相对人名称", "行政处罚决定书文号"], ["丁", "4号"]], "说明": [["填表说明"], ["随便写写"]]}
    )
    data = packed(
        {
            "2026/处罚.csv": CSV,
            "b.xlsx": table,
            "c.xml": XML,
            "d.jsonl": b'{"CF_WSH": "5"}\n{broken\n',
            "e.txt": CSV.replace(b"1", b"6"),
            "f.txt": "请查收附件。".encode(),
            "notice.pdf": b"%PDF-1.7",
            "scan.PNG": b"\x89PNG",
            "__MACOSX/._b.xlsx": b"x",
            ".DS_Store": b"x",
            "2026/Thumbs.db": b"x",
            "~$b.xlsx": b"x",
            "2026/": b"",
        }
    )
    result = take(data, "all.zip")
    rows = [(part.extract_name, *row) for part in result.parts for row in located(duck, part)]
    assert sorted((sheet, line) for _, sheet, line, _ in rows) == [
        ("2026/处罚.csv", 2),
        ("b.xlsx/数据", 2),
        ("c.xml", 2),
        ("c.xml", 3),
        ("d.jsonl", 1),
        ("e.txt", 2),
    ]
    assert {name for name, *_ in rows} == {"all.zip", "all.zip/2026/处罚.csv", "all.zip/b.xlsx", "all.zip/e.txt"}
    assert (result.rows_decoded, result.lines_undecoded) == (6, 1)
    manifest = result.extracts[0]
    assert set(manifest["sheets_left_out"]) == {"f.txt", "notice.pdf", "scan.PNG", "b.xlsx/说明"}
    assert sorted(manifest["junk_left_out"]) == [".DS_Store", "2026/Thumbs.db", "__MACOSX/._b.xlsx", "~$b.xlsx"]
    described = {sheet["sheet"]: (sheet["kind"], sheet["rows"]) for sheet in manifest["sheets"]}
    assert described == {
        "2026/处罚.csv": ("csv", 1),
        "b.xlsx/数据": ("xlsx", 1),
        "c.xml": ("xml", 2),
        "d.jsonl": ("jsonl", 1),
        "e.txt": ("csv", 1),
    }
    reject = pq.read_table(result.rejects_path).to_pylist()[0]
    assert (reject["sheet"], reject["line"], reject["rule"]) == ("d.jsonl", 2, "LINE-005")
    offsets = [part.row_offset for part in result.parts]
    assert offsets == [sum(part.row_count for part in result.parts[:number]) for number in range(len(offsets))]
    json.dumps(manifest)


def test_declared_entries_only(duck: Session, take: Take, feed: Feeds) -> None:
    data = packed({"a.csv": CSV, "b.csv": b"broken", "c.zip": b"PK\x03\x04", "readme.txt": b"x"})
    result = take(data, "a.zip", feed(format=Format(archive=Archive(entries="a*"))))
    assert result.rows_decoded == 1
    assert result.extracts[0]["sheets_left_out"] == dict.fromkeys(["b.csv", "c.zip", "readme.txt"], "not declared")
    with pytest.raises(ExtractError, match=r"a\.zip/readme\.txt"):
        take(data, "a.zip", feed(format=Format(archive=Archive(entries="*.txt"))))
    with pytest.raises(ExtractError, match="no table is among"):
        take(data, "a.zip", feed(format=Format(archive=Archive(entries="*.xlsx"))))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("b.xlsx", b"PK\x03\x04broken", r"a\.zip/b\.xlsx: .*damaged"),
        ("b.csv", b"p,q\n1,2\n", r"a\.zip/b\.csv: no header"),
        ("b.xml", b"<ROWDATA><ROW>", r"a\.zip/b\.xml, line 1: .*not well-formed"),
        ("b.json", b'[{"p": 1}]', r"a\.zip/b\.json: no field"),
        ("b.csv", b"", r"a\.zip/b\.csv: the file is empty"),
        ("b.zip", packed({"c.csv": CSV}), r"a\.zip/b\.zip: an archive inside"),
        ("b.rar", b"Rar!", r"a\.zip/b\.rar: an archive inside"),
        ("b.csv", packed({"c.csv": CSV}), r"a\.zip/b\.csv: an archive inside"),
    ],
)
def test_a_table_that_cannot_be_read_refuses_the_archive(
    take: Take, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(ExtractError, match=words) as caught:
        take(packed({"a.csv": CSV, name: content}), "a.zip")
    assert caught.value.remedy
    assert [found for found in (tmp_path / "run").rglob("*") if found.suffix in {".unpacked", ".writing"}] == []
    assert not (tmp_path / "run" / "rejects.parquet").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[{"CF_WSH": "1"},\n{"CF_WSH": "2"},\n{"CF_W', "JSON is malformed"),
        (XML[:-40], "not well-formed"),
        (packed({"c.csv": CSV}), "an archive inside"),
        (book({"x": [["p", "q"], ["1", "2"]]}), "no header"),
    ],
    ids=["json", "xml", "zip", "xlsx"],
)
@pytest.mark.parametrize("name", ["b.txt", "b", "b.dat"])
def test_only_letters_are_left_out(take: Take, name: str, content: bytes, words: str) -> None:
    with pytest.raises(ExtractError, match=words):
        take(packed({"a.json": b'[{"CF_WSH": "0"}]', name: content}), "a.zip")
    letter = take(packed({"a.json": b'[{"CF_WSH": "0"}]', name: "此致\n敬礼".encode()}), "a.zip")
    assert letter.extracts[0]["sheets_left_out"] == {name: "no known header"}


@pytest.mark.parametrize(
    "name", ["../a.csv", "x/../../a.csv", "/etc/a.csv", "..\\a.csv", "C:/a.csv", "C:\\a.csv", "a\tb.csv"]
)
def test_a_path_that_leads_out_refuses_the_archive(take: Take, tmp_path: Path, name: str) -> None:
    data = renamed(packed({"x" * len(name): CSV}), b"x" * len(name), name.encode())
    with pytest.raises(ExtractError, match="leads out"):
        take(data, "a.zip")
    assert not (tmp_path.parent / "a.csv").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_link_refuses_the_archive(take: Take, kind: int) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        info = zipfile.ZipInfo("a.csv")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ExtractError, match="link or a device"):
        take(data.getvalue(), "a.zip")


def test_an_encrypted_entry_is_named(take: Take, feed: Feeds) -> None:
    data = bytearray(packed({"a.csv": CSV, "b.csv": CSV}))
    for at in (data.rindex(b"PK\x03\x04") + 6, data.rindex(b"PK\x01\x02") + 8):
        data[at] |= 1
    with pytest.raises(ExtractError, match=r"a\.zip/b\.csv: .*password"):
        take(bytes(data), "a.zip")
    assert take(bytes(data), "a.zip", feed(format=Format(archive=Archive(entries="a.csv")))).rows_decoded == 1


def test_the_same_name_twice_is_refused(take: Take) -> None:
    data = renamed(packed({"a.csv": CSV, "b.csv": CSV + CSV}), b"b.csv", b"a.csv")
    with pytest.raises(ExtractError, match="same name"):
        take(data, "a.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_found(take: Take, method: int) -> None:
    content = CSV + b"".join(f"{number}\n".encode() for number in range(3_000))
    data = bytearray(packed({"a.csv": content}, method=method))
    data[200] ^= 0x55
    with pytest.raises(ExtractError, match=r"a\.zip/a\.csv: .*damaged"):
        take(bytes(data), "a.zip")
    with pytest.raises(ExtractError, match=r"a\.zip: .*damaged"):
        take(bytes(data)[:-30], "a.zip")


def test_a_way_of_packing_that_is_not_read_is_named(take: Take) -> None:
    data = bytearray(packed({"a.csv": CSV}))
    for at in (data.rindex(b"PK\x03\x04") + 8, data.rindex(b"PK\x01\x02") + 10):
        data[at : at + 2] = struct.pack("<H", 9)
    with pytest.raises(ExtractError, match="method 9"):
        take(bytes(data), "a.zip")


def test_a_bomb_is_not_unpacked(take: Take, feed: Feeds, tmp_path: Path) -> None:
    bomb = packed({"a.csv": CSV + b"0" * (64 << 20)})
    with pytest.raises(ExtractError, match=r"a\.zip/a\.csv: .*unpacks to far more"):
        take(bomb, "a.zip")
    small = feed()
    small = small.model_copy(update={"source": small.source.model_copy(update={"max_bytes": 10})})
    with pytest.raises(ExtractError, match="unpacks to far more"):
        take(packed({"a.csv": CSV}), "b.zip", small)
    assert list((tmp_path / "run" / "rows").iterdir()) == []


def test_a_size_that_the_directory_lies_about_is_not_believed(take: Take) -> None:
    data = bytearray(packed({"a.csv": CSV * 1_000}))
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 10)
    with pytest.raises(ExtractError, match="damaged"):
        take(bytes(data), "a.zip")


def test_too_many_entries_are_refused_before_they_are_listed(take: Take) -> None:
    with pytest.raises(ExtractError, match="1,001 entries"):
        take(packed({f"{number}.csv": CSV for number in range(1_001)}), "a.zip")
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 64 << 20, 0, 0)
    with pytest.raises(ExtractError, match="hundreds of thousands"):
        take(packed({"a.csv": CSV})[:-22] + b"\0" * (64 << 20) + end, "b.zip")


def test_zip64(duck: Session, take: Take) -> None:
    data = io.BytesIO()
    with (
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w", force_zip64=True) as new,
    ):
        new.write(CSV)
    assert located(duck, take(data.getvalue(), "a.zip").parts[0])[0][:2] == ("a.csv", 2)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_chinese_names_without_a_mark(duck: Session, take: Take, encoding: str) -> None:
    name = "行政处罚\u3000㐀.csv".encode(encoding)
    result = take(renamed(packed({"x" * len(name): CSV}), b"x" * len(name), name), "a.zip")
    assert located(duck, result.parts[0])[0][0] == "行政处罚\u3000㐀.csv"


def test_the_unicode_path_of_an_entry(duck: Session, take: Take) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, checked in (("a.csv", b"a.csv"), ("b.csv", b"another")):
            info = zipfile.ZipInfo(name)
            path = f"处罚-{name}".encode()
            content = struct.pack("<BI", 1, zlib.crc32(checked)) + path
            info.extra = struct.pack("<HH", 0x7075, len(content)) + content
            archive.writestr(info, CSV)
    result = take(data.getvalue(), "a.zip")
    assert sorted(located(duck, part)[0][0] for part in result.parts) == ["b.csv", "处罚-a.csv"]


def test_settings_of_a_single_entry(duck: Session, take: Take, feed: Feeds) -> None:
    data = packed(
        {
            "a.json": b'{"rows": [\n{"CF_WSH": "1"}], "other": [{"CF_WSH": "x"}]}',
            "b.json": b'{"rows": [{"CF_WSH": "y"}], "other": [\n{"NUMMER": "2"}]}',
        }
    )
    for match in ("a.zip/b.*", "b.json"):
        own = {"match": match, "format": {"row_path": "other"}, "columns": {"CF_WSH": "NUMMER"}}
        asked = feed(format=Format(row_path="rows"), extracts=[own])
        result = take(data, "a.zip", asked)
        found = {row[0]: row[2] for part in result.parts for row in located(duck, part)}
        assert found == {"a.json": {"CF_WSH": "1"}, "b.json": {"NUMMER": "2"}}
        assert {part.sheet: part.sheet_column for part in result.parts} == {"": True, "b.json": False}
        mapped = {part.extract_name: asked.for_extract(part.extract_name).columns for part in result.parts}
        assert mapped == {"a.zip": {}, "a.zip/b.json": {"CF_WSH": "NUMMER"}}


@pytest.fixture
def pages_feed(feed: Feeds) -> Feed:
    source = HttpSource(kind="http", url="https://example.org/api", rows_path="data.list")
    return feed(source=source, format=Format(row_path="nowhere"))


def test_pages_become_one_part_quickly(duck: Session, take: Take, pages_feed: Feed) -> None:
    pages, size = 1_200, 50
    entries: dict[str, bytes] = {}
    for page in range(1, pages + 1):
        rows = [{"CF_WSH": f"{page}-{number}", "CF_NR_FK": 1.50, "page": page} for number in range(size)]
        entries[f"page-{page:05d}.json"] = json.dumps({"code": 0, "data": {"total": 1, "list": rows}}).encode()
    entries["page-00007.json"] = b'{"code": 0, "data": {"list": []}}'
    started = time.monotonic()
    result = take(packed(entries, method=zipfile.ZIP_STORED), "pages.zip", pages_feed)
    assert time.monotonic() - started < 30
    [part] = result.parts
    assert (part.sheet, part.sheet_column, part.row_count) == ("", True, (pages - 1) * size)
    rows = located(duck, part)
    assert rows[0] == ("page-00001.json", 1, {"CF_WSH": "1-0", "CF_NR_FK": "1.5", "page": "1"})
    assert rows[6 * size] == ("page-00008.json", 1, {"CF_WSH": "8-0", "CF_NR_FK": "1.5", "page": "8"})
    assert rows[-1] == ("page-01200.json", size, {"CF_WSH": "1200-49", "CF_NR_FK": "1.5", "page": "1200"})
    assert len({(sheet, line) for sheet, line, _ in rows}) == len(rows)
    [sheet] = result.extracts[0]["sheets"]
    assert (sheet["entries"], sheet["rows"], sheet["encodings"]) == (pages, len(rows), {"utf-8": pages})
    assert len(json.dumps(result.extracts)) < 5_000


def test_pages_without_rows_are_an_empty_increment(take: Take, feed: Feeds, pages_feed: Feed) -> None:
    data = packed({"page-00001.json": b'{"code": 0, "data": {"list": []}}'})
    result = take(data, "pages.zip", pages_feed)
    assert (result.parts, result.rows_decoded) == ((), 0)
    with pytest.raises(ExtractError, match="no rows"):
        take(data, "pages.zip", feed())


def test_a_page_that_is_no_answer_is_named(take: Take, pages_feed: Feed) -> None:
    data = packed({"page-00001.json": b'{"data": {"list": [{"CF_WSH": 1}]}}', "page-00002.json": b'{"code": 500}'})
    with pytest.raises(ExtractError, match=r"pages\.zip/page-00002\.json, line 1: there are no rows"):
        take(data, "pages.zip", pages_feed)


def test_an_archive_of_nothing(take: Take) -> None:
    with pytest.raises(ExtractError, match="archive is empty"):
        take(packed({}), "a.zip")
    with pytest.raises(ExtractError, match=r"no table is among .*readme\.txt"):
        take(packed({"readme.txt": b"hello", ".DS_Store": b"x"}), "a.zip")
