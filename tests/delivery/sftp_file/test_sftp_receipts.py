"""Receipt files as bad receivers write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sftp_partner import REFERENCE, Partner, changed, package

from pipelines.catalogue.categories import Category
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.replies import ReceiptReply, Receipts, Trouble

OTHER = "f" * 64


@pytest.fixture
def three(partner: Partner, penalty: Category) -> OutgoingPackage:
    return package(partner.endpoint, penalty, {}, {}, {})


def receipt(line: object = None, result: str | None = "1", **more: str) -> str:
    named = {"LINE": line, "RESULT": result} | more
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in named.items() if text is not None)
    return f"<RECEIPT>{inside}</RECEIPT>"


def answered(partner: Partner, sent: OutgoingPackage, *files: str | bytes) -> Receipts:
    """What the adapter makes of these receipt files."""
    for number, content in enumerate(files, start=1):
        part = "" if number == 1 else f".{number}"
        path = partner.root / "receipts" / f"{REFERENCE}{part}.receipt.xml"
        text = f"<RECEIPTS>{content}</RECEIPTS>".encode() if isinstance(content, str) else content
        path.write_bytes(text)
    with partner.adapter() as adapter:
        return adapter.receipts(sent)


def by_line(sent: OutgoingPackage, receipts: Receipts) -> dict[int, ReceiptReply]:
    lines = {message.idempotency_key: message.line for message in sent.messages}
    return {lines[reply.idempotency_key]: reply for reply in receipts.replies}


def test_a_receipt_by_line_and_one_by_key(partner: Partner, three: OutgoingPackage) -> None:
    second = three.messages[1]
    told = receipt(3, UPPER_ID="SJ3") + receipt(result="2", REC_ID=second.record_key, RULE_CODE="1014", FIELD="CF_SY")
    receipts = answered(partner, three, told + receipt(1, "4", REC_ID=three.messages[0].record_key, MESSAGE=" 重复 "))
    found = by_line(three, receipts)
    assert {line: reply.meaning for line, reply in found.items()} == {1: "duplicate", 2: "rejected", 3: "accepted"}
    assert (found[2].record_id, found[2].rule_code, found[2].field) == (second.record_key, "1014", "CF_SY")
    assert (found[1].message, found[3].upper_id) == ("重复", "SJ3")


def test_a_result_that_nobody_described(partner: Partner, three: OutgoingPackage) -> None:
    assert by_line(three, answered(partner, three, receipt(1, "9")))[1].meaning == "other"


def test_the_same_said_twice_counts_once(partner: Partner, three: OutgoingPackage) -> None:
    receipts = answered(partner, three, receipt(1, UPPER_ID="SJ1") * 2, receipt(1, UPPER_ID="SJ1"))
    [reply] = receipts.replies
    assert (reply.meaning, reply.upper_id) == ("accepted", "SJ1")


@pytest.mark.parametrize("other", [receipt(1, "2"), receipt(1, "1", UPPER_ID="SJ2")])
def test_a_contradiction_settles_nothing(partner: Partner, three: OutgoingPackage, other: str) -> None:
    found = by_line(three, answered(partner, three, receipt(1, UPPER_ID="SJ1") + receipt(2), other))
    assert (found[1].meaning, found[2].meaning) == ("other", "accepted")
    assert "矛盾" in (found[1].message or "")


def test_what_is_said_of_another_record_is_not_ours(partner: Partner, three: OutgoingPackage) -> None:
    receipts = answered(partner, three, receipt(1, REC_ID=OTHER) + receipt(REC_ID=OTHER) + receipt(2))
    assert set(by_line(three, receipts)) == {2}
    assert receipts.complete


def test_what_is_said_of_a_line_that_was_given_back_is_passed_over(partner: Partner, three: OutgoingPackage) -> None:
    without_second = replace(three, messages=[three.messages[0], three.messages[2]])
    receipts = answered(partner, without_second, receipt(1) + receipt(2) + receipt(3))
    assert set(by_line(without_second, receipts)) == {1, 3}
    assert receipts.complete


@pytest.mark.parametrize("line", [4, 0, 999_999_999])
def test_a_line_that_the_package_does_not_have(partner: Partner, three: OutgoingPackage, line: int) -> None:
    with pytest.raises(Trouble, match=rf"{REFERENCE}\.receipt\.xml: it speaks of line {line} of a package of 3"):
        answered(partner, three, receipt(1) + receipt(line))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not readable as XML"),
        (b"<RECEIPTS><RECEIPT><LINE>1</LI", "not readable as XML, or not complete yet"),
        (b"\xff\xfe\x00", "not readable as XML"),
        ("<RECEIPTS><RECEIPT><LINE>1</LINE><RESULT>\xff</RESULT>".encode("latin-1"), "not readable as XML"),
        (b"<html>please log in</html>", "its root is not RECEIPTS"),
        (b'<!DOCTYPE R [<!ENTITY a "1">]><RECEIPTS/>', "document type"),
        (receipt("one"), "a line that is no number"),
        (receipt("-1"), "a line that is no number"),
        (receipt("\u0661"), "a line that is no number"),
        (receipt("1" * 10), "LINE of a receipt has more than 9 characters"),
        (receipt(1, None), "no result"),
        (receipt(), "neither line nor record"),
        (receipt(1, UPPER_ID="S" * 101), "UPPER_ID of a receipt has more than 100"),
        (receipt(1, RULE_CODE="1" * 61), "RULE_CODE of a receipt has more than 60"),
    ],
)
def test_a_file_that_cannot_be_believed(
    partner: Partner, three: OutgoingPackage, content: str | bytes, complaint: str
) -> None:
    with pytest.raises(Trouble, match=rf"receipts/{REFERENCE}\.receipt\.xml: .*{complaint}") as caught:
        answered(partner, three, content)
    assert caught.value.kind == "broken"


def test_the_second_file_is_the_one_that_is_named(partner: Partner, three: OutgoingPackage) -> None:
    with pytest.raises(Trouble, match=rf"{REFERENCE}\.2\.receipt\.xml: it is not readable"):
        answered(partner, three, receipt(1), b"<RECEIPTS>")


def test_receipts_that_come_in_parts_are_complete_with_the_last(partner: Partner, three: OutgoingPackage) -> None:
    partner.endpoint = changed(partner.endpoint, receipts_come="in_parts")
    first = answered(partner, three, receipt(2))
    assert (set(by_line(three, first)), first.complete) == ({2}, False)
    all_of_them = answered(partner, three, receipt(2), receipt(3), receipt(1))
    assert (set(by_line(three, all_of_them)), all_of_them.complete) == ({1, 2, 3}, True)


def test_a_receipt_file_without_receipts_is_an_answer(partner: Partner, three: OutgoingPackage) -> None:
    receipts = answered(partner, three, "")
    assert (receipts.replies, receipts.complete) == ([], True)


def test_entities_are_not_resolved(partner: Partner, three: OutgoingPackage, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("top")
    hostile = f'<!DOCTYPE R [<!ENTITY a SYSTEM "file://{secret}">]><RECEIPTS><RECEIPT>&a;</RECEIPT></RECEIPTS>'
    with pytest.raises(Trouble, match="document type") as caught:
        answered(partner, three, hostile.encode())
    assert "top" not in str(caught.value)
