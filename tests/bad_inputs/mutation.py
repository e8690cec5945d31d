"""Good files made bad at random: bytes changed, taken out, doubled, put in; parts of archives too."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable

# What readers stumble over: the marks that mean something to one format or another.
TOKENS = (
    *(b'"', b'""', b"\n", b"\r", b"\r\n", b"\0", b",", b";", b"\t", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1a", b"\x80"),
    *(b"<", b">", b"&", b"&a;", b"<!--", b"]]>", b"</ROW>", b"<ROW>", b"<?x", b"<!DOCTYPE x>", b"\xe9"),
    *(b"{", b"}", b"[", b"]", b"\\", b"\\u", b":", b"null", b"1e999", b"-"),
    *(b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\xff\xff\xff\xff", "公司".encode(), "公司".encode("gb18030")),
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to four random changes; a zip is sometimes changed inside."""
    if data.startswith(b"PK") and chance.random() < 0.7:
        return _mutated_part(data, chance)
    for _ in range(chance.randint(1, 4)):
        data = chance.choice(_CHANGES)(data, chance)
    return data


def _mutated_part(data: bytes, chance: random.Random) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as target:
        names = source.namelist()
        victim = chance.choice(names)
        for name in names:
            content = source.read(name)
            target.writestr(name, mutated(content, chance) if name == victim else content)
    return result.getvalue()


def _place(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.choice((1, 2, 7, 64, 1000)))


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _take_out(data: bytes, chance: random.Random) -> bytes:
    start, end = _place(data, chance)
    return data[:start] + data[end:]


def _double(data: bytes, chance: random.Random) -> bytes:
    start, end = _place(data, chance)
    return data[:end] + data[start:end] * chance.randint(1, 50) + data[end:]


def _put_in(data: bytes, chance: random.Random) -> bytes:
    start, _ = _place(data, chance)
    return data[:start] + chance.choice(TOKENS) * chance.choice((1, 1, 2, 300)) + data[start:]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: _place(data, chance)[0]]


def _swap(data: bytes, chance: random.Random) -> bytes:
    first, second = sorted((_place(data, chance)[0], _place(data, chance)[0]))
    return data[second:] + data[first:second] + data[:first]


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _take_out, _double, _put_in, _cut, _swap)
