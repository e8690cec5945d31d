"""The watch warns whom it concerns: one digest a day each, over a real mail server and a real webhook."""

from __future__ import annotations

import email
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select, update

from pipelines.deadlines.calendar import load_calendar
from pipelines.deadlines.clock import deadline, load_policy
from pipelines.errors import NoticeError
from pipelines.ledger.database import now
from pipelines.ledger.delivery_models import ClockNotice
from pipelines.ledger.models import Heartbeat, Outbox
from pipelines.operations.clock_watch import WATCH, Watched, watch_clock, watch_result
from pipelines.operations.watchdog import check_heart, shout
from tests.operations.small_feed import FEED, MONDAY, TUESDAY, Installation, row, rows


def utc(*moment: int) -> datetime:
    """An instant as the ledger stores it."""
    return datetime(*moment, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type]


# Monday 2026-11-23, nine in the morning in Beijing.
AT = utc(2026, 11, 23, 1, 0)
LEVELS = [
    {"level": "T+3", "name_zh": "剩余4个工作日以内", "working_days_left": 4, "to": ["department"]},
    {"level": "T+6", "name_zh": "仅剩1个工作日", "working_days_left": 1, "to": ["department", "office"]},
    {"level": "due", "name_zh": "今日到期", "working_days_left": 0, "to": ["department", "office"]},
    {"level": "overdue", "name_zh": "已超期", "overdue": True, "to": ["department", "office"]},
]
PASSWORD = "smtp-secret-1"


def free_port() -> int:
    """A port that nobody listens on; the mail server's controller takes no port 0."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Mailbox:
    """A real SMTP server that keeps what it takes."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []
        self.refuses = False
        self.port = free_port()
        self.controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=self._authenticate,
            auth_require_tls=False,
        )

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> Any:
        known = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=known, handled=False)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.refuses:
            return "451 come back later"
        assert isinstance(envelope.content, bytes)
        self.messages.append(email.message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    box.controller.start()
    yield box
    box.controller.stop()


@dataclass
class Robot:
    """A group robot: what it was posted, and what it answers."""

    url: str = ""
    posts: list[dict[str, Any]] = field(default_factory=list)
    answer: tuple[int, dict[str, Any]] = (200, {"errcode": 0})


@pytest.fixture
def robot() -> Iterator[Robot]:
    told = Robot()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = told.answer
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}/robot?key=very-secret-key"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def shop(tmp_path: Path, mailbox: Mailbox, robot: Robot, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """Six published records, owed to one endpoint; the department has mail, the office a robot."""
    monkeypatch.setenv("TEST_ROBOT", robot.url)
    monkeypatch.setenv("TEST_SMTP_PASSWORD", PASSWORD)
    shop = Installation(tmp_path, {"endpoints": ["province"]})
    schemas = tmp_path / "root" / "schemas"
    write_endpoint(schemas / "endpoints" / "province.yaml")
    server = {"host": "127.0.0.1", "port": mailbox.port, "security": "none", "sender": "guiji@example.org"}
    notices = {
        "levels": LEVELS,
        "offices": {"office": {"name_zh": "信用办", "webhook_variable": "TEST_ROBOT", "webhook_format": "wecom"}},
        "mail_server": {**server, "user": "guiji", "password_variable": "TEST_SMTP_PASSWORD"},
        "watchdog": {"minutes": 40, "to": ["office"]},
    }
    (schemas / "notices.yaml").write_text(yaml.safe_dump(notices, allow_unicode=True), encoding="utf-8")
    path = schemas / "departments" / "dept" / "department.yaml"
    department = yaml.safe_load(path.read_text(encoding="utf-8"))
    department["notify"] = {"mail": ["xinyong@dept.example.org", "ban@dept.example.org"]}
    path.write_text(yaml.safe_dump(department, allow_unicode=True), encoding="utf-8")
    shop.describe(endpoints=["province"])
    shop.publish(MONDAY, rows(range(6)))
    return shop


def write_endpoint(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    description = {
        "endpoint": "province",
        "name_zh": "省平台",
        "protocol": "rest",
        "audience": "sharing",
        "categories": ["administrative_penalty"],
        "url": "http://127.0.0.1:1",
        "secret_variable": "NO_SECRET",
        "rest": {"submit_path": "/s/{category}", "receipts_path": "/r/{package}"},
        "results": {"accepted": ["1"], "rejected": ["2"], "duplicate": ["4"]},
    }
    path.write_text(yaml.safe_dump(description, allow_unicode=True), encoding="utf-8")


def set_deadlines(shop: Installation, *deadlines: date) -> None:
    """Give the records decisions that have these deadlines."""
    calendar, policy = load_calendar(shop.context.settings), load_policy(shop.context.settings)
    with shop.context.ledger.write() as session:
        for row, day in zip(session.scalars(select(Outbox).order_by(Outbox.id)), deadlines, strict=True):
            row.decision_date = next(
                decided
                for decided in (day - timedelta(days=back) for back in range(40))
                if deadline(calendar, policy, decided).date == day
            )
            row.deadline = day


def watch(shop: Installation, at: datetime = AT) -> Watched:
    return watch_clock(shop.context, at)


def texts(mailbox: Mailbox) -> list[str]:
    return [message.get_body().get_content() for message in mailbox.messages]  # type: ignore[union-attr]


def test_nothing_near_nobody_is_told(shop: Installation, mailbox: Mailbox, robot: Robot) -> None:
    set_deadlines(shop, *[date(2026, 11, 30)] * 6)
    watched = watch(shop)
    assert (watched.examined, watched.levels, watched.sent) == (6, {}, 0)
    assert not (mailbox.messages or robot.posts)
    assert not shop.context.settings.notices.exists()


def test_one_digest_for_a_department_and_one_for_the_office(shop: Installation, mailbox: Mailbox, robot: Robot) -> None:
    # Four, four, one and no working days left, one over, one far away.
    days = (date(2026, 11, 27), date(2026, 11, 27), date(2026, 11, 24), date(2026, 11, 23), date(2026, 11, 20))
    set_deadlines(shop, *days, date(2026, 11, 30))
    watched = watch(shop)
    assert watched.levels == {"overdue": 1, "due": 1, "T+6": 1, "T+3": 2}
    assert watched.problems == []
    [message] = mailbox.messages
    assert message["To"] == "xinyong@dept.example.org, ban@dept.example.org"
    assert message["Subject"] == "【时限预警】示例局：已超期等5条（2026-11-23）"
    [text] = texts(mailbox)
    assert text.count("示例局行政处罚 → 省平台") == 4
    assert "已超期：示例局行政处罚 → 省平台，1条，最早时限2026-11-20" in text
    assert "剩余4个工作日以内：示例局行政处罚 → 省平台，2条" in text
    [post] = robot.posts
    assert post["msgtype"] == "text"
    # The office is told from T+6 on.
    assert "共有3条公共信用信息" in post["text"]["content"]
    assert "剩余4个工作日" not in post["text"]["content"]
    told = shop.context.settings.notices / "2026-11-23" / "dept.txt"
    assert told.read_text(encoding="utf-8").startswith("【时限预警】示例局")


def test_the_same_day_tells_again_only_when_it_got_worse(shop: Installation, mailbox: Mailbox, robot: Robot) -> None:
    set_deadlines(shop, *[date(2026, 11, 27)] * 6)
    assert watch(shop).sent == 2
    assert watch(shop).sent == 0
    set_deadlines(shop, *[date(2026, 11, 27)] * 5, date(2026, 11, 23))
    assert watch(shop).sent == 4
    set_deadlines(shop, *[date(2026, 11, 24)] * 6)
    assert watch(shop).sent == 0
    assert len(mailbox.messages) == 2
    assert len(robot.posts) == 1
    # A new day is told anew.
    assert watch(shop, utc(2026, 11, 24, 1, 0)).sent == 4


def test_the_day_is_that_of_beijing(shop: Installation, mailbox: Mailbox) -> None:
    set_deadlines(shop, *[date(2026, 11, 23)] * 6)
    assert watch(shop, utc(2026, 11, 22, 15, 59)).levels == {"T+6": 6}
    assert watch(shop, utc(2026, 11, 22, 16, 0)).levels == {"due": 6}
    assert watch(shop, utc(2026, 11, 23, 16, 0)).levels == {"overdue": 6}
    assert len(mailbox.messages) == 3


def test_what_the_department_has_to_do_is_said_apart(shop: Installation, mailbox: Mailbox) -> None:
    set_deadlines(shop, *[date(2026, 11, 23)] * 6)
    with shop.context.ledger.write() as session:
        first, second, third, *_ = session.scalars(select(Outbox).order_by(Outbox.id))
        first.rejected_at = now()
        second.withheld_at, second.withheld_rule = now(), "ACC-1"
        third.accepted_at = now()
    assert watch(shop).examined == 5
    [text] = texts(mailbox)
    assert "省平台，1条，最早时限2026-11-23；接收方退回，需贵单位更正后重新报送" in text
    assert "省平台，1条，最早时限2026-11-23；不符合接收方受理条件" in text
    assert "省平台，3条，最早时限2026-11-23；归集平台报送中" in text
    assert "其中1条需贵单位处理" in text


def test_a_mail_server_that_refuses_is_told_and_tried_again(shop: Installation, mailbox: Mailbox) -> None:
    set_deadlines(shop, *[date(2026, 11, 27)] * 6)
    mailbox.refuses = True
    watched = watch(shop)
    assert "did not take the digest (SMTPDataError 451)" in watched.problems[0]
    with pytest.raises(NoticeError, match="1 warnings could not be sent"):
        watch_result(watched)
    mailbox.refuses = False
    assert watch(shop).sent == 1
    assert len(mailbox.messages) == 1
    with shop.context.ledger.read() as session:
        notice = session.scalars(select(ClockNotice).where(ClockNotice.channel == "mail")).one()
    assert (notice.attempts, notice.problem, notice.sent_at) == (2, None, AT)


def test_a_wrong_password_never_shows(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    set_deadlines(shop, *[date(2026, 11, 27)] * 6)
    monkeypatch.setenv("TEST_SMTP_PASSWORD", "wrong-password-2")
    [problem] = watch(shop).problems
    assert "SMTPAuthenticationError 535" in problem
    assert "wrong-password-2" not in problem


def test_a_robot_that_refuses_with_200_has_not_taken_it(shop: Installation, robot: Robot) -> None:
    set_deadlines(shop, *[date(2026, 11, 23)] * 6)
    robot.answer = (200, {"errcode": 45009})
    [problem] = watch(shop).problems
    assert "TEST_ROBOT did not take the digest (code 45009)" in problem
    assert "very-secret-key" not in problem
    robot.answer = (500, {})
    assert "HTTP 500" in watch(shop).problems[0]
    robot.answer = (200, {"errcode": 0})
    assert watch(shop).problems == []
    assert len(robot.posts) == 3


def test_a_mail_server_with_tls_is_verified(shop: Installation, tmp_path: Path) -> None:
    """A certificate that nobody we know has signed is refused, and nothing is sent in the clear."""
    set_deadlines(shop, *[date(2026, 11, 27)] * 6)
    certificate = self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    box = Mailbox()
    box.controller = Controller(
        box, hostname="127.0.0.1", port=box.port, tls_context=tls, authenticator=box._authenticate
    )
    box.controller.start()
    try:
        path = tmp_path / "root" / "schemas" / "notices.yaml"
        notices = yaml.safe_load(path.read_text(encoding="utf-8"))
        notices["mail_server"] |= {"port": box.port, "security": "starttls"}
        path.write_text(yaml.safe_dump(notices, allow_unicode=True), encoding="utf-8")
        shop.describe(endpoints=["province"])
        assert "SSLCertVerificationError" in watch(shop).problems[0]
        assert box.messages == []
        notices["mail_server"]["ca_file"] = str(certificate[0])
        path.write_text(yaml.safe_dump(notices, allow_unicode=True), encoding="utf-8")
        shop.describe(endpoints=["province"])
        assert watch(shop).problems == []
        assert len(box.messages) == 1
    finally:
        box.controller.stop()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    moment = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "mail.pem", folder / "mail.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    unencrypted = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, unencrypted))
    return paths


def test_the_watch_leaves_a_heartbeat_even_when_nobody_can_be_told(shop: Installation, mailbox: Mailbox) -> None:
    set_deadlines(shop, *[date(2026, 11, 27)] * 6)
    mailbox.refuses = True
    watch(shop)
    with shop.context.ledger.read() as session:
        beat = session.get_one(Heartbeat, WATCH)
    assert (beat.at, beat.examined) == (AT, 6)


def test_a_clock_that_was_never_watched(shop: Installation) -> None:
    [problem] = check_heart(shop.context, AT).problems
    assert "never been watched" in problem


def test_a_heartbeat_that_stops_is_shouted_about_once_an_hour(shop: Installation, robot: Robot) -> None:
    set_deadlines(shop, *[date(2026, 12, 30)] * 6)
    with shop.context.ledger.write() as session:
        session.execute(update(Outbox).values(queued_at=utc(2026, 11, 20)))
    watch(shop)
    assert check_heart(shop.context, utc(2026, 11, 23, 1, 40)).problems == []
    late = utc(2026, 11, 23, 1, 41)
    heart = check_heart(shop.context, late)
    assert heart.problems == ["the clock has not been watched for 41 minutes"]
    assert shout(shop.context, heart, late) == []
    assert shout(shop.context, heart, utc(2026, 11, 23, 2, 0)) == []
    assert len(robot.posts) == 1
    assert "最近一次监测在2026-11-23 09:00，已中断41分钟" in robot.posts[0]["text"]["content"]
    shout(shop.context, heart, utc(2026, 11, 23, 2, 41))
    assert len(robot.posts) == 2


def test_a_watch_that_does_not_see_everything(shop: Installation) -> None:
    with shop.context.ledger.write() as session:
        session.execute(update(Outbox).values(queued_at=utc(2026, 11, 20)))
    watch(shop)
    with shop.context.ledger.write() as session:
        session.get_one(Heartbeat, WATCH).examined = 5
    [problem] = check_heart(shop.context, AT).problems
    assert problem == "6 records were waiting before the last watch, and it examined 5 only"


def test_a_clock_that_went_backwards(shop: Installation) -> None:
    watch(shop)
    [problem] = check_heart(shop.context, utc(2026, 11, 22, 20, 0)).problems
    assert "lies in the future" in problem


def test_two_watches_at_once_tell_everybody_once(
    shop: Installation, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_deadlines(shop, *[date(2026, 11, 27)] * 6)
    context = shop.context
    threads = [threading.Thread(target=watch_clock, args=(context, AT)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mailbox.messages) == 1


def test_a_feed_whose_file_is_gone_still_counts(shop: Installation, robot: Robot) -> None:
    set_deadlines(shop, *[date(2026, 11, 23)] * 6)
    context = shop.context
    del context.catalogue.feeds[FEED]
    assert watch_clock(context, AT).levels == {"due": 6}
    assert FEED in robot.posts[0]["text"]["content"]


def test_rows_that_never_became_records_are_told_too(shop: Installation, mailbox: Mailbox) -> None:
    """A quarantined row has the clock of its decision, and its department has to mend it."""
    wrong = row(90, 统一社会信用代码="91119900MA9000909X", 处罚决定日期="2026/11/12")
    run = shop.publish(TUESDAY, [*rows(range(6)), wrong])
    assert run.quarantined == 1
    set_deadlines(shop, *[date(2026, 11, 30)] * 6)
    assert watch(shop).levels == {"due": 1}
    [text] = texts(mailbox)
    assert "今日到期：示例局行政处罚 → 尚未入库，1条，最早时限2026-11-23；校验未通过，需贵单位更正后重新报送" in text
    assert "其中1条需贵单位处理" in text
