"""Codes of authorities filled in from the dictionary: by exact name, recorded, and never over a code that was sent."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipelines.catalogue.authorities import Authorities, Authority, FormerName, load_authorities
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.yaml_source import read
from pipelines.engine.duck import session
from pipelines.errors import CatalogueError
from pipelines.normalize.authorities import fill_authority_codes
from pipelines.settings import Settings

CODE = "11119900MA990001XH"
OTHER = "11119900MA9900028H"
PLACEHOLDER = "0" * 17 + "X"
DICTIONARY = Authorities(
    authorities=(
        Authority(
            name="示例市样本甲局",
            code=CODE,
            short=("样本甲局",),
            former=(FormerName(name="示例市样本旧局", until=date(2019, 3, 1)),),
        ),
    )
)


def filled(*authorities: tuple[str | None, str | None]) -> tuple[list[str | None], list[tuple[object, ...]]]:
    """The codes after filling, in order, and the repairs."""
    category = load_catalogue(Settings()).categories["administrative_penalty"]
    with session() as duck:
        duck.execute(
            "CREATE TABLE standard (row_no BIGINT, CF_CFJG VARCHAR, CF_CFJGDM VARCHAR, CF_SJLY VARCHAR, "
            "CF_SJLYDM VARCHAR, excluded_reason VARCHAR)"
        )
        duck.execute(
            "CREATE TABLE repairs (row_no BIGINT, field VARCHAR, rule VARCHAR, old_value VARCHAR, new_value VARCHAR)"
        )
        for number, (name, code) in enumerate(authorities):
            duck.execute("INSERT INTO standard VALUES ($1, $2, $3, NULL, NULL, NULL)", [number, name, code])
        count = fill_authority_codes(duck, category, DICTIONARY)
        codes = [code for (code,) in duck.rows("SELECT CF_CFJGDM FROM standard ORDER BY row_no")]
        repairs = duck.rows("FROM repairs ORDER BY row_no")
    assert count == len(repairs)
    return codes, repairs


def test_a_missing_code_is_filled_in_by_exact_name_and_recorded() -> None:
    codes, repairs = filled(("示例市样本甲局", None), ("样本甲局", PLACEHOLDER), ("示例市样本乙局", None), (None, None))
    assert codes == [CODE, CODE, None, None]
    assert repairs == [
        (0, "CF_CFJGDM", "ORG-001", None, CODE),
        (1, "CF_CFJGDM", "ORG-001", PLACEHOLDER, CODE),
    ]


def test_neither_a_former_name_nor_a_code_that_was_sent_is_touched() -> None:
    codes, repairs = filled(("示例市样本旧局", None), ("示例市样本甲局", OTHER), ("示例市样本甲局", "12345"))
    assert codes == [None, OTHER, "12345"]
    assert repairs == []


def test_a_name_of_two_authorities_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "authorities.yaml"
    path.write_text(
        "source: synthetic\nauthorities:\n"
        f"  - {{name: 示例市样本甲局, code: {CODE}, short: [样本局]}}\n"
        f"  - {{name: 示例市样本乙局, code: {OTHER}, short: [样本局]}}\n",
        encoding="utf-8",
    )
    with pytest.raises(CatalogueError, match="样本局 belongs to 示例市样本甲局 and 示例市样本乙局") as caught:
        load_authorities(read(path))
    assert caught.value.line == 4


def test_the_samples_departments_are_in_the_dictionary() -> None:
    catalogue = load_catalogue(Settings())
    known = {authority.name: authority.code for authority in catalogue.authorities.authorities}
    departments = {one.name_zh: one.uscc for one in catalogue.departments.values()}
    assert departments.items() <= known.items()
