"""What a feed may say about files at a source, and that mistakes are named with their line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from pipelines.catalogue.sources import Afterwards, Complete, FolderSource, Retries, SftpSource, Totals
from pipelines.catalogue.yaml_source import parse, read
from pipelines.errors import CatalogueError
from pipelines.settings import PROJECT_ROOT

FOLDER = "kind: folder\npath: dept/{date}\n"
SFTP = (
    "kind: sftp\nhost: sftp.example.gov.cn\nuser: dept\npath: out\npassword_variable: DEPT_PASSWORD\n"
    "known_hosts: known_hosts\n"
)


def load(tmp_path: Path, text: str, model: type[BaseModel] = FolderSource) -> BaseModel:
    path = tmp_path / "feed.yaml"
    path.write_text(text, encoding="utf-8")
    return parse(read(path), model)


@pytest.mark.parametrize(
    ("extra", "line", "problem"),
    [
        ("totals:\n  file: '{name}.ok'\n  rows: '('\n", 5, "is no regular expression"),
        ("totals:\n  file: '{name}.ok'\n  rows: '[0-9]+'\n", 5, "needs brackets around the number"),
        ("totals:\n  file: '{name}.ok'\n", 3, "needs rows or amount"),
        ("totals:\n  file: '{name}.ok'\n  amount: '(.+)'\n", 3, "amount and amount_column belong together"),
        ("totals:\n  file: '{name}'\n  rows: '(.+)'\n", 4, "must be the name of another file in the same folder"),
        ("complete:\n  marker: done/{name}\n", 4, "must be the name of another file in the same folder"),
        ("complete:\n  stable_seconds: -1\n", 4, "greater than or equal to 0"),
        ("afterwards:\n  do: move\n", 3, "move needs a folder"),
        ("afterwards:\n  do: move\n  folder: ../done\n", 5, "must stay below"),
        ("afterwards:\n  do: move\n  folder: dept/{date}/\n", 3, "files moved there would be found again"),
        ("afterwards:\n  do: rename\n  suffix: a/b\n", 5, "suffix"),
        ("pattern: sub/*.csv\n", 3, "folders belong into path"),
        ("dated_by: column\n", 3, "dated_by: column needs date_column"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, extra: str, line: int, problem: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, FOLDER + extra)
    assert problem in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("key_variable: DEPT_KEY\n", "either password_variable or key_variable"),
        ("key_passphrase_variable: DEPT_PASSPHRASE\n", "key_passphrase_variable belongs to key_variable"),
        ("known_hosts_variable: DEPT_HOSTS\n", "either known_hosts or known_hosts_variable"),
        ("complete:\n  stable_seconds: 60\n", "wait_seconds must be at least complete.stable_seconds"),
        ("password: secret\n", "password"),
    ],
)
def test_an_account_is_opened_one_way_and_its_server_known(tmp_path: Path, extra: str, problem: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, SFTP + extra, SftpSource)
    assert problem in str(caught.value)


def test_known_servers_lie_below_schemas(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="must stay below schemas/"):
        load(tmp_path, SFTP.replace("known_hosts: known_hosts", "known_hosts: /etc/ssh/known_hosts"), SftpSource)
    assert load(tmp_path, SFTP, SftpSource)


DOCUMENT = (PROJECT_ROOT / "docs" / "sources.md").read_text(encoding="utf-8")


def test_the_examples_of_the_document_are_what_a_feed_may_say() -> None:
    sections = dict(zip(("folder", "sftp"), DOCUMENT.split("\n## ")[2:4], strict=True))
    for kind, model in (("folder", FolderSource), ("sftp", SftpSource)):
        examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(source:.*?)```", sections[kind], re.DOTALL)]
        assert examples
        for example in examples:
            model.model_validate(example["source"])


@pytest.mark.parametrize("model", [FolderSource, SftpSource, Complete, Totals, Afterwards, Retries])
def test_the_document_names_every_key(model: type[BaseModel]) -> None:
    first_cells = " ".join(re.findall(r"^\|([^|]+)\|", DOCUMENT, re.MULTILINE))
    named = {key.rpartition(".")[2] for key in re.findall(r"`([a-z_.]+)`", first_cells)}
    sections = {"complete", "totals", "afterwards", "retries"}
    assert set(model.model_fields) - named - sections == set()
