"""What a department, a receiver or a feed file may be called and may hold, when somebody means harm."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import CatalogueError, ExtractError
from pipelines.settings import PROJECT_ROOT
from tests.operations.small_feed import COLUMNS, FEED, MONDAY, TUESDAY, WEDNESDAY, Installation, row

ESCAPE = "\x1b]0;owned\x07"
MARKUP = "<img src=x onerror=alert(1)>"
NASTY_NAME = f"a'\"[1]*{{date}} ; DROP TABLE run; --{MARKUP}{ESCAPE}\n.csv"
NASTY_COLUMN = f"x\"'); DROP TABLE standard; --{MARKUP}"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("hostile")
    made = Installation(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("root", "inbox", "home"):
            patch.setenv(f"GUIJI_{name.upper()}", str(folder / name))
        yield made


def hostile_extract() -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, NASTY_COLUMN])
    for number, name in ((1, "示例市样本第0001号有限公司"), (2, f"{MARKUP}'\";--")):
        writer.writerow([*row(number, 当事人名称=name).values(), "=cmd|' /C calc'!A0"])
    writer.writerow([*row(3, 统一社会信用代码=f"{MARKUP}").values(), ESCAPE])
    return text.getvalue().encode()


def test_names_and_values_are_text_wherever_they_are_shown(installation: Installation) -> None:
    installation.drop(MONDAY, hostile_extract(), NASTY_NAME)
    shown = CliRunner().invoke(cli.app, ["run", "--date", MONDAY.isoformat()])
    assert installation.published(MONDAY).rows_decoded == 3
    assert "\x1b" not in shown.output
    pages = list((installation.folder / "home" / "reports").rglob("*.html"))
    pages += (installation.folder / "home" / "data_docs").rglob("*.html")
    texts = [page.read_text(encoding="utf-8") for page in pages]
    assert any("onerror" in text for text in texts), "the name of the extract stands on no page: nothing was tested"
    for page, text in zip(pages, texts, strict=True):
        assert MARKUP not in text, page
        assert "\x1b" not in text, page


def test_a_refused_extract_is_named_without_what_controls_a_terminal(installation: Installation) -> None:
    installation.drop(TUESDAY, b"\x00\x01\x02", NASTY_NAME)
    shown = CliRunner().invoke(cli.app, ["run", "--date", TUESDAY.isoformat()])
    assert shown.exit_code == cli.FEEDS_FAILED
    assert "DROP TABLE" in shown.output
    assert "\x1b" not in shown.output
    assert "\x07" not in shown.output
    status = CliRunner().invoke(cli.app, ["status", "--date", TUESDAY.isoformat()])
    assert "\x1b" not in status.output


def test_a_link_to_a_file_of_the_system_is_no_extract(installation: Installation) -> None:
    folder = installation.folder / "inbox" / "dept" / WEDNESDAY.isoformat()
    folder.mkdir(parents=True)
    (folder / "penalty.csv").symlink_to("/etc/passwd")
    problem = installation.night(WEDNESDAY)
    assert isinstance(problem, ExtractError)
    assert "link" in str(problem)
    assert not any(b"root:" in path.read_bytes() for path in (installation.folder / "home" / "landing").rglob("*/*"))


@pytest.mark.parametrize(
    "changes",
    [
        {"source": {"kind": "folder", "path": "../../etc", "pattern": "passwd"}},
        {"source": {"kind": "folder", "path": "/etc", "pattern": "passwd"}},
        {"source": {"kind": "folder", "path": "dept/{date}/../../..", "pattern": "*"}},
        {"source": {"kind": "folder", "path": "~root", "pattern": "*"}},
        {"source": {"kind": "folder", "path": "dept", "pattern": "../*"}},
        {"source": {"kind": "folder", "path": "dept", "afterwards": {"do": "move", "folder": "../taken"}}},
        {"source": {"kind": "folder", "path": "dept", "complete": {"marker": "../{name}.ok"}}},
        {"source": {"kind": "folder", "path": "dept", "totals": {"file": "/etc/passwd"}}},
        {"source": {"kind": "folder", "path": "dept", "afterwards": {"do": "rename", "suffix": "/../x"}}},
        {"feed": "../../escape"},
        {"feed": "dept_penalty/x"},
    ],
    ids=str,
)
def test_no_path_of_a_feed_leads_out_of_its_place(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CatalogueError):
        Installation(tmp_path, settings=changes).context.catalogue.feed(FEED)


@pytest.mark.parametrize("name", ["../province", "province/x", "Province", "province\n"])
def test_the_name_of_an_endpoint_leads_nowhere(tmp_path: Path, name: str) -> None:
    installation = Installation(tmp_path)
    endpoint = yaml.safe_load((PROJECT_ROOT / "schemas/endpoints/province_sandbox.yaml").read_text(encoding="utf-8"))
    folder = tmp_path / "root" / "schemas" / "endpoints"
    folder.mkdir()
    described = yaml.safe_dump({**endpoint, "endpoint": name}, allow_unicode=True)
    (folder / "province_sandbox.yaml").write_text(described, encoding="utf-8")
    with pytest.raises(CatalogueError, match="endpoint"):
        installation.describe()
