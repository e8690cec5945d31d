"""How a digest reaches somebody: a file that is always written, e-mail, a webhook."""

from __future__ import annotations

import hashlib
import os
import smtplib
import ssl
from collections.abc import Mapping
from datetime import date
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import httpx

from pipelines.catalogue.notices import Addressee, MailServer
from pipelines.errors import NoticeError
from pipelines.ledger.database import now
from pipelines.reporting.clock_digest import Digest

FILE, MAIL, WEBHOOK = "file", "mail", "webhook"
WEBHOOK_SECONDS = 15.0


def channels_of(addressee: Addressee, server: MailServer | None) -> list[str]:
    """The channels over which somebody is told; the file is always one of them."""
    channels = [FILE]
    if addressee.mail and server is not None:
        channels.append(MAIL)
    if addressee.webhook_variable is not None and os.environ.get(addressee.webhook_variable):
        channels.append(WEBHOOK)
    return channels


def write_file(folder: Path, day: date, name: str, digest: Digest) -> Path:
    """Leave the digest where an operator can read it; the latest of a day and name replaces the one before."""
    target = folder / day.isoformat() / f"{name}.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    draft.write_text(f"{digest.subject}\n\n{digest.body}\n", encoding="utf-8")
    draft.replace(target)
    return target


def send_mail(
    server: MailServer,
    addresses: tuple[str, ...],
    digest: Digest,
    name: str,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Hand one e-mail to the server; a :class:`NoticeError` says why that was not possible.

    The message id follows from ``name`` and the text: should a crash have it sent twice, mail programs show it once.
    """
    message = EmailMessage()
    message["Subject"] = digest.subject
    message["From"] = server.sender
    message["To"] = ", ".join(addresses)
    message["Date"] = format_datetime(now())
    identity = hashlib.sha256(f"{name}\n{digest.subject}\n{digest.body}".encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{identity}@{server.sender.rpartition('@')[2]}>"
    message.set_content(digest.body, charset="utf-8")
    context = ssl.create_default_context(cafile=server.ca_file)
    try:
        with _connected(server, context) as smtp:
            if server.security == "starttls":
                smtp.starttls(context=context)
            if server.user is not None:
                smtp.login(server.user, environment.get(server.password_variable or "", ""))
            smtp.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        # Only the kind is told: the texts of servers repeat addresses and, on a failed login, what was sent.
        code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
        raise NoticeError(
            f"the mail server {server.host}:{server.port} did not take the digest ({type(error).__name__}{code})",
            remedy="check mail_server in schemas/notices.yaml and its password variable; it is tried again",
        ) from None


def _connected(server: MailServer, context: ssl.SSLContext) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout_seconds, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=server.timeout_seconds)


def send_webhook(addressee: Addressee, digest: Digest, environment: Mapping[str, str] = os.environ) -> None:
    """Post one digest; a :class:`NoticeError` names the variable, never the address, which opens itself."""
    variable = addressee.webhook_variable or ""
    text = f"{digest.subject}\n\n{digest.body}"
    body: Mapping[str, object] = {"subject": digest.subject, "text": digest.body, "records": digest.records}
    if addressee.webhook_format in {"wecom", "dingtalk"}:
        body = {"msgtype": "text", "text": {"content": text}}
    elif addressee.webhook_format == "feishu":
        body = {"msg_type": "text", "content": {"text": text}}
    try:
        with httpx.Client(timeout=WEBHOOK_SECONDS, trust_env=False) as client:
            response = client.post(environment.get(variable, ""), json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _not_taken(variable, type(error).__name__) from None
    if not response.is_success:
        raise _not_taken(variable, f"HTTP {response.status_code}")
    if addressee.webhook_format != "json" and _robot_code(response) != 0:
        # Group robots answer 200 to what they refuse.
        raise _not_taken(variable, f"code {_robot_code(response)}")


def _robot_code(response: httpx.Response) -> int | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    code = answer.get("errcode", answer.get("code")) if isinstance(answer, dict) else None
    return code if isinstance(code, int) else None


def _not_taken(variable: str, reason: str) -> NoticeError:
    return NoticeError(
        f"the webhook of {variable} did not take the digest ({reason})",
        remedy=f"check the address in the environment variable {variable}; it is tried again",
    )
