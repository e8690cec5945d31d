"""Restricted values at rest: sealed with AES-SIV before they are written, opened when they are read.

A sealed value is text: :data:`MARK`, the id of its key, a colon, and base64 of the ciphertext. Its field and its record
are authenticated with it, so that it can neither be changed nor be moved to another record unnoticed. The same value
in the same place gives the same text: a batch judged again writes the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from pipelines.errors import StorageError
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.engine.duck import Texts

CURRENT, OLDER = "GUIJI_LAKE_KEY", "GUIJI_LAKE_KEYS"
KEY_BYTES = 64
# Standard text holds no control characters, so that nothing a department writes can look sealed.
MARK = "\x01sealed:"


@dataclass(frozen=True)
class Keyring:
    """The key that seals, None when nothing is to be sealed, and every key that opens, by its id.

    The id of a key is worked out from the key: nobody can give one key's id to another.
    """

    current: str | None = None
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def require(self, key_ids: Iterable[str]) -> None:
        """Raise :class:`StorageError` unless these keys are here, and one to seal with as soon as there are any."""
        wanted = sorted(key_ids)
        for key_id in wanted:
            if key_id not in self.keys:
                raise _missing(key_id)
        if wanted and self.current is None:
            raise StorageError(
                "the records are sealed and there is no key to seal new ones with", remedy=f"set {CURRENT}"
            )

    @cached_property
    def _ciphers(self) -> dict[str, AESSIV]:
        return {key_id: AESSIV(key) for key_id, key in self.keys.items()}

    def seal(self, record_keys: Texts, fields: Texts, values: Texts) -> list[str | None]:
        """Seal values with the current key; None stays None."""
        if self.current is None:
            raise LookupError("there is no key to seal with")
        cipher, prefix = self._ciphers[self.current], f"{MARK}{self.current}:"
        return [
            None
            if value is None
            else prefix + base64.b64encode(cipher.encrypt(value.encode(), _place(record_key, name))).decode()
            for record_key, name, value in zip(record_keys, fields, values, strict=True)
        ]

    def unseal(self, record_keys: Texts, fields: Texts, values: Texts) -> list[str | None]:
        """Open sealed values; what is not sealed stays as it is.

        Raises :class:`StorageError` when a key is missing, or when a value is not what was sealed at this place.
        """
        return [
            value if value is None or not value.startswith(MARK) else self._unseal(value, record_key, name)
            for record_key, name, value in zip(record_keys, fields, values, strict=True)
        ]

    def _unseal(self, value: str, record_key: str | None, name: str | None) -> str:
        key_id, _, text = value.removeprefix(MARK).partition(":")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise _missing(key_id)
        try:
            return cipher.decrypt(base64.b64decode(text, validate=True), _place(record_key, name)).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise StorageError(
                f"the sealed value of {name} in the record {str(record_key)[:12]} is not what was written",
                remedy="the file was altered: find out by whom, then restore it from a backup",
            ) from error


def read_keyring(settings: Settings) -> Keyring:
    """The keys of an installation: the one that seals, and older ones, separated by commas, that only open.

    A key is base64 of 64 bytes. Raises :class:`StorageError`, which never quotes a key, for anything else.
    """
    current = settings.lake_key.get_secret_value() if settings.lake_key else ""
    older = settings.lake_keys.get_secret_value() if settings.lake_keys else ""
    keys = dict(_read(text, OLDER) for text in older.split(",") if text.strip())
    if not current.strip():
        return Keyring(None, keys)
    key_id, key = _read(current, CURRENT)
    return Keyring(key_id, keys | {key_id: key})


def _read(text: str, variable: str) -> tuple[str, bytes]:
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StorageError(
            f"{variable} does not hold base64 of {KEY_BYTES} bytes",
            remedy=f"make a key with: openssl rand -base64 {KEY_BYTES}",
        )
    return hashlib.sha256(b"guiji lake key\n" + key).hexdigest()[:8], key


def _missing(key_id: str) -> StorageError:
    return StorageError(
        f"restricted values are sealed with the key {key_id}, which is not here",
        remedy=f"give that key in {CURRENT}, or in {OLDER} if it was replaced, then run again",
    )


def _place(record_key: str | None, name: str | None) -> list[bytes]:
    return [str(name).encode(), str(record_key).encode()]
