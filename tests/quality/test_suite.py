"""Suites: what the files say, what the schema implies, and what is said about a wrong file."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalogue.categories import Field
from pipelines.catalogue.code_lists import CodeList
from pipelines.engine.duck import session
from pipelines.errors import CatalogueError
from pipelines.quality.compile import judge
from pipelines.quality.derived import derived_rules
from pipelines.quality.rules import Suite
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings

from .rows import BUSINESS_DATE, CATEGORIES, bases, catalogue, standard_table, suite

PENALTY = "administrative_penalty"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(Settings().expectations, tmp_path / "expectations")
    return tmp_path


def load(root: Path) -> Suite:
    return load_suite(Settings(root=root), catalogue().categories[PENALTY], catalogue().code_lists)


def change(root: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = root / "expectations" / f"{PENALTY}.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    edit(data)
    path.write_text(json.dumps(data, ensure_ascii=False, indent=2), encoding="utf-8")


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_file_is_a_suite_of_the_library(category: str) -> None:
    from pipelines.quality import great_expectations_engine as engine

    written = json.loads((Settings().expectations / f"{category}.json").read_text(encoding="utf-8"))
    loaded = engine.gx.ExpectationSuite(
        name=written["name"], expectations=written["expectations"], meta=written["meta"], notes=written["notes"]
    )
    assert [entry.configuration.type for entry in loaded.expectations] == [
        entry["type"] for entry in written["expectations"]
    ]
    whole = engine.great_expectations_suite(suite(category))
    assert len(whole.expectations) == len(suite(category).rules)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_rule_says_in_chinese_what_is_wrong_and_what_to_do(category: str) -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    rules = suite(category)
    for rule in (*rules.rules, *rules.batch_rules):
        assert chinese.search(rule.message_zh), rule.code
        assert chinese.search(rule.fix_zh), rule.code
        assert not chinese.search(re.sub(r"其他\S*|无|use one of .*", "", rule.message_en + rule.fix_en)), rule.code
        assert rule.source, rule.code
        assert rules.rule(rule.code) is rule


def is_limited(field: Field) -> bool:
    """Codes that are checked and closed lists need no limit: what is too long for them is wrong anyway."""
    if field.type == "enum":
        return field.code_list is not None and catalogue().code_lists[field.code_list].open_entry is not None
    return field.type != "code" or field.code_system in {"plain", "identity_document"}


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_schema_implies_rules_for_every_field_that_has_a_constraint(category: str) -> None:
    schema = catalogue().categories[category]
    codes = {rule.code for rule in suite(category).rules}
    for field in schema.fields:
        expected = {
            "REQ": field.required == "always",
            "ENUM": field.code_list is not None,
            "DATE": field.type == "date",
            "AMT": field.type == "amount",
            "PII": field.type == "text",
            "GARB": field.type in {"text", "name", "document_number"},
            "PERSON": field.type == "code" and field.code_system != "identity_document",
            "LEN": field.length is not None and is_limited(field),
        }
        for kind, is_implied in expected.items():
            assert (f"{kind}-{field.code}" in codes) == is_implied, (kind, field.code)


@pytest.mark.parametrize("unit", ["bytes_gbk", "bytes_utf8"])
def test_a_length_in_bytes_counts_bytes(unit: str) -> None:
    schema = catalogue().categories[PENALTY]

    def limited(field: Field) -> Field:
        return field.model_copy(update={"length": 12, "length_unit": unit}) if field.code == "BZ" else field

    schema = schema.model_copy(update={"fields": tuple(limited(field) for field in schema.fields)})
    rules = Suite("limited", derived_rules(schema, catalogue().code_lists))
    fits, too_long = {"bytes_gbk": ("中文ab中文", "中文ab中文中文"), "bytes_utf8": ("中文ab中", "中文ab中文")}[unit]
    row = bases(PENALTY)["organisation"]
    with session() as duck:
        standard_table(duck, schema, [row | {"BZ": fits}, row | {"BZ": too_long}])
        judge(duck, rules, schema, BUSINESS_DATE)
        assert duck.rows("SELECT reasons FROM verdicts ORDER BY row_no") == [([],), (["LEN-BZ"],)]


def test_a_closed_list_with_several_values_is_followed() -> None:
    schema = catalogue().categories[PENALTY]
    lists = dict(catalogue().code_lists)
    penalty = lists["penalty_class"]
    lists["penalty_class"] = CodeList(**{**penalty.model_dump(), "open_entry": None})
    rules = Suite("closed", derived_rules(schema, lists))
    assert "OPEN-CF_CFLB" not in rules
    row = bases(PENALTY)["organisation"]
    values = {"警告;罚款": [], "其他-通报批评": ["ENUM-CF_CFLB"], "警告;;罚款": ["ENUM-CF_CFLB"], "罚款": []}
    with session() as duck:
        standard_table(duck, schema, [row | {"CF_CFLB": value} for value in values])
        judge(duck, rules, schema, BUSINESS_DATE)
        assert [reasons for (reasons,) in duck.rows("SELECT reasons FROM verdicts ORDER BY row_no")] == list(
            values.values()
        )


def test_an_entry_of_the_file_takes_the_place_of_a_derived_rule(root: Path) -> None:
    def soften(data: dict[str, Any]) -> None:
        entry = json.loads(json.dumps(data["expectations"][0]))
        entry |= {
            "type": "expect_column_value_lengths_to_be_between",
            "kwargs": {"column": "BZ", "max_value": 1000},
            "severity": "warning",
        }
        entry["meta"] |= {"code": "LEN-BZ"}
        data["expectations"].append(entry)

    before = load(root)
    change(root, soften)
    after = load(root)
    assert [rule.code for rule in after.rules] == [rule.code for rule in before.rules]
    assert (before.rule("LEN-BZ").severity, after.rule("LEN-BZ").severity) == ("block", "warn")
    assert after.rule("LEN-BZ").kwargs["max_value"] == 1000


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda e: e["kwargs"].update(column="CF_NOPE"), "CF_NOPE is no field"),
        (lambda e: e.update(type="expect_magic"), "unknown expectation type expect_magic"),
        (lambda e: e["meta"].update(owner="nobody"), "owner"),
        (lambda e: e["meta"].pop("fix_zh"), "fix_zh"),
        (lambda e: e.update(severity="block"), "severity"),
        (lambda e: e["meta"].update(code="CF-C01a"), "the code CF-C01a stands twice"),
        (lambda e: e["meta"].update(code="DUP-001"), "the code DUP-001 stands twice"),
        (lambda e: e["kwargs"].pop("condition"), "wrong kwargs"),
        (lambda e: e["kwargs"].update(condition={"$PARAMETER": "tomorrow"}), "unknown parameter tomorrow"),
    ],
)
def test_a_wrong_file_is_named(root: Path, edit: Callable[[dict[str, Any]], None], problem: str) -> None:
    change(root, lambda data: edit(data["expectations"][1]))
    with pytest.raises(CatalogueError, match=re.escape(problem)) as caught:
        load(root)
    assert caught.value.remedy


def test_a_wrong_key_is_named_with_its_line(root: Path) -> None:
    change(root, lambda data: data["expectations"][1]["meta"].update(onwer="department"))
    path = root / "expectations" / f"{PENALTY}.json"
    line = 1 + path.read_text(encoding="utf-8").splitlines().index('        "onwer": "department"')
    with pytest.raises(CatalogueError, match="onwer") as caught:
        load(root)
    assert caught.value.line == line
    assert caught.value.file == str(path)


def test_broken_json_and_a_missing_file_are_named(root: Path) -> None:
    path = root / "expectations" / f"{PENALTY}.json"
    path.write_text('{\n "name": "x",\n oops\n}', encoding="utf-8")
    with pytest.raises(CatalogueError, match="not valid JSON") as caught:
        load(root)
    assert caught.value.line == 3
    path.unlink()
    with pytest.raises(CatalogueError, match="missing"):
        load(root)


def test_a_predicate_that_cannot_be_evaluated_names_its_rule(root: Path) -> None:
    change(root, lambda data: data["expectations"][1]["kwargs"].update(condition="CF_TYPO = '1'"))
    rules = load(root)
    schema = catalogue().categories[PENALTY]
    with session() as duck:
        standard_table(duck, schema, [bases(PENALTY)["organisation"]])
        with pytest.raises(CatalogueError, match=r"the rule CF-C01b cannot be evaluated.*CF_TYPO"):
            judge(duck, rules, schema, BUSINESS_DATE)


def test_an_unknown_code_is_refused() -> None:
    with pytest.raises(CatalogueError, match="no rule NOPE-1"):
        suite(PENALTY).rule("NOPE-1")
    assert suite(PENALTY).rule("LINE-002").type is None
    assert "TOMB-001" in suite(PENALTY)
