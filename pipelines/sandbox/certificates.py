"""Certificates of the receiver, made afresh: an authority, a good certificate and one that expired yesterday."""

from __future__ import annotations

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipelines.sandbox.misbehaviour import Misbehaviour

AUTHORITY_FILE = "authority.pem"
LIFETIME = timedelta(days=30)
_Key = ec.EllipticCurvePrivateKey


def make_certificates(folder: Path) -> Path:
    """Write new certificates for 127.0.0.1 and localhost into ``folder``; returns the authority's file, for senders."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("guiji sandbox authority")
    authority = _builder(issuer, issuer, key, now - timedelta(days=3), now + LIFETIME)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority = authority.add_extension(_usage(authority=True), critical=True)
    authority = authority.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    _write(folder / AUTHORITY_FILE, _pem(authority.sign(key, hashes.SHA256())))
    good = (now - timedelta(hours=1), now + LIFETIME)
    expired = (now - timedelta(days=2), now - timedelta(days=1))
    for name, (begins, ends) in {"server.pem": good, "expired.pem": expired}.items():
        _write(folder / name, _server_certificate(issuer, key, begins, ends))
    return folder / AUTHORITY_FILE


def tls_context(folder: Path, misbehaviour: Misbehaviour) -> ssl.SSLContext:
    """What the server shows: its good certificate, or the expired one at moments of ``expired_certificate``."""
    good, expired = _context(folder / "server.pem"), _context(folder / "expired.pem")

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if misbehaviour.takes("expired_certificate"):
            connection.context = expired

    good.sni_callback = choose
    return good


def _context(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    # A resumed session would show no certificate at all.
    context.num_tickets = 0
    return context


def _server_certificate(issuer: x509.Name, issuer_key: _Key, begins: datetime, ends: datetime) -> bytes:
    """Certificate and key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    made = _builder(_name("localhost"), issuer, key, begins, ends).add_extension(names, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(_usage(authority=False), critical=True)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    made = made.add_extension(authority, critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + _pem(made.sign(issuer_key, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Key, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(file: Path, content: bytes) -> None:
    # Never readable by others, not even for a moment: it may hold a key.
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
