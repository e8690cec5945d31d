"""Bad XML, JSON and zip archives."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Iterator

from tests.bad_inputs.bad_input import CELLS, HEAD, ROW, BadInput, cut_off
from tests.bad_inputs.workbook_files import good as good_workbook

UNKNOWN = "no (header|field|column)"
RECORD = dict(zip(("CF_XDR_MC", "CF_WSH", "CF_NR"), CELLS, strict=True))


def xml(rows: int = 3, start: str = '<?xml version="1.0" encoding="UTF-8"?>', extra: str = "") -> str:
    """ROWDATA of some rows."""
    row = "".join(f"<{name}>{value}</{name}>" for name, value in RECORD.items())
    return f"{start}\n<ROWDATA>\n" + f"<ROW>{row}{extra}</ROW>\n" * rows + "</ROWDATA>\n"


def archive(**entries: bytes) -> bytes:
    """A zip of these entries; ``__`` in a name stands for a dot."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries.items():
            target.writestr(name.replace("__", "."), content)
    return data.getvalue()


def _named(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as target:
        for name in names:
            target.writestr(zipfile.ZipInfo(name), HEAD + ROW)
    return data.getvalue()


def _link() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as target:
        entry = zipfile.ZipInfo("a.csv")
        entry.create_system = 3
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(entry, "/etc/passwd")
    return data.getvalue()


def _flagged(flag: int) -> bytes:
    """A zip whose entry says that it is encrypted."""
    data = bytearray(archive(a__csv=(HEAD + ROW).encode()))
    data[6] |= flag
    data[data.rindex(b"PK\x01\x02") + 8] |= flag
    return bytes(data)


def _wrong_sum() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as target:
        target.writestr("a.csv", HEAD + ROW)
    return data.getvalue().replace("警告".encode(), "警吿".encode())


def _gbk_name() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as target:
        target.writestr("PLACEHOLDERNAM.csv", HEAD + ROW)
    return data.getvalue().replace(b"PLACEHOLDERNAM", "行政处罚信息表".encode("gbk"))


def structured_files() -> Iterator[BadInput]:
    """What interfaces and archives go wrong with."""
    yield from _xml()
    yield from _json()
    yield from _archives()
    yield from cut_off("rows.xml", lambda: xml(40).encode(), 4, 21)
    yield from cut_off("rows.json", lambda: json.dumps([RECORD] * 40, ensure_ascii=False).encode(), 4, 22)
    yield from cut_off("rows.jsonl", lambda: (json.dumps(RECORD, ensure_ascii=False) + "\n").encode() * 40, 4, 23)
    yield from cut_off("rows.zip", lambda: archive(a__csv=(HEAD + ROW * 400).encode(), b__xlsx=good_workbook()), 5, 24)


def _xml() -> Iterator[BadInput]:
    declared = '<?xml version="1.0" encoding="{}"?>'
    yield BadInput(
        "laughs.xml",
        lambda: xml(
            start=declared.format("UTF-8") + '\n<!DOCTYPE ROWDATA [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
            extra="<BZ>&b;</BZ>",
        ).encode(),
        "DTD|entit|DOCTYPE|document type",
    )
    yield BadInput(
        "reads_a_file.xml",
        lambda: xml(
            start='<!DOCTYPE ROWDATA [<!ENTITY a SYSTEM "file:///etc/hostname">]>', extra="<BZ>&a;</BZ>"
        ).encode(),
        "DTD|entit|DOCTYPE|document type",
    )
    yield BadInput("document_type_only.xml", lambda: xml(start="<!DOCTYPE ROWDATA>").encode(), either=True)
    yield BadInput("ampersand.xml", lambda: xml(extra="<BZ>甲&乙</BZ>").encode(), "line")
    yield BadInput("control_character.xml", lambda: xml(extra="<BZ>\x0b</BZ>").encode(), "line")
    yield BadInput("tag_not_closed.xml", lambda: xml(extra="<BZ>").encode(), "line")
    yield BadInput("no_rows.xml", lambda: xml(0).encode(), "no rows|" + UNKNOWN)
    yield BadInput("empty_root.xml", lambda: b"<ROWDATA/>", "no rows|" + UNKNOWN)
    yield BadInput("other_root.xml", lambda: b"<a><b><c>1</c></b></a>", UNKNOWN + "|no rows")
    yield BadInput("deep.xml", lambda: b"<a>" * 20_000 + b"</a>" * 20_000, "deep|line|" + UNKNOWN)
    yield BadInput("says_utf8_is_gb18030.xml", lambda: xml().encode("gb18030"), None, rows=3)
    yield BadInput("gb2312.xml", lambda: xml(start=declared.format("GB2312")).encode("gb18030"), None, rows=3)
    yield BadInput(
        "gbk_with_rare_character.xml",
        lambda: xml(start=declared.format("GBK"), extra="<BZ>㐀𠮷</BZ>").encode("gb18030"),
        None,
        rows=3,
    )
    yield BadInput("utf16.xml", lambda: xml(start=declared.format("UTF-16")).encode("utf-16"), None, rows=3)
    yield BadInput("no_declaration.xml", lambda: xml(start="").strip().encode(), None, rows=3)
    yield BadInput(
        "namespaces.xml", lambda: xml().replace("<ROWDATA>", '<ROWDATA xmlns="urn:x">').encode(), None, rows=3
    )
    yield BadInput("unknown_fields.xml", lambda: b"<ROWDATA><ROW><P>1</P><Q>2</Q></ROW></ROWDATA>", UNKNOWN)
    yield BadInput("xml_named.csv", lambda: xml().encode(), None, rows=3)


def _json() -> Iterator[BadInput]:
    text = json.dumps([RECORD] * 3, ensure_ascii=False)
    yield BadInput("trailing_comma.json", (text[:-1] + ",]").encode, "JSON")
    yield BadInput("not_a_number.json", lambda: text.replace('"警告"', "NaN", 1).encode(), either=True)
    yield BadInput("single_quotes.json", lambda: text.replace('"', "'").encode(), "JSON|" + UNKNOWN)
    yield BadInput("key_twice.json", lambda: text.replace('"CF_NR"', '"CF_WSH"', 1).encode(), either=True)
    yield BadInput("no_rows.json", lambda: b"[]", "no rows|" + UNKNOWN)
    yield BadInput("a_word.json", lambda: b'"error"', "JSON|no rows|" + UNKNOWN)
    yield BadInput("numbers.json", lambda: b"[1,2,3]", "JSON|no rows|" + UNKNOWN)
    yield BadInput("lists.json", lambda: b"[[1,2],[3,4]]", "JSON|no rows|" + UNKNOWN)
    yield BadInput("deep.json", lambda: b"[" * 100_000 + b"]" * 100_000, "JSON|deep|" + UNKNOWN)
    yield BadInput("error_answer.json", '{"code": 500, "message": "系统繁忙"}'.encode, "no rows|" + UNKNOWN)
    yield BadInput("wrong_bytes.json", lambda: text.encode("gb18030"), either=True)
    yield BadInput("with_mark.json", lambda: b"\xef\xbb\xbf" + text.encode(), None, rows=3)
    yield BadInput("wrapped.json", f'{{"code": 0, "data": {{"list": {text}}}}}'.encode, None, rows=3)
    yield BadInput("huge_number.json", lambda: text.replace('"警告"', "1" * 400, 1).encode(), None, rows=3)
    yield BadInput(
        "bad_line.jsonl",
        (
            "\n".join(
                [json.dumps(RECORD, ensure_ascii=False)] * 2 + ["{broken", json.dumps(RECORD, ensure_ascii=False)]
            )
            + "\n"
        ).encode,
        None,
        rows=3,
        rejects=1,
    )
    yield BadInput("unknown_fields.jsonl", lambda: b'{"p": 1}\n{"p": 2}\n', UNKNOWN)


def _archives() -> Iterator[BadInput]:
    csv = (HEAD + ROW).encode()
    yield BadInput("empty.zip", archive, "empty|no table|nothing|no entr")
    yield BadInput("only_a_letter.zip", lambda: archive(readme__txt="请查收".encode()), UNKNOWN + "|no table|nothing")
    yield BadInput(
        "letter.docx",
        lambda: archive(**{"word/document__xml": b"<w/>", "[Content_Types]__xml": b"<t/>"}),
        "document|no table|" + UNKNOWN,
    )
    yield BadInput("climbs_out.zip", lambda: _named("../../a.csv"), "path|outside|escape|leads out")
    yield BadInput("from_the_root.zip", lambda: _named("/etc/a.csv"), "path|outside|escape|leads out")
    yield BadInput("backslashes.zip", lambda: _named("..\\..\\a.csv"), "path|outside|escape|leads out")
    yield BadInput("link.zip", _link, "link")
    yield BadInput("encrypted.zip", lambda: _flagged(1), "password|encrypted")
    yield BadInput("bomb.zip", lambda: archive(a__csv=b"0" * (64 << 20)), "unpacks to")
    yield BadInput("too_many.zip", lambda: _named(*(f"{number}.csv" for number in range(1_200))), "entries")
    yield BadInput("zip_in_zip.zip", lambda: archive(a__zip=archive(a__csv=csv)), "archive")
    yield BadInput("same_name_twice.zip", lambda: _named("a.csv", "a.csv"), either=True)
    yield BadInput("wrong_sum.zip", _wrong_sum, "damaged")
    yield BadInput("chinese_name.zip", _gbk_name, None, rows=1)
    yield BadInput(
        "rubbish_beside.zip",
        lambda: archive(**{"__MACOSX/a__csv": b"x", "Thumbs__db": b"x", "a__csv": csv}),
        either=True,
    )
    yield BadInput("one_good_one_bad.zip", lambda: archive(a__csv=csv, b__xlsx=b"PK\x03\x04broken"), "b.xlsx")
    yield BadInput("folder.zip", lambda: _named("2026/11/a.csv"), None, rows=1)
    yield BadInput("zip_named.csv", lambda: archive(a__csv=csv), None, rows=1)
    yield BadInput(
        "three_formats.zip", lambda: archive(a__csv=csv, b__xlsx=good_workbook(), c__xml=xml().encode()), None, rows=44
    )
