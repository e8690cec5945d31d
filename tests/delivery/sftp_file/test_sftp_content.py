"""What stands in the files: every text comes back as it was, and no cell is ever a formula."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from delivery_shop import PENALTY
from hypothesis import given, settings
from hypothesis import strategies as some
from lxml import etree
from sftp_partner import PERSON, REFERENCE, changed, city_files, package

from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.replies import PackageRefusedError
from pipelines.delivery.sftp_content import columns, legal, template_of, xlsx_file, xml_file
from pipelines.errors import DeliveryError
from pipelines.sandbox.sftp_reading import read_file
from pipelines.settings import Settings
from tests.intake.workbook_files import read_book

FILES = city_files()
CONTENT_ONLY = changed(FILES, identity=None)
TEMPLATE = changed(FILES, identity=None, format="xlsx")
CATALOGUE = load_catalogue(Settings())
PENALTIES = CATALOGUE.categories["administrative_penalty"]
ANY_TEXT = some.text(alphabet=some.characters(), max_size=60)


def of(endpoint: Endpoint, *records: dict[str, object], **more: Any) -> OutgoingPackage:
    return package(endpoint, PENALTIES, *records, **more)


def as_xml(sent: OutgoingPackage, endpoint: Endpoint) -> etree._Element:
    assert endpoint.sftp_file is not None
    return etree.fromstring(xml_file(sent, endpoint, endpoint.sftp_file))


# XML ---------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(ANY_TEXT)
def test_every_text_comes_back_from_xml(text: str) -> None:
    [data] = as_xml(of(CONTENT_ONLY, {"CF_SY": "甲" + text}), CONTENT_ONLY)
    assert data.findtext("CF_SY") == "甲" + legal(text)


@settings(deadline=None)
@given(ANY_TEXT)
def test_only_what_xml_cannot_carry_is_left_out(text: str) -> None:
    left_out = set(text) - set(legal(text))
    assert all(unicodedata.category(character) in {"Cc", "Cs", "Cn"} for character in left_out)
    assert not left_out & set("\t\n\r")


def test_control_characters_are_left_out() -> None:
    [data] = as_xml(of(CONTENT_ONLY, {"CF_SY": "甲\x00\x0b\x1f\ud800乙\ufffe"}), CONTENT_ONLY)
    assert data.findtext("CF_SY") == "甲乙"


def test_the_names_of_the_receiver() -> None:
    endpoint = CONTENT_ONLY.model_copy(update={"fields": {"administrative_penalty": {"CF_SY": "FACTS"}}})
    [data] = as_xml(of(endpoint, {"CF_SY": "事实"}), endpoint)
    assert (data.findtext("FACTS"), data.find("CF_SY")) == ("事实", None)
    described = CONTENT_ONLY.model_dump(mode="json") | {"fields": {"administrative_penalty": {"CF_SY": "违法 事实"}}}
    with pytest.raises(ValueError, match="a name that an element can have"):
        Endpoint.model_validate(described)


def test_the_same_package_is_the_same_file() -> None:
    for endpoint in (FILES, CONTENT_ONLY):
        assert endpoint.sftp_file is not None
        first, second = (xml_file(of(endpoint, {}, {}), endpoint, endpoint.sftp_file) for _ in range(2))
        assert first == second
    assert xlsx_file(of(TEMPLATE, {}, {})) == xlsx_file(of(TEMPLATE, {}, {}))


# The official template ---------------------------------------------------------------------------------------------


def sheet(sent: OutgoingPackage) -> Any:
    return openpyxl.load_workbook(io.BytesIO(xlsx_file(sent))).active


@pytest.mark.parametrize(
    ("category", "shape", "title", "count"),
    [
        ("administrative_licence", "organisation", "法人许可", 24),
        ("administrative_licence", "person", "自然人许可", 18),
        ("administrative_penalty", "organisation", "法人处罚", 26),
        ("administrative_penalty", "person", "自然人处罚", 20),
    ],
)
def test_the_four_templates(category: str, shape: str, title: str, count: int) -> None:
    sent = replace(of(TEMPLATE), category=CATALOGUE.categories[category], shape=shape, messages=[])
    written = sheet(sent)
    headers = [cell.value for cell in written[1]]
    assert (written.title, written.max_row, len(headers)) == (title, 1, count)
    assert headers[0] == "行政相对人名称"
    if shape == "organisation":
        assert headers[1] == "行政相对人代码_1 (统一社会信用代码)"


def test_a_category_without_a_template() -> None:
    bare = PENALTIES.model_copy(update={"templates": ()})
    with pytest.raises(DeliveryError, match=r"no upload template for person.*administrative_penalty\.yaml"):
        template_of(bare, "person")


@pytest.mark.parametrize(
    "text", ["=1+1", "+8613", "-1", "@SUM(A1)", '=HYPERLINK("http://h","x")', "{=A1}", "0012", "1e5"]
)
def test_a_text_is_never_a_formula_nor_a_number(text: str) -> None:
    place = columns(PENALTIES, template_of(PENALTIES, "organisation")).index("CF_SY") + 1
    cell = sheet(of(TEMPLATE, {"CF_SY": text})).cell(2, place)
    assert (cell.value, cell.data_type, cell.number_format, cell.hyperlink) == (text, "s", "@", None)
    assert cell.quotePrefix == text.startswith(("=", "+", "-", "@"))


def test_a_text_that_no_cell_can_hold_spoils_its_package() -> None:
    assert sheet(of(TEMPLATE, {"CF_SY": "长" * 32_767})).max_row == 2
    with pytest.raises(PackageRefusedError, match="TOO LONG FOR A CELL"):
        xlsx_file(of(TEMPLATE, {"CF_SY": "长" * 32_768}))


@settings(deadline=None, max_examples=50)
@given(some.lists(ANY_TEXT, min_size=1, max_size=5))
def test_every_text_comes_back_from_the_workbook(texts: list[str]) -> None:
    written = sheet(of(TEMPLATE, *({"CF_SY": text, "BZ": "末"} for text in texts)))
    place = columns(PENALTIES, template_of(PENALTIES, "organisation")).index("CF_SY")
    read_back = [row[place].value or "" for row in written.iter_rows(min_row=2)]
    # A line break is one character in a cell, however it was written.
    assert read_back == [one_break(legal(text)) for text in texts]


def one_break(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize(("record", "shape"), [({}, "organisation"), (PERSON, "person")])
def test_our_own_intake_reads_what_we_write(tmp_path: Path, record: dict[str, object], shape: str) -> None:
    sent = of(TEMPLATE, record | {"CF_SY": "=1+1"}, record | {"CF_NR": "第一行\n第二行"}, shape=shape)
    path = tmp_path / f"{REFERENCE}.xlsx"
    path.write_bytes(xlsx_file(sent))
    book = read_book(path)
    template = template_of(PENALTIES, shape)
    assert book.columns == template.columns
    fields = columns(PENALTIES, template)
    expected = [tuple(message.data.get(field) for field in fields) for message in sent.messages]
    assert [cells for _, cells in book.rows] == expected
    # What the template has no column for is all that did not travel.
    missing = set(sent.messages[0].data) - set(fields)
    assert missing <= {"CF_XDR_LB", "CF_FR_ZJLX"}


@pytest.mark.parametrize(
    ("record", "shape", "kind"),
    [
        ({}, "organisation", "法人及非法人组织"),
        ({"CF_XDR_LB": "个体工商户", "CF_XDR_SHXYM": "92350100M000100Y43"}, "organisation", "个体工商户"),
        (PERSON, "person", "自然人"),
    ],
)
def test_the_receiver_reads_the_same_from_both_formats(
    tmp_path: Path, record: dict[str, object], shape: str, kind: str
) -> None:
    found = []
    for endpoint, ending in ((TEMPLATE, "xlsx"), (CONTENT_ONLY, "xml")):
        assert endpoint.sftp_file is not None
        sent = of(endpoint, record, shape=shape)
        path = tmp_path / f"{REFERENCE}.{ending}"
        content = xlsx_file(sent) if ending == "xlsx" else xml_file(sent, endpoint, endpoint.sftp_file)
        path.write_bytes(content)
        [read_back] = read_file(path, PENALTIES, shape, endpoint, endpoint.sftp_file).records
        found.append((read_back.record_id, read_back.operation, read_back.content_hash, read_back.data))
        assert read_back.data["CF_XDR_LB"] == kind
    assert found[0] == found[1]
    assert found[0][3] == sent.messages[0].data


def test_the_catalogue_and_the_template_of_the_penalty_agree(catalogue: Catalogue) -> None:
    assert set(columns(PENALTIES, template_of(PENALTIES, "organisation"))) >= set(PENALTY) - {"CF_XDR_LB"}
