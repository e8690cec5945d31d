"""Restricted values are sealed where they lie, open with the right key alone, and cannot be altered or moved."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from pipelines.catalogue.catalogue import load_catalogue
from pipelines.engine.duck import Session, session
from pipelines.errors import StorageError
from pipelines.records.sealing import MARK, Keyring, read_keyring
from pipelines.records.store import RecordStore
from pipelines.settings import Settings

CATEGORY = load_catalogue(Settings()).categories["administrative_penalty"]
NUMBER, PERSON, REPRESENTATIVE = "CF_WSH", "CF_XDR_ZJHM", "CF_FR_ZJHM"
SECRET = "110101190001010000"


def key(number: int) -> str:
    return base64.b64encode(bytes([number]) * 64).decode()


def keyring(current: str | None = None, older: str | None = None) -> Keyring:
    return read_keyring(
        Settings(
            lake_key=SecretStr(current) if current is not None else None,
            lake_keys=SecretStr(older) if older is not None else None,
        )
    )


@pytest.fixture
def duck() -> Iterator[Session]:
    with session() as opened:
        yield opened


def write(duck: Session, store: RecordStore, run: str, rows: list[dict[str, Any]]) -> Path:
    nothing = dict.fromkeys(store.schema.names)
    table = pa.Table.from_pylist([{**nothing, "run": run, "version": 1, **row} for row in rows], schema=store.schema)
    duck.register("incoming", table)
    store.write(duck, "incoming", "f", run)
    store.commit("f", run)
    return store.file_of("f", run)


def read(duck: Session, store: RecordStore, column: str = PERSON) -> list[Any]:
    store.versions(duck, "versions", [])
    return [row[0] for row in duck.rows(f"SELECT {column} FROM versions ORDER BY run, record_key")]


def test_with_a_key_a_file_holds_no_restricted_value(tmp_path: Path, duck: Session) -> None:
    store = RecordStore(tmp_path, CATEGORY, keyring(key(1)))
    rows = [{"record_key": "a", PERSON: SECRET, NUMBER: "文号"}, {"record_key": "b", PERSON: SECRET}]
    path = write(duck, store, "r1", [*rows, {"record_key": "c"}])
    stored = pq.read_table(path).column(PERSON).to_pylist()
    assert SECRET.encode() not in path.read_bytes()
    assert stored[2] is None
    assert all(value.startswith(MARK) for value in stored[:2])
    assert stored[0] != stored[1], "who has the same number must not be told by the file"
    assert pq.read_table(path).column(NUMBER).to_pylist()[0] == "文号"
    assert read(duck, store) == [SECRET, SECRET, None]
    before = path.read_bytes()
    assert write(duck, store, "r1", [*rows, {"record_key": "c"}]).read_bytes() == before


def test_clear_files_from_before_there_was_a_key_stay_readable(tmp_path: Path, duck: Session) -> None:
    clear = RecordStore(tmp_path, CATEGORY)
    assert SECRET.encode() in write(duck, clear, "r1", [{"record_key": "a", PERSON: SECRET}]).read_bytes()
    sealed = RecordStore(tmp_path, CATEGORY, keyring(key(1)))
    write(duck, sealed, "r2", [{"record_key": "b", PERSON: SECRET}])
    assert read(duck, sealed) == [SECRET, SECRET]


def test_a_replaced_key_still_opens_what_it_sealed(tmp_path: Path, duck: Session) -> None:
    write(duck, RecordStore(tmp_path, CATEGORY, keyring(key(1))), "r1", [{"record_key": "a", PERSON: SECRET}])
    rotated = RecordStore(tmp_path, CATEGORY, keyring(key(2), f"{key(3)},\n{key(1)}"))
    write(duck, rotated, "r2", [{"record_key": "b", PERSON: "X1"}])
    assert read(duck, rotated) == [SECRET, "X1"]
    only_new = RecordStore(tmp_path, CATEGORY, keyring(key(2)))
    with pytest.raises(StorageError, match="GUIJI_LAKE_KEYS"):
        read(duck, only_new)


@pytest.mark.parametrize(("current", "older"), [(None, None), (key(2), None), (None, key(1))])
def test_without_the_right_key_nothing_is_written_and_only_clear_columns_are_read(
    tmp_path: Path, duck: Session, current: str | None, older: str | None
) -> None:
    write(duck, RecordStore(tmp_path, CATEGORY, keyring(key(1))), "r1", [{"record_key": "a", PERSON: SECRET}])
    store = RecordStore(tmp_path, CATEGORY, keyring(current, older))
    with pytest.raises(StorageError, match="GUIJI_LAKE_KEY"):
        write(duck, store, "r2", [{"record_key": "b", PERSON: SECRET}])
    assert not store.file_of("f", "r2").exists()
    assert read(duck, store, "record_key") == ["a"]
    if older is None:
        for ask in (duck.rows, duck.arrow):
            with pytest.raises(StorageError, match=r"sealed with the key [0-9a-f]{8}, which is not here"):
                ask(f"SELECT {PERSON} FROM versions")


def test_what_was_altered_or_moved_is_noticed(tmp_path: Path, duck: Session) -> None:
    store = RecordStore(tmp_path, CATEGORY, keyring(key(1)))
    path = write(
        duck,
        store,
        "r1",
        [{"record_key": "a", PERSON: SECRET, REPRESENTATIVE: "X2"}, {"record_key": "b", PERSON: "X1"}],
    )
    original = pq.read_table(path)
    first, second = original.column(PERSON).to_pylist()
    other_field = original.column(REPRESENTATIVE).to_pylist()[0]
    flipped = first[:-6] + ("A" if first[-6] != "A" else "B") + first[-5:]
    for changed in ([second, first], [flipped, second], [other_field, second], [first[:-8], second], [MARK, second]):
        place = original.schema.get_field_index(PERSON)
        pq.write_table(original.set_column(place, PERSON, pa.array(changed, pa.string())), path)
        with pytest.raises(StorageError) as noticed:
            read(duck, store)
        assert SECRET not in str(noticed.value)
    pq.write_table(original, path)
    assert read(duck, store) == [SECRET, "X1"]


@pytest.mark.parametrize("text", ["letmein", base64.b64encode(bytes(32)).decode(), "钥匙", f"{key(1)}="])
def test_a_key_that_is_none_is_refused_without_being_shown(text: str) -> None:
    for current, older in ((text, None), (None, f"{key(1)},{text}")):
        with pytest.raises(StorageError, match="openssl rand -base64 64") as refused:
            keyring(current, older)
        assert text not in str(refused.value)


def test_neither_settings_nor_a_keyring_show_a_key() -> None:
    settings = Settings(lake_key=SecretStr(key(1)), lake_keys=SecretStr(key(2)))
    shown = repr(settings) + str(settings) + repr(read_keyring(settings))
    assert key(1) not in shown
    assert key(2) not in shown
    assert repr(bytes([1]) * 8)[2:-1] not in shown


def test_an_empty_key_is_no_key(tmp_path: Path) -> None:
    assert keyring("", " ").current is None
