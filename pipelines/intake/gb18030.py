"""GB18030 to UTF-8, strictly and quickly: by the C library where it agrees with Python's codec, else by the codec.

The C library's ``iconv`` is two to three times as fast as the codec and works outside the interpreter lock, so that
several pieces of a file are converted at once. It is used only after it has converted every two-byte code and the
four-byte codes of the basic plane to the same text.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

# Python decodes by GB 18030-2000. Codes that then lay in the private-use area and are characters of their own since:
# one in the edition of 2005, 18 in that of 2022 (table of changed mappings), and six whose characters have places
# outside the basic plane (GB/T 22321.1-2018 takes the two-byte codes out as repetitions).
_CHANGED = {
    0xE7C7: 0x1E3F,
    **dict(zip(range(0xE78D, 0xE797), (0xFE10, 0xFE12, 0xFE11, *range(0xFE13, 0xFE1A)), strict=True)),
    **dict(zip((0xE81E, 0xE826, 0xE82B, 0xE82C, 0xE832, 0xE843, 0xE854, 0xE864), range(0x9FB4, 0x9FBC), strict=True)),
    **dict(
        zip(
            (0xE816, 0xE817, 0xE818, 0xE831, 0xE83B, 0xE855),
            (0x20087, 0x20089, 0x200CC, 0x215D7, 0x2298F, 0x241FE),
            strict=True,
        )
    ),
}
_OLD_POINTS = re.compile(f"[{''.join(map(chr, _CHANGED))}]")
# The first byte of U+E000 to U+EFFF in UTF-8, where all changed points lie; rare in text.
_LEAD_OF_OLD_POINTS = b"\xee"

_FAILED = ctypes.c_size_t(-1).value


def of_2022(text: str) -> str:
    """GB18030 text, as Python decodes it, with the code points of the 2022 edition."""
    return text.translate(_CHANGED) if _OLD_POINTS.search(text) else text


def gb18030_to_utf8(data: bytes) -> bytes | None:
    """The same text as UTF-8, with the code points of the 2022 edition; None when some of it cannot be converted."""
    return _by_library(data) if library_agrees() else _by_codec(data)


def _by_codec(data: bytes) -> bytes | None:
    try:
        return of_2022(data.decode("gb18030")).encode()
    except UnicodeDecodeError:
        return None


def _by_library(data: bytes) -> bytes | None:
    source = np.frombuffer(data, np.uint8)
    # Two bytes become at most three, four at most four.
    target: NDArray[np.uint8] = np.empty(len(source) * 3 // 2 + 4, np.uint8)
    library = _library()
    descriptor = library.iconv_open(b"UTF-8", b"GB18030")
    try:
        place, left = ctypes.c_void_p(source.ctypes.data), ctypes.c_size_t(len(source))
        into, room = ctypes.c_void_p(target.ctypes.data), ctypes.c_size_t(len(target))
        result = library.iconv(
            descriptor, ctypes.byref(place), ctypes.byref(left), ctypes.byref(into), ctypes.byref(room)
        )
    finally:
        library.iconv_close(descriptor)
    if result != 0 or left.value:
        return None
    converted = target[: len(target) - room.value].tobytes()
    return of_2022(converted.decode()).encode() if _LEAD_OF_OLD_POINTS in converted else converted


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.iconv_open.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    library.iconv_open.restype = ctypes.c_void_p
    library.iconv_close.argtypes = [ctypes.c_void_p]
    library.iconv.argtypes = [ctypes.c_void_p] + [ctypes.c_void_p] * 4
    library.iconv.restype = ctypes.c_size_t
    return library


@cache
def library_agrees() -> bool:
    """Whether the C library has a converter that gives what the codec and :func:`of_2022` give.

    The characters with codes of both lengths are left out: some editions of the library refuse the longer one, and
    then the codec is asked.
    """
    try:
        library = _library()
        descriptor = library.iconv_open(b"UTF-8", b"GB18030")
    except (OSError, AttributeError, TypeError):
        return False
    if descriptor in {None, _FAILED}:
        return False
    library.iconv_close(descriptor)
    points = set(range(0x80, 0x10000)).difference(range(0xD800, 0xE000), _CHANGED.values())
    text = "".join(map(chr, sorted(points)))
    return _by_library(text.encode("gb18030")) == of_2022(text).encode()
