"""JSON and JSON lines: numbers as they were written, every record or line accounted for, nothing half read."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.formats import Format
from pipelines.engine.duck import Session
from pipelines.errors import ExtractError
from pipelines.intake.content_kind import content_kind
from pipelines.intake.json_scanner import JsonScanner
from pipelines.intake.reading import IntakeResult
from pipelines.intake.records_writer import RecordsWriter
from pipelines.intake.rejects import Reject
from pipelines.intake.structured import iter_records
from tests.intake.conftest import located

Take = Callable[..., IntakeResult]
RECORD = {"CF_XDR_MC": "甲", "CF_WSH": "1号"}
ROW = json.dumps(RECORD, ensure_ascii=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "extract"


def records(path: Path, data: bytes | str, layout: Format | None = None) -> list[tuple[int, dict[str, str | None]]]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(iter_records(path, "a.json", "json", layout or Format()))


def refusal(path: Path, data: bytes | str, layout: Format | None = None) -> ExtractError:
    with pytest.raises(ExtractError) as caught:
        records(path, data, layout)
    assert caught.value.file == "a.json"
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("text", "row_path", "lines"),
    [
        ('[{"a": 1},\n{"a": 2}]', None, [1, 2]),
        ('{"code": 0, "data": {"total": 2, "list": [\n{"a": 1},\n{"a": 2}]}}', None, [2, 3]),
        ('{"code": 0, "data": {"total": 2, "list": [\n{"a": 1},\n{"a": 2}]}}', "data.list", [2, 3]),
        ('{"errors": [], "data": {"page": {"list": [\n{"a": 1},\n{"a": 2}]}, "notes": [1, 2, 3]}}', None, [2, 3]),
        ('{"few": [{"b": 1}], "rows": [\n{"a": 1},\n{"a": 2}]}', None, [2, 3]),
        ('{"data":\n{"a": 1}}', "data", [2]),
        ('{"data": null}', "data", []),
        ('{"data": []}', None, []),
        ("[]", None, []),
        ('\n\n[\n  {\n    "a": 1\n  },\n  {\n    "a": 2\n  }\n]\n', None, [4, 7]),
    ],
)
def test_rows_are_found(path: Path, text: str, row_path: str | None, lines: list[int]) -> None:
    found = records(path, text, Format(row_path=row_path))
    assert [line for line, _ in found] == lines
    assert [record for _, record in found] == [{"a": str(number)} for number in range(1, len(lines) + 1)]


def test_values_stay_as_they_are_written(path: Path) -> None:
    text = (
        '[{"float": 410000.0, "large": 1e18, "code": 9.13302E+17, "long": 123456789012345678901234567890, "minus": -0,'
        ' "nan": NaN, "yes": true, "no": false, "nothing": null, "empty": "", "text": "007", "escaped": "\\u7532\\n乙",'
        ' "blank": " ", "tab": "a\tb"}]'
    )
    [(_, record)] = records(path, text)
    assert record == {
        "float": "410000.0",
        "large": "1e18",
        "code": "9.13302E+17",
        "long": "123456789012345678901234567890",
        "minus": "-0",
        "nan": "NaN",
        "yes": "true",
        "no": "false",
        "nothing": None,
        "empty": None,
        "text": "007",
        "escaped": "甲\n乙",
        "blank": " ",
        "tab": "a\tb",
    }


def test_nested_values_become_columns(path: Path) -> None:
    text = (
        '[{"party": {"name": "甲", "codes": {"uscc": 9}}, "list": ["a", 1.50, null, true], "none": [], "void": {},'
        ' "parties": [{"name": "甲", "share": 0.50}, {"name": "乙\\"", "share": null}], "grid": [[1, 2.0], []]}]'
    )
    [(_, record)] = records(path, text)
    assert record == {
        "party.name": "甲",
        "party.codes.uscc": "9",
        "list": "a;1.50;true",
        "none": None,
        "void": None,
        "parties": '[{"name": "甲", "share": 0.50}, {"name": "乙\\"", "share": null}]',
        "grid": "[[1, 2.0], []]",
    }


def test_half_characters_and_nul_stay_as_escapes(duck: Session, take: Take) -> None:
    result = take(rb'[{"CF_WSH": "1\ud83d", "CF_XDR_MC": "a\u0000b"}]', "a.json")
    assert located(duck, result.parts[0]) == [("", 1, {"CF_WSH": r"1\ud83d", "CF_XDR_MC": r"a\u0000b"})]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
@pytest.mark.parametrize("name", ["a.json", "a.txt"])
def test_encodings(duck: Session, take: Take, encoding: str, name: str) -> None:
    result = take(f"[{ROW},\n{ROW}]".encode(encoding), name)
    assert located(duck, result.parts[0]) == [("", 1, RECORD), ("", 2, RECORD)]
    assert result.extracts[0]["encoding"] == encoding.removesuffix("-sig")
    assert result.extracts[0]["kind"] == "json"


def test_one_damaged_byte_does_not_make_gb18030_of_a_utf8_file(path: Path) -> None:
    data = f'[{{"a": "某市示例有限公司"}},\n{{"a": "某市示例有限公司"}},\n{ROW}]'.encode()
    error = refusal(path, data.replace("某".encode(), b"\xe6\x9f", 1))
    assert error.line == 1
    assert "UTF-8 or GB18030" in error.problem


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        (f"[{ROW},\n{ROW},]", "a comma stands before the end", 2),
        (f"[{ROW},\n{ROW}", "JSON is malformed", 2),
        (f'[{ROW},\n{{"a": "b', "JSON is malformed", 2),
        (f"[{ROW}\n{ROW}]", "JSON is malformed", 2),
        (f"[{ROW}]\n[{ROW}]", "something follows", 2),
        (f"[{ROW},\n{{'a': 1}}]", "JSON is malformed", 2),
        (f"[{ROW},\nnull]", "an element of the list is no object", 2),
        (f"[{ROW},\n[1]]", "an element of the list is no object", 2),
        (f'[{ROW},\n{{"a": 1, "b": 2, "a": 3}}]', "one key twice", 2),
        (f'[{ROW},\n{{"x": {{"a": 1, "a": 3}}}}]', "one key twice", 2),
        (f'[{ROW},\n{{"x": {{"y": 1}}, "x.y": 3}}]', "x.y twice", 2),
        ('{"data": {"code": 500}}', "no rows", 1),
        ('{"a": [{"b": 1}], "c": [{"d": 1}]}', "a, c", 1),
        ("[" * 100_000 + "]" * 100_000, "no object", 1),
        ('[{"a": ' + "[" * 100_000 + "]" * 100_000 + "}]", "nested too deep", 1),
        ('[{"a": ' * 40 + "1" + "}]" * 40, "nested too deep", 1),
    ],
)
def test_what_is_malformed_is_refused_with_its_line(path: Path, text: str, words: str, line: int) -> None:
    error = refusal(path, text)
    assert words in error.problem
    assert error.line == line


@pytest.mark.parametrize("row_path", ["data.rows", "list", "data.list.x", "code"])
def test_a_path_that_is_not_there_is_named(path: Path, row_path: str) -> None:
    error = refusal(path, '{"code": 0, "data": {"list": [{"a": 1}]}}', Format(row_path=row_path))
    assert "no rows" in error.problem
    assert row_path in error.problem


def test_the_same_key_twice_with_the_same_value_does_no_harm(path: Path) -> None:
    assert records(path, '[{"a": 1, "a": 1}]') == [(1, {"a": "1"})]


def test_a_value_that_never_ends_is_not_read_to_its_end(path: Path) -> None:
    error = refusal(path, '[{"a": "' + "x" * (24 << 20))
    assert "longer than a record" in error.problem


def test_other_lists_are_named(take: Take, feed: Callable[..., Feed]) -> None:
    text = f'{{"notes": [{{"a": 1}}], "rows": [{ROW},\n{ROW}]}}'.encode()
    assert take(text, "a.json").extracts[0]["sheets_left_out"] == {"notes": "a list of 1 objects"}
    declared = take(text, "b.json", feed(format=Format(row_path="rows"))).extracts[0]
    assert "sheets_left_out" not in declared
    assert declared["row_path"] == "rows"


def test_records_on_one_line_are_numbered_as_records(duck: Session, take: Take) -> None:
    result = take(f"[{ROW},{ROW},\n{ROW}]".encode(), "a.json")
    assert [line for _, line, _ in located(duck, result.parts[0])] == [1, 2, 3]
    assert result.extracts[0]["numbered_by"] == "record"


def test_lines_of_json_are_rows_or_rejects(duck: Session, take: Take) -> None:
    lines = [
        ROW.encode(),
        b"",
        b"{broken",
        b'{"CF_WSH": "2", "CF_BZ": "x"}',
        b"[1]",
        b'{"a": 1, "a": 2}',
        '{"CF_WSH": "三"}'.encode("gb18030"),
        b'{"CF_WSH": "\xff\xfe"}',
        b'{"CF_WSH": "5"} {}',
        b'{"CF_WSH": "6"}',
    ]
    result = take(b"\r\n".join(lines), "a.jsonl")
    assert located(duck, result.parts[0]) == [
        ("", 1, RECORD),
        ("", 4, {"CF_WSH": "2", "CF_BZ": "x"}),
        ("", 7, {"CF_WSH": "三"}),
        ("", 10, {"CF_WSH": "6"}),
    ]
    rejects = pq.read_table(result.rejects_path).to_pylist()
    assert [(reject["line"], reject["rule"]) for reject in rejects] == [
        (3, "LINE-005"),
        (5, "LINE-005"),
        (6, "LINE-005"),
        (8, "LINE-001"),
        (9, "LINE-005"),
    ]
    assert [reject["bytes"] for reject in rejects] == [lines[reject["line"] - 1] for reject in rejects]
    assert (result.rows_decoded, result.lines_undecoded) == (4, 5)


def test_a_very_long_line_is_one_reject(path: Path) -> None:
    path.write_bytes(f"{ROW}\n".encode() + b'{"a": "' + b"x" * (40 << 20) + f'"}}\n{ROW}\n'.encode())
    rejects: list[Reject] = []
    found = list(iter_records(path, "a.jsonl", "jsonl", Format(), rejects.append))
    assert [line for line, _ in found] == [1, 3]
    assert [(reject.line, reject.cause[0]) for reject in rejects] == [(2, "LINE-005")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_encodings_of_json_lines(duck: Session, take: Take, encoding: str) -> None:
    result = take(f"{ROW}\n{ROW}\n".encode(encoding), "a.json")
    assert located(duck, result.parts[0]) == [("", 1, RECORD), ("", 2, RECORD)]
    assert result.extracts[0]["kind"] == "jsonl"


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        (f"{ROW}\n{ROW}\n", "a.json", "jsonl"),
        (f"\n{ROW}\n\n{ROW}", "a.txt", "jsonl"),
        (f"{ROW}\n", "a.json", "json"),
        (f"{ROW}\n", "a.jsonl", "jsonl"),
        ('{"data": [\n{"a": 1}\n]}', "a.json", "json"),
        (f"[\n{ROW}\n]", "a.json", "json"),
        ("{名称},{代码}\n1,2\n", "a.csv", "csv"),
        ("[1],[2]\n1,2\n", "a.csv", "csv"),
    ],
)
def test_json_and_json_lines_are_told_apart(path: Path, text: str, name: str, kind: str) -> None:
    path.write_text(text, encoding="utf-8")
    assert content_kind(path, name) == kind


def test_one_line_counts_as_json_lines_when_the_feed_says_so(take: Take, feed: Callable[..., Feed]) -> None:
    result = take(ROW.encode(), "a.json", feed(format=Format(kind="jsonl")))
    assert (result.extracts[0]["kind"], result.rows_decoded) == ("jsonl", 1)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("[]", "a.json", "no rows"),
        ('{"data": {"list": []}}', "a.json", "no rows"),
        ("{broken\n{broken\n", "a.jsonl", "none of its lines is a record"),
        ('[{"p": 1}]', "a.json", "no field that anybody knows"),
        ("[{}, {}]", "a.json", "no field that anybody knows"),
        ('{"p": 1}\n{"q": 1}\n', "a.json", "no field that anybody knows"),
    ],
)
def test_a_file_without_records_of_ours_is_refused(
    take: Take, tmp_path: Path, text: str, name: str, words: str
) -> None:
    with pytest.raises(ExtractError, match=words):
        take(text.encode(), name)
    assert [found.name for found in (tmp_path / "run").glob("*.parquet")] == []


def test_a_column_that_comes_late_is_empty_before(duck: Session, take: Take) -> None:
    rows = [dict(RECORD, n=number) for number in range(20_000)]
    rows[9_000] = {"CF_WSH": "late", "BZ": "new", "Cf_wsh": "another", "_line": "7"}
    rows[19_999] = {"last": "x"}
    result = take(("[" + ",\n".join(map(json.dumps, rows)) + "]").encode(), "a.json")
    part = result.parts[0]
    assert part.columns == ("CF_XDR_MC", "CF_WSH", "n", "BZ", "Cf_wsh#2", "_line#2", "last")
    found = located(duck, part)
    assert found[8_999] == ("", 9_000, {**RECORD, "n": "8999"})
    assert found[9_000] == ("", 9_001, {"CF_WSH": "late", "BZ": "new", "Cf_wsh#2": "another", "_line#2": "7"})
    assert found[19_999] == ("", 20_000, {"last": "x"})
    assert sorted(file.suffix for file in part.path.parent.iterdir()) == [".lines", ".parquet"]


def test_thousands_of_names_are_no_table(tmp_path: Path) -> None:
    with (
        pytest.raises(ExtractError, match="different fields"),
        RecordsWriter(tmp_path / "a.parquet", sheets=False) as writer,
    ):
        writer.add_sheet(((number, {f"name{number}": "x"}) for number in range(1, 10_000)), "a.json")
    assert list(tmp_path.iterdir()) == []


def test_a_large_file_is_never_in_memory_as_a_whole(path: Path) -> None:
    row = json.dumps({"a": "一" * 10_000}, ensure_ascii=False)
    path.write_text("[" + ",\n".join([row] * 2_000) + "]", encoding="utf-8")
    tracemalloc.start()
    assert sum(1 for _ in iter_records(path, "a.json", "json", Format())) == 2_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 60_000_000
    assert peak < 24 << 20


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(codec="utf-8"), max_size=6))


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.text(min_size=1, max_size=4), VALUES, max_size=4), max_size=6),
    indent=st.sampled_from([None, 0, 2]),
    size=st.integers(1, 7),
)
def test_a_text_in_pieces_is_the_same_as_in_one(rows: list[dict[str, object]], indent: int | None, size: int) -> None:
    text = json.dumps({"x": [1, "]"], "rows": rows, "y": {"rows": None}}, ensure_ascii=False, indent=indent)
    scanner = JsonScanner((text[start : start + size] for start in range(0, len(text), size)), "a.json")
    found = []
    for key in scanner.entries():
        if key != "rows":
            scanner.value()
            continue
        for line in scanner.elements():
            found.append(scanner.value())
            assert line <= text.count("\n") + 1
    scanner.end()
    written = json.loads(text, parse_int=str)["rows"]
    assert found == written
