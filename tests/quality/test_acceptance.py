"""Acceptance profiles: what one receiver takes, beside what is right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.engine.duck import session
from pipelines.errors import CatalogueError
from pipelines.quality.acceptance import find_refusals, load_acceptance
from pipelines.quality.rules import Suite
from pipelines.records.store import version_schema
from pipelines.settings import PROJECT_ROOT, Settings

from .rows import BUSINESS_DATE, CATEGORIES, bases, catalogue

PENALTY = "administrative_penalty"
PROFILES = ("platform_2016_2018", "province")


def loaded(profiles: tuple[str, ...], category: str = PENALTY, root: Path = PROJECT_ROOT) -> Suite | None:
    categories = catalogue().categories
    return load_acceptance(Settings(root=root), profiles, categories[category], categories)


def refused(profile: str, **cells: Any) -> dict[str, str]:
    """What a profile says about one stored penalty: rule → reason."""
    category = catalogue().categories[PENALTY]
    suite = loaded((profile,))
    assert suite is not None
    schema = version_schema(category)
    stored: dict[str, Any] = dict.fromkeys(schema.names)
    stored |= {"feed": "market_penalty", "record_key": "k" * 64, "version": 1}
    dates = {field.code for field in category.fields if field.type in {"date", "amount"}}
    stored |= {code: value for code, value in bases(PENALTY)["organisation"].items() if code not in dates} | cells
    with session() as duck:
        duck.register("stored", pa.Table.from_pylist([stored], schema=schema))
        count = find_refusals(duck, suite, category, BUSINESS_DATE, "stored")
        found = dict(duck.rows("SELECT rule, reason FROM refusals"))
    assert count == len(found)
    return found


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_shipped_profiles_load_for_both_categories(profile: str, category: str) -> None:
    suite = loaded((profile,), category)
    assert suite is not None
    assert all(rule.owner == "upper" and rule.code.startswith("ACC-") for rule in suite.rules)


def test_the_two_profiles_may_be_named_together() -> None:
    suite = loaded(PROFILES)
    assert suite is not None
    assert {rule.code[:8] for rule in suite.rules} == {"ACC-P16-", "ACC-PROV"}


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        # The region of Shaanxi: third digit 6.
        ({"CF_XDR_SHXYM": "91610000MA0GUEJ12X"}, "ACC-P16-001a"),
        ({"CF_XDR_GSZC": "1199000000123"}, "ACC-P16-002a"),
        ({"CF_XDR_SWDJ": "1199000000123"}, "ACC-P16-003a"),
        ({"CF_XDR_ZJLX": "身份证", "CF_XDR_ZJHM": "110101200203070018"}, "ACC-P16-004a"),
    ],
)
def test_the_platform_of_2016_refuses_what_its_expressions_did_not_know(cells: dict[str, str], rule: str) -> None:
    accepted = {"CF_XDR_SHXYM": "91110000MA0GUEJ12X"}
    assert refused("platform_2016_2018", **accepted) == {}
    found = refused("platform_2016_2018", **(accepted | cells))
    assert set(found) == {rule}
    assert not any(value in found[rule] for value in cells.values() if value.isdigit())


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"CF_XDR_SHXYM": "11990000000000001X"}, "ACC-PROV-011a"),
        ({"CF_XDR_LB": "个体工商户"}, "ACC-PROV-012a"),
        ({"BZ": "备" * 257}, "ACC-PROV-006"),
        ({"CF_XDR_MC": "示" * 101}, "ACC-PROV-001a"),
    ],
)
def test_the_province_counts_in_bytes_and_looks_at_prefixes(cells: dict[str, str], rule: str) -> None:
    assert refused("province") == {}
    assert refused("province", BZ="备" * 256) == {}
    assert set(refused("province", **cells)) == {rule}


def test_a_reason_fits_the_outbox() -> None:
    for profile in PROFILES:
        suite = loaded((profile,))
        assert suite is not None
        assert all(len(f"{rule.code} {rule.message_zh} ({rule.message_en})") <= 200 for rule in suite.rules)


def test_the_hash_follows_what_is_asked_and_not_the_texts(tmp_path: Path) -> None:
    for part in ("schemas", "expectations"):
        shutil.copytree(PROJECT_ROOT / part, tmp_path / part)
    path = tmp_path / "expectations" / "acceptance" / "province.json"

    def hash_of(change: dict[str, Any]) -> str:
        data = json.loads(path.read_text(encoding="utf-8"))
        entry = next(one for one in data["expectations"] if one["meta"]["code"] == "ACC-PROV-006")
        entry["meta"] |= {name: value for name, value in change.items() if name in entry["meta"]}
        entry["kwargs"] |= {name: value for name, value in change.items() if name in entry["kwargs"]}
        path.write_text(json.dumps(data), encoding="utf-8")
        suite = loaded(("province",), root=tmp_path)
        assert suite is not None
        return suite.hash

    before = hash_of({})
    assert hash_of({"message_zh": "备注太长"}) == before
    assert hash_of({"max_value": 1024}) != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"severity": "warning"}, "only says what is taken"),
        ({"kwargs": {"column": "NO_SUCH_FIELD", "max_value": 1, "encoding": "gbk"}}, "is no field"),
        ({"type": "expect_miracles"}, "unknown expectation type"),
    ],
)
def test_a_wrong_profile_is_named_with_its_file(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = tmp_path / "expectations" / "acceptance"
    folder.mkdir(parents=True)
    data = json.loads((PROJECT_ROOT / "expectations/acceptance/province.json").read_text(encoding="utf-8"))
    data["expectations"][0] |= change
    (folder / "province.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(CatalogueError, match=said) as raised:
        loaded(("province",), root=tmp_path)
    assert "province.json" in str(raised.value)
