"""Files over a real SFTP server: names, writing, asking, taking back, and everything that can go wrong on the way."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from asyncssh.sftp import SFTPServer
from delivery_shop import key
from lxml import etree
from sftp_partner import PASSWORD, PERSON, REFERENCE, Partner, beijing, changed, eventually, package

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.endpoints import Endpoint
from pipelines.catalogue.yaml_source import parse, read
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.payload import record_data
from pipelines.delivery.replies import Trouble
from pipelines.delivery.sftp_file import SftpFileAdapter
from pipelines.errors import DeliveryError
from pipelines.settings import PROJECT_ROOT

FILE = f"{REFERENCE}.xml"


def nothing_used(_beginning: str) -> list[str]:
    return []


# Names -------------------------------------------------------------------------------------------------------------


def test_a_name_has_department_table_day_in_beijing_and_number(adapter: SftpFileAdapter, penalty: Category) -> None:
    def name(shape: str, at: str) -> str:
        return adapter.reference("p", 0, penalty, shape, beijing(at), nothing_used)

    assert name("organisation", "2026-11-20T23:59:59") == "SC0102_20261120_00001"
    assert name("organisation", "2026-11-21T00:00:00") == "SC0102_20261121_00001"
    assert name("person", "2026-11-21T07:59:59") == "SC0105_20261121_00001"


def test_the_next_number_of_the_day_is_the_highest_and_one(adapter: SftpFileAdapter, penalty: Category) -> None:
    used = ["SC0102_20261120_00001", "SC0102_20261120_00007", "SC0102_20261121_00009", "SC0105_20261120_00033"]

    def name(at: str) -> str:
        given = adapter.reference(
            "p", 1, penalty, "organisation", beijing(at), lambda text: [one for one in used if one.startswith(text)]
        )
        used.append(given)
        return given

    assert [name("2026-11-20T12:00:00") for _ in range(2)] == ["SC0102_20261120_00008", "SC0102_20261120_00009"]
    assert name("2026-11-21T12:00:00") == "SC0102_20261121_00010"


def test_a_day_has_99999_names(adapter: SftpFileAdapter, penalty: Category) -> None:
    with pytest.raises(DeliveryError, match=r"no more names.*package_size"):
        adapter.reference("p", 0, penalty, "person", beijing("2026-11-20T12:00:00"), lambda text: [f"{text}99999"])


def test_persons_and_organisations_travel_apart(adapter: SftpFileAdapter, penalty: Category) -> None:
    assert adapter.shape(penalty, {"CF_XDR_LB": "自然人"}) == "person"
    assert adapter.shape(penalty, {"CF_XDR_LB": "个体工商户"}) == "organisation"
    assert adapter.shape(penalty, {"CF_XDR_LB": "法人及非法人组织"}) == "organisation"


# Writing -----------------------------------------------------------------------------------------------------------


def test_what_is_written(partner: Partner, adapter: SftpFileAdapter, penalty: Category) -> None:
    partner.at_work(False)
    sent = package(partner.endpoint, penalty, {"CF_SY": "违规 <A&B> “引号”\n第二行"}, {})
    assert adapter.submit(sent).received == 2
    assert partner.names() == [FILE]
    written = (partner.root / "incoming" / FILE).read_bytes()
    assert written.startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<DATAS><DATA><REC_ID>")
    first, second = etree.fromstring(written).iterchildren("DATA")
    assert [child.tag for child in first][:5] == ["REC_ID", "OP", "CONTENT_HASH", "SEND_KEY", "CF_XDR_MC"]
    assert first.findtext("REC_ID") == sent.messages[0].record_key
    assert (first.findtext("OP"), first.findtext("REASON")) == ("1", None)
    assert first.findtext("CF_SY") == "违规 <A&B> “引号”\n第二行"
    assert (second.findtext("CF_NR_FK"), second.findtext("CF_JDRQ")) == ("0.2", "2026/11/12")


def test_a_reader_sees_whole_files_only(partner: Partner, adapter: SftpFileAdapter, penalty: Category) -> None:
    partner.at_work(False)
    sent = package(partner.endpoint, penalty, *({"CF_SY": "长" * 2000} for _ in range(400)))
    seen: set[tuple[str, int]] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            for path in (partner.root / "incoming").iterdir():
                if not path.name.startswith("."):
                    seen.add((path.name, path.stat().st_size))

    reader = threading.Thread(target=look)
    reader.start()
    adapter.submit(sent)
    eventually(lambda: seen)
    is_over.set()
    reader.join()
    assert seen == {(FILE, (partner.root / "incoming" / FILE).stat().st_size)}


def test_a_file_that_is_there_already_was_taken(
    partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage
) -> None:
    partner.at_work(False)
    adapter.submit(one)
    before = (partner.root / "incoming" / FILE).stat()
    adapter.submit(one)
    assert (partner.root / "incoming" / FILE).stat() == before


@pytest.mark.parametrize("folder", ["incoming", "done"])
def test_a_file_of_that_name_that_is_not_ours_is_neither_replaced_nor_believed(
    partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage, folder: str
) -> None:
    partner.at_work(False)
    (partner.root / folder / FILE).write_bytes(b"somebody else's")
    for call in (adapter.submit, adapter.inquire):
        with pytest.raises(DeliveryError, match=rf"{folder}/{FILE}: the receiver has another file of this name.*SC01"):
            call(one)
    assert (partner.root / folder / FILE).read_bytes() == b"somebody else's"


def test_what_an_earlier_attempt_left_half_written_is_overwritten(
    partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage
) -> None:
    partner.at_work(False)
    (partner.root / "incoming" / f".{FILE}.part").write_bytes(b"x" * 100_000)
    assert adapter.inquire(one).state == "unknown"
    adapter.submit(one)
    assert partner.names() == [FILE]
    assert etree.parse(partner.root / "incoming" / FILE).getroot().tag == "DATAS"


# Trouble -----------------------------------------------------------------------------------------------------------


def test_nobody_listens(partner: Partner, one: OutgoingPackage) -> None:
    with (
        partner.adapter(GUIJI_CITY_FILES_URL="sftp://127.0.0.1:1") as nowhere,
        pytest.raises(Trouble, match="nobody listens there") as caught,
    ):
        nowhere.submit(one)
    assert caught.value.kind == "unreachable"


def test_a_receiver_that_hangs_up_at_once(partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage) -> None:
    partner.misbehave("busy")
    with pytest.raises(Trouble) as caught:
        adapter.submit(one)
    assert caught.value.kind == "unreachable"
    assert adapter.submit(one).received == 1


def test_a_refused_password_is_told_without_it(
    partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage
) -> None:
    partner.misbehave("wrong_token")
    with pytest.raises(DeliveryError, match=r"refuses the account.*GUIJI_CITY_FILES_PASSWORD") as caught:
        adapter.submit(one)
    assert PASSWORD not in str(caught.value)


def test_an_unknown_host_key_is_told_nothing(partner: Partner, one: OutgoingPackage) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()
    partner.endpoint = changed(partner.endpoint, host_key=" ".join(other[:2]))
    with (
        partner.adapter() as adapter,
        pytest.raises(DeliveryError, match=r"shows another key.*send nothing until the receiver says"),
    ):
        adapter.submit(one)
    partner.endpoint = changed(partner.endpoint, host_key="ssh-ed25519 QUJD")
    with pytest.raises(DeliveryError, match=r"city_files\.yaml: sftp_file\.host_key is no public key"):
        partner.adapter()


@pytest.mark.parametrize(
    "url", ["http://h", "sftp://user@h", "sftp://", "sftp://h/folder", "sftp://h:x", "sftp://h:1?a=b", "h:22"]
)
def test_an_address_that_is_no_server(partner: Partner, url: str) -> None:
    with pytest.raises(DeliveryError, match="GUIJI_CITY_FILES_URL"):
        partner.adapter(GUIJI_CITY_FILES_URL=url)


def test_a_missing_password(partner: Partner) -> None:
    with pytest.raises(DeliveryError, match=r"secret for city_files is missing.*GUIJI_CITY_FILES_PASSWORD"):
        partner.adapter(GUIJI_CITY_FILES_PASSWORD="")


def test_a_key_opens_the_account(tmp_path: Path, catalogue: Catalogue, city_files: Endpoint, penalty: Category) -> None:
    private = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    private.write_private_key(tmp_path / "key", "pkcs1-pem", passphrase="open sesame")
    by_key = {"authentication": "key", "passphrase_variable": "GUIJI_CITY_FILES_PASSPHRASE"}
    partner = Partner(tmp_path, catalogue, city_files, private.export_public_key().decode(), **by_key)
    with partner.receiver:
        opens = {"GUIJI_CITY_FILES_PASSWORD": str(tmp_path / "key")}
        with partner.adapter(**opens, GUIJI_CITY_FILES_PASSPHRASE="open sesame") as adapter:
            assert adapter.submit(package(partner.endpoint, penalty)).received == 1
        with pytest.raises(DeliveryError, match="private key cannot be opened") as caught:
            partner.adapter(**opens, GUIJI_CITY_FILES_PASSPHRASE="shut sesame")
        assert "sesame" not in str(caught.value)
        with pytest.raises(DeliveryError, match=r"passphrase of the key is missing.*GUIJI_CITY_FILES_PASSPHRASE"):
            partner.adapter(**opens)


def test_a_full_disk(partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage) -> None:
    partner.misbehave("full_disk")
    with pytest.raises(Trouble, match=r"incoming/.*No space left on device.*disk or the quota is full") as caught:
        adapter.submit(one)
    assert caught.value.kind == "broken"
    assert not any(name == FILE for name in partner.names())
    assert adapter.submit(one).received == 1


def test_a_server_that_keeps_less_than_it_took(
    adapter: SftpFileAdapter, one: OutgoingPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SFTPServer, "write", lambda _server, _file, _offset, data: len(data))
    with pytest.raises(Trouble, match=r"of \d+ bytes that were written the server has 0") as caught:
        adapter.submit(one)
    assert caught.value.kind == "broken"


def test_a_folder_that_is_missing(partner: Partner, one: OutgoingPackage) -> None:
    partner.endpoint = changed(partner.endpoint, folder="nowhere")
    with partner.adapter() as adapter, pytest.raises(DeliveryError, match=r"nowhere/.*there is no such folder"):
        adapter.submit(one)


def test_a_folder_that_is_shut(
    partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> None:
        raise asyncssh.SFTPPermissionDenied("没有权限")

    monkeypatch.setattr(SFTPServer, "rename", deny)
    with pytest.raises(DeliveryError, match=rf"incoming/{FILE}: the account may not do this.*let the account write"):
        adapter.submit(one)
    assert partner.held() == []


def test_a_draft_that_somebody_takes_away(
    adapter: SftpFileAdapter, one: OutgoingPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_away(*_: object) -> None:
        raise asyncssh.SFTPNoSuchFile("tidied up")

    monkeypatch.setattr(SFTPServer, "rename", take_away)
    with pytest.raises(Trouble, match=r"\.part went away") as caught:
        adapter.submit(one)
    assert caught.value.kind == "broken"


def test_cut_in_the_middle_of_a_file(partner: Partner, adapter: SftpFileAdapter, penalty: Category) -> None:
    long = package(partner.endpoint, penalty, *({"CF_SY": "长" * 2000} for _ in range(100)))
    partner.misbehave("cut")
    with pytest.raises(Trouble) as caught:
        adapter.submit(long)
    assert caught.value.kind == "ambiguous"
    assert partner.names() == [f".{FILE}.part"]
    assert adapter.inquire(long).state == "unknown"
    assert adapter.submit(long).received == 100


@pytest.mark.parametrize(("kind", "is_done"), [("cut", True), ("fail_after", True), ("fail_before", False)])
def test_no_word_about_the_renaming(
    partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage, kind: str, is_done: bool
) -> None:
    partner.at_work(False)
    partner.misbehave(kind)  # type: ignore[arg-type]
    with pytest.raises(Trouble) as caught:
        adapter.submit(one)
    assert caught.value.may_have_worked
    assert adapter.inquire(one).state == ("taken" if is_done else "unknown")
    adapter.submit(one)
    assert partner.names() == [FILE]


@pytest.mark.parametrize("kind", ["lose_answer", "slow"])
def test_no_answer_in_time(partner: Partner, one: OutgoingPackage, kind: str) -> None:
    partner.misbehave(kind, seconds=30)  # type: ignore[arg-type]
    partner.endpoint = partner.endpoint.model_copy(update={"timeout_seconds": 1.5})
    with partner.adapter() as adapter:
        with pytest.raises(Trouble, match=r"no (complete )?answer within 1.5 seconds") as caught:
            adapter.submit(one)
        assert caught.value.kind == "ambiguous"
        assert adapter.inquire(one).state == ("taken" if kind == "lose_answer" else "unknown")


# Asking ------------------------------------------------------------------------------------------------------------


def test_a_file_is_known_from_its_writing_until_it_is_forgotten(
    partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage
) -> None:
    partner.at_work(False)
    assert adapter.inquire(one).state == "unknown"
    adapter.submit(one)
    assert adapter.inquire(one).state == "taken"
    partner.at_work(True)
    eventually(lambda: partner.names("receipts"))
    assert (partner.names(), partner.names("done")) == ([], [FILE])
    assert adapter.inquire(one).state == "taken"
    (partner.root / "done" / FILE).unlink()
    assert adapter.inquire(one).state == "taken"
    (partner.root / "receipts" / f"{REFERENCE}.receipt.xml").unlink()
    assert adapter.inquire(one).state == "unknown"


def test_without_a_folder_for_what_was_read_a_missing_file_says_nothing(partner: Partner, one: OutgoingPackage) -> None:
    partner.endpoint = changed(partner.endpoint, done=None)
    with partner.adapter() as adapter:
        assert adapter.inquire(one).state == "unanswerable"
        (partner.root / "incoming" / f".{FILE}.part").write_bytes(b"half")
        assert adapter.inquire(one).state == "unknown"


def test_receipts_come_when_the_file_was_read(partner: Partner, adapter: SftpFileAdapter, penalty: Category) -> None:
    partner.at_work(False)
    two = package(partner.endpoint, penalty, {}, {"CF_XDR_MC": "未知公司"})
    adapter.submit(two)
    waiting = adapter.receipts(two)
    assert (waiting.replies, waiting.complete) == ([], False)
    partner.at_work(True)
    receipts = eventually(lambda: (found := adapter.receipts(two)).complete and found)
    accepted, rejected = receipts.replies
    assert (accepted.meaning, accepted.upper_id) == ("accepted", partner.held()[0].upper_id)
    assert (rejected.meaning, rejected.rule_code, rejected.field) == ("rejected", "1001", "CF_XDR_MC")
    assert (accepted.record_id, accepted.idempotency_key) == (
        two.messages[0].record_key,
        two.messages[0].idempotency_key,
    )


def test_persons_are_held_from_their_own_table(partner: Partner, adapter: SftpFileAdapter, penalty: Category) -> None:
    person = package(partner.endpoint, penalty, PERSON, reference="SC0105_20261120_00001", shape="person")
    adapter.submit(person)
    [held] = eventually(partner.held)
    assert (held.subject_name, held.data["CF_XDR_ZJHM"]) == ("示例王三", "110101199003070097")


def test_every_operation_reaches_the_record(partner: Partner, adapter: SftpFileAdapter, penalty: Category) -> None:
    one = package(partner.endpoint, penalty)

    def send(number: int, operation: str, reason: str | None = None) -> None:
        message = replace(
            one.messages[0],
            operation=operation,  # type: ignore[arg-type]
            reason=reason,
            idempotency_key=key(f"{number}"),
            content_hash=key(operation),
        )
        act = replace(one, reference=f"SC0102_20261120_{number:05d}", messages=[message])
        adapter.submit(act)
        [reply] = eventually(lambda: adapter.receipts(act).replies)
        assert (reply.meaning, reply.rule_code) == ("accepted", None)

    send(1, "new")
    send(2, "update")
    assert partner.held()[0].updates == 1
    send(3, "objection_on")
    assert partner.held()[0].objection
    send(4, "objection_off")
    send(5, "withdraw", "revoked")
    [held] = partner.held()
    assert (held.objection, held.withdrawn_reason) == (False, "revoked")
    assert held.withdrawn_at is not None


# Taking back -------------------------------------------------------------------------------------------------------


def test_a_whole_file_is_taken_back_before_it_is_read(
    partner: Partner, adapter: SftpFileAdapter, penalty: Category
) -> None:
    partner.at_work(False)
    two = package(partner.endpoint, penalty, {}, {})
    keys = {message.record_key for message in two.messages}
    adapter.submit(two)
    assert adapter.retract(two, list(keys)[:1]) == frozenset()
    assert partner.names() == [FILE]
    assert adapter.retract(two, keys) == keys
    assert partner.names() == [f".{FILE}.retracted"]
    assert (partner.root / "incoming" / f".{FILE}.retracted").read_bytes() == b""
    assert adapter.receipts(two).complete
    with partner.adapter() as another_process:
        assert another_process.retract(two, keys) == keys
    assert partner.names() == []
    partner.at_work(True)
    assert partner.held() == []


def test_what_was_read_is_not_taken_back(partner: Partner, adapter: SftpFileAdapter, one: OutgoingPackage) -> None:
    adapter.submit(one)
    eventually(lambda: partner.names("done"))
    assert adapter.retract(one, {one.messages[0].record_key}) == frozenset()


def test_nothing_is_taken_back_from_a_receiver_that_reads_files_where_they_lie(
    partner: Partner, one: OutgoingPackage
) -> None:
    partner.at_work(False)
    partner.endpoint = changed(partner.endpoint, taken_by_moving=False)
    with partner.adapter() as adapter:
        adapter.submit(one)
        assert adapter.retract(one, {one.messages[0].record_key}) == frozenset()
    assert partner.names() == [FILE]


# What is held ------------------------------------------------------------------------------------------------------


def test_the_list_that_a_receiver_writes(partner: Partner, adapter: SftpFileAdapter, penalty: Category) -> None:
    adapter.submit(package(partner.endpoint, penalty, {}, {}))
    eventually(partner.held)
    held = list(adapter.holdings(penalty) or ())
    assert [(one.record_key, one.content_hash) for one in held] == [
        (record.record_id, record.content_hash) for record in partner.held()
    ]
    assert {(one.state, one.objection, one.subject_name) for one in held} == {
        ("shown", False, "测试合成企业一有限公司")
    }


def test_a_list_that_is_not_there_or_not_finished(partner: Partner, penalty: Category) -> None:
    partner.endpoint = changed(partner.endpoint, holdings="{table}.yesterday.xml")
    with partner.adapter() as adapter:
        with pytest.raises(Trouble, match=r"02\.yesterday\.xml is not there"):
            list(adapter.holdings(penalty) or ())
        (partner.root / "receipts" / "02.yesterday.xml").write_text("<DATAS><DATA>", encoding="utf-8")
        with pytest.raises(Trouble, match=r"02\.yesterday\.xml: it is not readable as XML, or not complete yet"):
            list(adapter.holdings(penalty) or ())


def test_without_a_list_the_receiver_cannot_be_asked(partner: Partner, penalty: Category) -> None:
    partner.endpoint = changed(partner.endpoint, holdings=None)
    with partner.adapter() as adapter:
        assert adapter.holdings(penalty) is None


# The file of the endpoint ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tables": {"administrative_penalty": {"organisation": "02"}}}, "administrative_licence for organisation"),
        ({"tables": {"administrative_penalty": {"organisation": "2", "person": "05"}}}, "two digits"),
        ({"tables": {"administrative_penalty": {"organisation": "02", "person": "02"}}}, "the same number"),
        ({"format": "xlsx"}, "official template has no such columns"),
        (
            {"operations": {"new": "1"}},
            "what stands for objection_off, objection_on, update, withdraw",
        ),
        ({"passphrase_variable": "P"}, "authentication: key"),
        ({"holdings": "full.xml"}, "holdings"),
        ({"host_key": "AAAA"}, "host_key"),
        ({"prefix": "SC1"}, "prefix"),
    ],
)
def test_a_section_that_cannot_be(city_files: Endpoint, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        changed(city_files, **changes)


def test_without_identity_a_file_says_content_only(city_files: Endpoint) -> None:
    described = city_files.model_dump(mode="json")
    described["sftp_file"]["identity"] = None
    with pytest.raises(ValueError, match="without it a file cannot say objection_off, objection_on, withdraw"):
        Endpoint.model_validate(described)
    assert record_data({}, Category.model_construct(fields=()), changed(city_files, identity=None)) == {}


def test_the_example_of_the_documentation_is_the_one_that_is_tested(city_files: Endpoint, tmp_path: Path) -> None:
    chapter = (PROJECT_ROOT / "docs" / "endpoints.md").read_text(encoding="utf-8").partition("\n## sftp_file\n")[2]
    path = tmp_path / "city_files.yaml"
    path.write_text(chapter.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    assert parse(read(path), Endpoint).sftp_file == city_files.sftp_file
