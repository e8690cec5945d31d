"""One installation after a whole day of work: what lies on its disk, who may read it, and what the receiver got."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipelines import cli
from pipelines.identity.synthetic import synthetic_resident_id
from tests.operations.delivering import CATEGORY, Delivering, delivering
from tests.operations.small_feed import COLUMNS, TUESDAY, Rows, row, rows

KEY = base64.b64encode(bytes([7]) * 64).decode()
RESIDENT_ID = synthetic_resident_id("110101", date(1990, 1, 1), 1)
WITH_DOCUMENTS = (*COLUMNS, "证件类型", "证件号码")


def person(number: int) -> dict[str, str]:
    """A decision about somebody, with an identity document."""
    cells = {"行政相对人类别": "自然人", "当事人名称": "示例王二", "证件类型": "身份证", "证件号码": RESIDENT_ID}
    return row(number, 统一社会信用代码="", 法定代表人="", **cells)


def day_of_work(shop: Delivering, day: date, sent: Rows) -> None:
    """Everything that a day writes: the run, the delivery, reports with workbooks, Data Docs, warnings."""
    shop.installation.send(day, sent, WITH_DOCUMENTS)
    for command in (["run", "--deliver"], ["report"]):
        done = CliRunner().invoke(cli.app, [*command, "--date", day.isoformat()])
        assert done.exit_code in (0, cli.FEEDS_FAILED), done.output
    CliRunner().invoke(cli.app, ["watch"])


@dataclass
class Worked:
    shop: Delivering
    home: Path


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """An installation with a key, whose process began with a mask that hides nothing."""
    folder = tmp_path_factory.mktemp("at_rest")
    before = os.umask(0)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GUIJI_LAKE_KEY", KEY)
            with delivering(folder, patch) as shop:
                broken = row(5, 当事人名称="")
                day_of_work(shop, TUESDAY, [*rows([1, 2, 3]), person(4), broken])
                yield Worked(shop, folder / "home")
    finally:
        os.umask(before)


def files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found, folder
    return found


def test_the_record_store_holds_no_identity_number(worked: Worked) -> None:
    for name in ("records", "findings", "reports", "data_docs"):
        for path in files(worked.home / name):
            if path.suffix != ".xlsx":
                assert RESIDENT_ID.encode() not in path.read_bytes(), path
    store = worked.shop.context.stores[CATEGORY]
    (stored,) = (
        pq.read_table(path) for path in files(store.folder) if "20261117" in path.name and path.suffix == ".parquet"
    )
    assert any(value.startswith("\x01sealed:") for value in stored.column("CF_XDR_ZJHM").to_pylist() if value)


def test_the_receiver_gets_the_number_itself(worked: Worked) -> None:
    sent = {record["data"].get("CF_XDR_ZJHM") for record in worked.shop.receiver.held(CATEGORY)}
    assert sent == {None, RESIDENT_ID}


def test_what_a_day_writes_belongs_to_its_owner_alone(worked: Worked) -> None:
    written = {path.relative_to(worked.home).parts[0] for path in worked.home.rglob("*")}
    assert written >= {"landing", "runs", "records", "findings", "reports", "data_docs", "ledger.sqlite"}
    assert any(path.suffix == ".xlsx" for path in (worked.home / "reports").rglob("*"))
    open_to_others = {
        path.relative_to(worked.home).as_posix(): f"{path.stat().st_mode & 0o777:o}"
        for path in (worked.home, *worked.home.rglob("*"))
        if path.stat().st_mode & 0o777 not in ((0o700,) if path.is_dir() else (0o600,))
    }
    assert open_to_others == {}
    assert worked.home.stat().st_mode & 0o777 == 0o700
