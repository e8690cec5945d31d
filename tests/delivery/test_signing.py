"""The keyed digests against published values, and what exactly is signed."""

from __future__ import annotations

import hashlib
import hmac
import re

import httpx
import pytest

from pipelines.delivery.signing import Algorithm, Signature, digest, keyed_digest

ALPHABET = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"


@pytest.mark.parametrize(
    ("algorithm", "text", "expected"),
    [
        # GB/T 32905-2016, appendix A
        ("hmac_sm3", b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        ("hmac_sm3", b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
        # FIPS 180-4
        ("hmac_sha256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_the_digest(algorithm: Algorithm, text: bytes, expected: str) -> None:
    assert digest(algorithm, text) == expected


@pytest.mark.parametrize(
    ("algorithm", "key", "text", "expected"),
    [
        # GM/T 0042-2015, appendix D.3
        (
            "hmac_sm3",
            bytes(range(1, 33)),
            (ALPHABET * 2).encode(),
            "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a",
        ),
        (
            "hmac_sm3",
            bytes(range(1, 38)),
            b"\xcd" * 50,
            "220bf579ded555393f0159f66c99877822a3ecf610d1552154b41d44b94db3ae",
        ),
        # RFC 4231, cases 1 and 2
        (
            "hmac_sha256",
            b"\x0b" * 20,
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            "hmac_sha256",
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
    ],
)
def test_the_keyed_digest(algorithm: Algorithm, key: bytes, text: bytes, expected: str) -> None:
    assert keyed_digest(algorithm, key, text) == expected


def test_method_path_body_time_and_nonce_are_signed_and_each_request_is_signed_anew() -> None:
    signature = Signature("hmac_sha256", "guiji", "密钥", now=lambda: 1795310523.4)
    nonces = set()
    for _ in range(2):
        request = httpx.Request("POST", "https://x.gov.cn/api/v1/packages?receipts=now", content="正文".encode())
        header = next(signature.auth_flow(request)).headers["Authorization"]
        found = re.fullmatch(
            r'HMAC-SHA256 keyId="guiji", time="1795310523", nonce="(\w{32})", signature="(\w+)"', header
        )
        assert found is not None
        nonce, signed = found.groups()
        body = hashlib.sha256("正文".encode()).hexdigest()
        text = f"POST\n/api/v1/packages?receipts=now\n{body}\n1795310523\n{nonce}"
        assert signed == hmac.new("密钥".encode(), text.encode(), "sha256").hexdigest()
        nonces.add(nonce)
    assert len(nonces) == 2
