"""The keys by which document numbers and names are compared."""

from __future__ import annotations

import pytest

from pipelines.normalize.documents import canonical_document_number, name_key


@pytest.mark.parametrize(
    "spelling",
    [
        "测市监罚[2024]1号",
        "测市监罚（2024）１号",
        "测市监罚【2024】1 号",
        "测市监罚(2024)1号\n",
        "测市监罚〔2024〕\u200b1号",
        "测市监罚〔２０２４〕1号",
    ],
)
def test_spellings_of_one_document_number(spelling: str) -> None:
    assert canonical_document_number(spelling) == "测市监罚〔2024〕1号"


@pytest.mark.parametrize(
    "other", ["测市监罚〔2024〕第1号", "测市监罚〔2024〕1", "测市监罚〔2024〕11号", "测市监处〔2024〕1号"]
)
def test_other_document_numbers_stay_apart(other: str) -> None:
    assert canonical_document_number(other) != "测市监罚〔2024〕1号"


@pytest.mark.parametrize(
    "spelling", ["测试(上海)Abc公司", "测试（上海） ABC公司。", "测试【上海】ａｂｃ公司", "测试上海ABC公司"]
)
def test_spellings_of_one_name(spelling: str) -> None:
    assert name_key(spelling) == "测试上海ABC公司"


def test_names_that_differ_stay_apart() -> None:
    assert name_key("張三") != name_key("张三")
    assert name_key("（）") is None
    assert canonical_document_number(" ") is None
