"""The doctor looks at both ends: what sources need, whether endpoints are described, left alone, reachable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import OutgoingPackage
from pipelines.delivery.adapters import open_adapter
from pipelines.delivery.address import endpoint_url
from pipelines.delivery.breaker import beijing, open_breakers
from pipelines.delivery.certificates import distrust, trusted
from pipelines.delivery.replies import PackageUnknownError, Trouble
from pipelines.errors import DeliveryError
from pipelines.ledger.database import now
from pipelines.network.plain_http import is_readable_on_the_way
from pipelines.operations.doctor_findings import Finding, Patient, State
from pipelines.operations.restored import held_since_restore

ENDS_SOON = timedelta(days=30)
SKEW = timedelta(minutes=2)
NEVER_SENT = "guiji-doctor"


def check_sources(patient: Patient) -> list[Finding]:
    """The variables that feeds name are set, and the inbox of those that come as files is there."""
    findings = []
    for code, feed in sorted(patient.catalogue.feeds.items()):
        missing = sorted({name for name in _variables(feed.source.model_dump()) if not patient.environment.get(name)})
        if missing:
            findings.append(
                Finding("sources", "problem", f"{code}: {', '.join(missing)} not set", "set it where guiji is started")
            )
    inbox = patient.settings.inbox
    if not inbox.is_dir() and any(feed.source.kind == "folder" for feed in patient.catalogue.feeds.values()):
        findings.append(Finding("sources", "problem", f"the inbox {inbox} is not there", "make it, or set GUIJI_INBOX"))
    return findings or [Finding("sources", "ok", f"all that {len(patient.catalogue.feeds)} feeds need is set")]


def check_endpoints(patient: Patient) -> list[Finding]:
    """Address, secret and certificates of every endpoint that a feed delivers to; nobody is called."""
    used = {name for feed in patient.catalogue.feeds.values() for name in feed.endpoints}
    findings = []
    for name, endpoint in sorted(patient.catalogue.endpoints.items()):
        if name not in used:
            findings.append(Finding("endpoints", "ok", f"{name}: no feed delivers to it"))
            continue
        try:
            with open_adapter(endpoint, patient.environment) as adapter:
                place = adapter.place
        except DeliveryError as error:
            findings.append(Finding("endpoints", "problem", f"{name}: {error.problem}", error.remedy))
            continue
        found = [*_transport(endpoint, place), *_authority(patient, endpoint)]
        findings += found or [Finding("endpoints", "ok", f"{name}: {place}, secret set")]
    return findings


def check_breakers(patient: Patient) -> list[Finding]:
    """Endpoints that are left alone after failures, and those that nobody has reconciled with since a restore."""
    findings = []
    with patient.ledger.read() as session:
        held = {name for name, one in patient.catalogue.endpoints.items() if held_since_restore(session, one)}
        for state in open_breakers(session):
            if state.endpoint in held:
                # Named below: --force would go past the comparison, too.
                continue
            found = (
                f"{state.endpoint} is left alone until {beijing(state.retry_at or now())} Beijing time: {state.reason}"
            )
            remedy = f"everything stays queued; 'guiji deliver --endpoint {state.endpoint} --force' tries now"
            findings.append(Finding("breakers", "warning", found, remedy))
        for name in sorted(held):
            found = f"{name}: restored from a backup, nothing is delivered before somebody has compared"
            findings.append(Finding("breakers", "warning", found, f"run 'guiji reconcile --endpoint {name}'"))
    return findings or [Finding("breakers", "ok", "no endpoint is left alone")]


def check_connections(patient: Patient) -> list[Finding]:
    """With ``--connect``: each endpoint is asked about a package that was never sent; nothing is handed over."""
    if not patient.connect:
        return [Finding("connections", "ok", "endpoints were not called; 'guiji doctor --connect' does")]
    used = {name for feed in patient.catalogue.feeds.values() for name in feed.endpoints}
    return [
        finding
        for name, endpoint in sorted(patient.catalogue.endpoints.items())
        if name in used
        for finding in _called(patient, endpoint)
    ]


def _called(patient: Patient, endpoint: Endpoint) -> list[Finding]:
    name = endpoint.endpoint
    category = patient.catalogue.categories[endpoint.categories[0]]
    unsent = OutgoingPackage(
        package_id=NEVER_SENT,
        reference=NEVER_SENT,
        category=category,
        family="content",
        shape="",
        created_at=now(),
        offered=True,
        records=0,
        messages=(),
    )
    try:
        findings = _http(patient, endpoint) if endpoint.protocol in {"rest", "xml_service"} else []
        with open_adapter(endpoint, patient.environment) as adapter:
            adapter.inquire(unsent)
            place = adapter.place
    except PackageUnknownError:
        place = name
    except DeliveryError as error:
        return [Finding("connections", "problem", f"{name}: {error.problem}", error.remedy)]
    except Trouble as trouble:
        remedy = "check the address, the network between us and that the receiver runs"
        return [Finding("connections", "problem", f"{name} does not answer: {trouble.text}", remedy)]
    return [*findings, Finding("connections", "ok", f"{name}: {place} answers")]


def _http(patient: Patient, endpoint: Endpoint) -> list[Finding]:
    """Reach the server without our secret, and compare its clock with ours."""
    section = endpoint.rest or endpoint.xml_service
    url = endpoint_url(endpoint, patient.environment)
    try:
        answer = httpx.head(
            url,
            timeout=endpoint.timeout_seconds,
            verify=trusted(endpoint, section.ca_file if section else None),
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise distrust(error, endpoint, url) or Trouble("unreachable", type(error).__name__) from error
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return []
    skew = abs(theirs - datetime.now(UTC))
    if skew < SKEW:
        return []
    found = f"{endpoint.endpoint}: its clock and ours are {int(skew.total_seconds())} s apart"
    remedy = "set this machine's clock by NTP; if ours is right, tell the receiver: signatures will be refused"
    return [Finding("connections", "warning", found, remedy)]


def _transport(endpoint: Endpoint, place: str) -> list[Finding]:
    """An address that everybody on the way can read is refused, unless the endpoint's file allows it."""
    if not is_readable_on_the_way(place):
        return []
    found = f"{endpoint.endpoint}: {place} is not encrypted, which plain_http allows"
    remedy = "see that a closed network protects the way, and ask the receiver for an https address"
    return [Finding("endpoints", "warning", found, remedy)]


def _authority(patient: Patient, endpoint: Endpoint) -> list[Finding]:
    """When the certificates in an endpoint's own ``ca_file`` end."""
    section = endpoint.rest or endpoint.xml_service
    if section is None or section.ca_file is None:
        return []
    path: Path = patient.settings.root / section.ca_file
    ends = min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes()))
    left = ends - datetime.now(UTC)
    if left > ENDS_SOON:
        return []
    state: State = "problem" if left < timedelta() else "warning"
    found = f"{endpoint.endpoint}: a certificate in {section.ca_file} ends on {ends:%Y-%m-%d}"
    return [Finding("endpoints", state, found, "ask the receiver for its new one and put it there")]


def _variables(described: Mapping[str, Any]) -> Iterator[str]:
    """The variables that have to be set: those that stand for something which is not written beside them."""
    for name, value in described.items():
        if isinstance(value, Mapping):
            yield from _variables(value)
        elif name.endswith("_variable") and value and not described.get(name.removesuffix("_variable")):
            yield value
