"""The rule book: every rule once, everything said about it, every defect and condition covered."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import cli
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.defects import CONDITIONS, DEFECTS, load_defects
from pipelines.catalogue.rule_words import DIMENSIONS, FAMILIES, OWNERS, SCOPES, SEVERITIES
from pipelines.errors import CatalogueError
from pipelines.operations.rule_book import RuleBook, RuleFilter, chosen, page_is_current, rule_book, whole_book
from pipelines.quality.rule_book import RuleEntry
from pipelines.quality.rule_coverage import coverage_of
from pipelines.quality.suite import load_suite
from pipelines.settings import PROJECT_ROOT, Settings


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return whole_book(Settings())


def said(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["rules", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_code_of_every_suite_stands_in_the_book_once(book: RuleBook) -> None:
    catalogue = load_catalogue(Settings())
    in_suites: set[str] = set()
    for category in catalogue.categories.values():
        suite = load_suite(Settings(), category, catalogue.code_lists)
        codes = Counter(rule.code for rule in (*suite.rules, *suite.batch_rules))
        assert [code for code, times in codes.items() if times > 1] == []
        in_suites |= set(codes)
    assert Counter(rule.code for rule in book.rules) == Counter(dict.fromkeys(in_suites, 1))


def test_a_written_rule_stands_in_one_file_only() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted(Settings().expectations.rglob("*.json")):
        for code in re.findall(r'"code": "([A-Z][^"]*)"', path.read_text(encoding="utf-8")):
            places.setdefault(code, []).append(path.name)
    assert {code: files for code, files in places.items() if len(files) > 1} == {}


def test_two_suites_may_not_mean_different_things_by_one_code(tmp_path: Path) -> None:
    import shutil

    for folder in ("schemas", "expectations"):
        shutil.copytree(PROJECT_ROOT / folder, tmp_path / folder)
    path = tmp_path / "expectations" / "administrative_licence.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["expectations"][0]["meta"]["code"] = "CF-C01a"
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(CatalogueError, match="CF-C01a means different things"):
        rule_book(Settings(root=tmp_path))


def test_every_word_of_a_rule_has_a_name_in_both_languages(book: RuleBook) -> None:
    for rule in book.rules:
        assert rule.family in FAMILIES
        for words in (rule.title, rule.remedy, rule.family_name, rule.severity_name, rule.owner_name):
            assert words.zh, rule.code
            assert words.en, rule.code
            assert re.search(r"[\u4e00-\u9fff]", words.zh), rule.code
        assert rule.source, rule.code
    for words in (FAMILIES, SEVERITIES, OWNERS, DIMENSIONS, SCOPES):
        assert all(name.zh and name.en for name in words.values())


def test_all_77_defects_and_17_conditions_are_covered(book: RuleBook) -> None:
    found = {one.key: one for one in book.coverage}
    assert list(found) == [*map(str, DEFECTS), *CONDITIONS]
    assert [key for key, one in found.items() if not one.is_covered] == []


def test_a_defect_that_nothing_covers_is_seen(book: RuleBook) -> None:
    rules = [replace(rule, defects=tuple(d for d in rule.defects if d != 70)) for rule in book.rules]
    found = coverage_of(rules, book.repairs, load_defects(Settings().schemas))
    assert "70" in {one.key for one in found if not one.is_covered}
    assert "70" not in {one.key for one in book.coverage if not one.is_covered}


def test_rules_and_repairs_name_only_what_there_is(book: RuleBook) -> None:
    for one in (*book.rules, *book.repairs):
        assert set(one.defects) <= set(DEFECTS), one
        assert set(one.conditions) <= set(CONDITIONS), one
        assert len(set(one.defects)) == len(one.defects), one


def test_what_no_rule_covers_is_shown_by_a_test() -> None:
    known = load_defects(Settings().schemas)
    for described in (*known.defects.values(), *known.conditions.values()):
        if described.otherwise is None:
            continue
        file, name = described.otherwise.test.split("::")
        source = (PROJECT_ROOT / file).read_text(encoding="utf-8")
        assert name in {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}, name


def test_what_would_publish_what_may_not_be_published_is_never_waived(book: RuleBook) -> None:
    for rule in book.rules:
        forbidden = rule.dimension == "privacy" or not rule.holds
        assert not (forbidden and rule.waivable), rule.code
    for code in ("REQ-XK_ZT", "ENUM-XK_ZT", "STATUS-001", "PLACE-CF_XDR_SHXYM", "MASK-CF_XDR_ZJHM", "CF-SECR-01"):
        assert not book.rule(code).waivable, code
    assert book.rule("CF-FINE-01").waivable


def test_a_rule_is_in_force_between_its_days(book: RuleBook) -> None:
    rule = replace(book.rule("CF-C10e"), until=date(2026, 4, 1))
    assert [rule.in_force(date(*day)) for day in ((2019, 6, 30), (2019, 7, 1), (2026, 3, 31), (2026, 4, 1))] == [
        False,
        True,
        True,
        False,
    ]


def test_an_entry_says_when_a_rule_applies_and_when_it_is_kept(book: RuleBook) -> None:
    rule = book.rule("cf-c07a")
    assert (rule.applies, rule.holds) == ("contains(CF_CFLB_joined, ';罚款;')", '"CF_NR_FK" IS NOT NULL')
    assert (rule.field, rule.categories, rule.derived) == ("CF_NR_FK", ("administrative_penalty",), False)
    shared = book.rule("LEN-BZ")
    assert shared.derived
    assert shared.categories == ("administrative_licence", "administrative_penalty")
    assert book.rule("TOMB-001").holds == ""


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (RuleFilter(category="administrative_licence"), lambda rule: not rule.code.startswith("CF-")),
        (RuleFilter(family="amount"), lambda rule: rule.family == "amount"),
        (RuleFilter(severity="info"), lambda rule: rule.severity == "info"),
        (RuleFilter(owner="us"), lambda rule: rule.owner == "us"),
        (RuleFilter(dimension="privacy", severity="warn"), lambda rule: rule.code.startswith(("PII-", "CF-", "XK-"))),
        (
            RuleFilter(text="legal REPRESENTATIVE"),
            lambda rule: "FRDB" in (rule.field or "") or "representative" in rule.title.en + rule.remedy.en,
        ),
    ],
)
def test_rules_are_chosen(book: RuleBook, wanted: RuleFilter, holds: object) -> None:
    found = chosen(book.rules, wanted)
    assert 0 < len(found) < len(book.rules)
    assert callable(holds)
    assert all(holds(rule) for rule in found)


def test_the_page_is_current() -> None:
    assert page_is_current(Settings()), "run guiji rules book"


def test_the_page_is_the_same_every_time_and_holds_every_code(book: RuleBook) -> None:
    assert book.text == whole_book(Settings()).text
    for one in (*(rule.code for rule in book.rules), *(repair.rule for repair in book.repairs)):
        assert f"`{one}`" in book.text


def test_a_page_that_is_out_of_date_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("schemas", "expectations"):
        (tmp_path / folder).symlink_to(PROJECT_ROOT / folder)
    monkeypatch.setenv("GUIJI_ROOT", str(tmp_path))
    assert CliRunner().invoke(cli.app, ["rules", "book", "--check"]).exit_code == 11
    said("book")
    assert "says what the rules say" in said("book", "--check")


def test_a_rule_is_explained_in_both_languages() -> None:
    chinese, english = said("explain", "CF-C07a"), said("explain", "CF-C07a", "--en")
    for part in ("未填罚款金额", "责任方：报送部门", "缺陷：47", "条件：C7", "standard_penalty/golden_every_rule"):
        assert part in chinese
    for part in ("what to do: ", "owner: department", "defect: 47", "condition: C7", "IS NOT NULL"):
        assert part in english
    refused = CliRunner().invoke(cli.app, ["rules", "explain", "NOPE-1"])
    assert isinstance(refused.exception, CatalogueError)


def test_the_list_is_read_by_people_and_programs() -> None:
    assert "CF-FINE-01" in said("list", "--family", "amount")
    lines = [json.loads(line) for line in said("list", "--family", "amount", "--json").splitlines()]
    assert {line["code"] for line in lines} == {rule.code for rule in rule_book(Settings()) if rule.family == "amount"}
    assert set(lines[0]) == {field.name for field in fields(RuleEntry)}
    assert lines[0]["family_name"] == {"zh": "金额", "en": "amounts"}
