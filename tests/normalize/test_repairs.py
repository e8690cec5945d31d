"""What each repair does, and what it leaves alone: the tables are the specification."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.categories import Field
from pipelines.catalogue.repair_rules import load_repair_rules
from pipelines.normalize.treatments import Treatment, treatment
from tests.normalize.conftest import ROOT
from tests.normalize.nasty import PIECES, nasty_values

Case = tuple[str, str | None, str]

TEXT: list[Case] = [
    ("无", None, "TXT-001"),
    ("—", None, "TXT-001"),
    ("\\N", None, "TXT-001"),
    ("0", "0", ""),
    ("未经许可\u200b经营", "未经许可经营", "TXT-003"),
    ("罚款\u00a05000元", "罚款 5000元", "TXT-003"),
    ("甲&nbsp;乙&lt;丙&#65;", "甲 乙<丙A", "TXT-004"),
    ("一<br/>二<b>三</b>", "一 二三", "TXT-004"),
    ("&amp;lt;", "&amp;lt;", ""),
    ("A&B公司 <通知>", "A&B公司 <通知>", ""),
    ("第一行\r\n  第二行\t三", "第一行 第二行 三", "TXT-005"),
    ("　首尾 ", "首尾", "TXT-008"),
    ('="0012"', "0012", "TXT-006"),
    ("'0012", "0012", "TXT-006"),
    ("it's", "it's", ""),
    ("全角１２３（甲）", "全角１２３（甲）", ""),
    ("乱码\x80留待规则", "乱码\x80留待规则", ""),
]
NAME: list[Case] = [
    ("测试(上海)公司", "测试（上海）公司", "NAME-001"),
    ("ABC (China) Ltd", "ABC (China) Ltd", ""),
    ("测试\n公司", "测试公司", "TXT-005"),
    ("Test\nLtd", "Test Ltd", "TXT-005"),
    ("0", None, "TXT-001"),
    ("張三 𠮷", "張三 𠮷", ""),
]
DOCUMENT: list[Case] = [
    ("测市监罚[2024]１号", "测市监罚[2024]１号", ""),
    ("测市监罚〔2024〕\n1号", "测市监罚〔2024〕1号", "TXT-005"),
    ("无", None, "TXT-001"),
]
USCC: list[Case] = [
    ("９１119900ＭＡ9900028H", "91119900MA9900028H", "TXT-002"),
    ("11119900ma9900028h", "11119900MA9900028H", "CODE-001"),
    (" 1111 9900-MA99\n00028H", "11119900MA9900028H", "CODE-002 CODE-002"),
    ("统一社会信用代码：11119900MA9900028H", "11119900MA9900028H", "TXT-002 CODE-003"),
    ("11119900MA9900028H（1/1）", "11119900MA9900028H", "TXT-002 CODE-004"),
    ("11119900MA9900028H(1-1)", "11119900MA9900028H", "CODE-004"),
    ("11119900MA9900028H()", "11119900MA9900028H", "CODE-004"),
    ("11119900MA9900028H；", "11119900MA9900028H", "TXT-002 CODE-006"),
    ("11119900MA9900028H,(1-1)。", "11119900MA9900028H", "CODE-006 CODE-004"),
    ("11119900MA9900028H;11119900MA990001XH", "11119900MA9900028H;11119900MA990001XH", ""),
    ("'11119900MA9900028H", "11119900MA9900028H", "TXT-006"),
    ("410000000000001.0", "410000000000001", "TXT-007"),
    ("/", None, "TXT-001"),
    ("0", None, "TXT-001"),
    ("00000000000000000X", "00000000000000000X", ""),
    ("000000000000000000", "000000000000000000", ""),
    ("9.13302E+17", "9.13302E+17", ""),
    ("9111990*********8H", "9111990*********8H", ""),
]
REGISTRATION: list[Case] = [
    ("110000-012345678", "110000012345678", "CODE-002"),
    ("企独粤总字第000-123号", "企独粤总字第000-123号", ""),
]
IDENTITY: list[Case] = [
    ("110105491231002", "11010519491231002X", "CODE-005"),
    ("11010519491231002x", "11010519491231002X", "CODE-001"),
    ("110105491331002", "110105491331002", ""),
    ("A123456(7)", "A123456(7)", ""),
]
DATE: list[Case] = [
    ("2019/01/02", "2019/01/02", ""),
    ("2019-1-2", "2019/01/02", "DATE-001"),
    ("2019.1.2", "2019/01/02", "DATE-001"),
    ("２０１９／１／２", "2019/01/02", "TXT-002 DATE-001"),
    ("20190102", "2019/01/02", "DATE-002"),
    ("2019年1月2日", "2019/01/02", "DATE-003"),
    ("2019/1/2 0:00:00", "2019/01/02", "DATE-004 DATE-001"),
    ("20190102030405", "2019/01/02", "DATE-004 DATE-002"),
    ("2019-01-02T23:30:00+08:00", "2019/01/02", "DATE-004 DATE-001"),
    ("43466", "2019/01/01", "DATE-005"),
    ("43466.0", "2019/01/01", "DATE-004 DATE-005"),
    ("43466.75", "2019/01/01", "DATE-004 DATE-005"),
    ("2019-01-01T16:00:00.000Z", "2019/01/02", "DATE-006"),
    ("Wed, 02 Jan 2019 20:00:00 GMT", "2019/01/03", "DATE-006"),
    ("Wed Jan 02 00:00:00 CST 2019", "2019/01/02", "DATE-006"),
    ("二〇一九年十二月三十一日", "2019/12/31", "DATE-007"),
    ("1899-12-30 00:00:00", None, "DATE-004 DATE-001 DATE-009"),
    ("1900-1-1", None, "DATE-001 DATE-009"),
    ("1900/01/01", None, "DATE-009"),
    ("0000-00-00", None, "DATE-009"),
    ("无处罚期限", None, "DATE-009"),
    ("0", None, "TXT-001"),
    ("01/02/2019", "01/02/2019", ""),
    ("19-1-2", "19-1-2", ""),
    ("2019-02-30", "2019-02-30", ""),
    ("2019", "2019", ""),
    ("19999", "19999", ""),
]
OPEN_DATE: list[Case] = [
    ("长期", "2099/12/31", "DATE-008"),
    ("无固定期限", "2099/12/31", "DATE-008"),
    ("9999-12-31", "2099/12/31", "DATE-001 DATE-008"),
    ("9999/12/31", "2099/12/31", "DATE-008"),
]
CLOSED_DATE: list[Case] = [("长期", "长期", ""), ("9999-12-31", None, "DATE-001 DATE-008")]
AMOUNT: list[Case] = [
    ("0.30", "0.30", ""),
    ("5000元", "0.5", "AMT-001"),
    ("0.5万元", "0.5", "AMT-001"),
    ("0.3000万元", "0.3000", "AMT-001"),
    ("1.2亿元", "12000", "AMT-001"),
    ("￥1,234.50元", "0.12345", "AMT-001"),
    ("5,000.50", "5000.50", "AMT-001"),
    ("５０００ 元", "0.5", "TXT-002 TXT-009 AMT-001"),
    (".5", "0.5", "AMT-001"),
    ("0.12345600", "0.123456", "AMT-001"),
    ("伍仟元整", "0.5", "AMT-002"),
    ("壹万贰仟叁佰元伍角", "1.23005", "AMT-002"),
    ("壹佰元零伍分", "0.010005", "AMT-002"),
    ("2万5千", "2.5", "AMT-002"),
    ("1亿2千万元", "12000", "AMT-002"),
    ("伍仟元整（5000元）", "0.5", "TXT-002 AMT-002"),
    ("伍仟元整(6000元)", "伍仟元整(6000元)", ""),
    ("五千", "五千", ""),
    ("2万5", "2万5", ""),
    ("二百五元", "二百五元", ""),
    ("-5", "-5", ""),
    ("1e5", "1e5", ""),
    ("0.1234567", "0.1234567", ""),
    ("0.001元", "0.001元", ""),
    ("500美元", "500美元", ""),
    ("1,23", "1,23", ""),
    ("无", None, "TXT-001"),
    ("-", None, "TXT-001"),
    ("0", "0", ""),
]
YUAN: list[Case] = [
    ("5000", "0.5", "AMT-003"),
    ("0.01", "0.000001", "AMT-003"),
    ("99999999999999.99", "9999999999.999999", "AMT-003"),
    ("0", "0", ""),
    ("５０００", "0.5", "TXT-002 AMT-003"),
    ("5,000", "0.5", "AMT-001"),
    ("5000元", "0.5", "AMT-001"),
    ("0.5万元", "0.5", "AMT-001"),
    ("伍仟元整", "0.5", "AMT-002"),
    ("0.001", "0.001元", "AMT-003"),
]
CLASSES: list[Case] = [
    ("罚款", "罚款", ""),
    ("没收违法所得、没收非法财物", "没收违法所得、没收非法财物", ""),
    ("没收违法所得、没收非法财物、罚款", "没收违法所得、没收非法财物;罚款", "ENUM-002"),
    ("罚款，警告/罚款", "罚款;警告", "ENUM-002"),
    ("警告并处罚款", "警告;罚款", "ENUM-002"),
    ("罚款；；警告;", "罚款;警告", "ENUM-002"),
    ("0；1", "警告;罚款", "ENUM-002"),
    ("1.0", "罚款", "TXT-007 ENUM-001"),
    ("01警告", "警告", "ENUM-001"),
    ("其他（责令改正）", "其他-责令改正", "ENUM-002"),
    ("其他-责令改正、限期整改", "其他-责令改正、限期整改", ""),
    ("其他-责令改正、罚款", "其他-责令改正;罚款", "ENUM-002"),
    ("罚款、通报批评", "罚款、通报批评", ""),
    ("其他", "其他", ""),
    ("无", None, "TXT-001"),
]
KIND: list[Case] = [
    ("企业", "法人及非法人组织", "ENUM-001"),
    ("1", "法人及非法人组织", "ENUM-001"),
    ("个人", "自然人", "ENUM-001"),
    ("公司法人", "公司法人", ""),
]
STATUS: list[Case] = [
    ("有效", "1", "ENUM-001"),
    ("1", "1", ""),
    ("2.0", "2", "TXT-007"),
    ("撤销", "撤销", ""),
    ("0", "0", ""),
]
LICENCE: list[Case] = [
    ("其他：补办", "其他-补办", "ENUM-003"),
    ("普通许可", "普通", "ENUM-001"),
    ("行政审批", "行政审批", ""),
]

TABLES = {
    "CF_SY": TEXT,
    "CF_XDR_MC": NAME,
    "CF_WSH": DOCUMENT,
    "CF_XDR_SHXYM": USCC,
    "CF_XDR_GSZC": REGISTRATION,
    "CF_XDR_ZJHM": IDENTITY,
    "CF_YXQ": DATE + OPEN_DATE,
    "CF_JDRQ": DATE + CLOSED_DATE,
    "CF_NR_FK": AMOUNT,
    "CF_CFLB": CLASSES,
    "CF_XDR_LB": KIND,
    "XK_ZT": STATUS,
    "XK_XKLB": LICENCE,
}


def field_of(catalogue: Catalogue, code: str) -> Field:
    return next(f for c in catalogue.categories.values() for f in c.fields if f.code == code)


def treatment_of(catalogue: Catalogue, code: str, unit: str | None = None) -> Treatment:
    return treatment(field_of(catalogue, code), catalogue.code_lists, unit=unit)


@pytest.mark.parametrize(
    ("code", "value", "standard", "rules"),
    [(code, *case) for code, cases in TABLES.items() for case in cases],
)
def test_repair(catalogue: Catalogue, code: str, value: str, standard: str | None, rules: str) -> None:
    found = treatment_of(catalogue, code).standardise(value)
    assert (found.value, " ".join(change.rule for change in found.changes)) == (standard, rules)


@pytest.mark.parametrize(("value", "standard", "rules"), YUAN)
def test_column_of_yuan(catalogue: Catalogue, value: str, standard: str, rules: str) -> None:
    found = treatment_of(catalogue, "CF_NR_FK", "元").standardise(value)
    assert (found.value, " ".join(change.rule for change in found.changes)) == (standard, rules)


def test_day_numbers_of_a_1904_workbook(catalogue: Catalogue) -> None:
    field = field_of(catalogue, "CF_JDRQ")
    assert treatment(field, catalogue.code_lists, date_system_1904=True).standardise("42004").value == "2019/01/01"


def test_changes_are_a_chain(catalogue: Catalogue) -> None:
    found = treatment_of(catalogue, "CF_XDR_SHXYM").standardise("'统一社会信用代码：11119900ma9900028h（1/1）")
    olds, news = [c.old for c in found.changes], [c.new for c in found.changes]
    assert olds[1:] == news[:-1]
    assert news[-1] == found.value == "11119900MA9900028H"


def all_treatments(catalogue: Catalogue) -> list[Treatment]:
    return [
        treatment(field, catalogue.code_lists)
        for category in catalogue.categories.values()
        for field in category.fields
    ]


def test_a_standard_value_is_left_alone(catalogue: Catalogue) -> None:
    values = nasty_values(4000, seed=3)
    for found in set(all_treatments(catalogue)):
        for value in values:
            once = found.standardise(value).value
            assert found.standardise(once).value == once, (found.test, value, once)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=20), st.lists(st.sampled_from(PIECES), max_size=8).map("".join)))
def test_nothing_raises(catalogue: Catalogue, value: str) -> None:
    for found in all_treatments(catalogue):
        assert found.standardise(value).value != ""


def test_every_repair_is_described(catalogue: Catalogue) -> None:
    described = load_repair_rules(ROOT / "schemas")
    found = all_treatments(catalogue)
    found += [treatment(field_of(catalogue, "CF_NR_FK"), catalogue.code_lists, unit="元")]
    used = {step.rule for each in found for step in each.steps} | {rule for each in found for rule, _ in each.lookup}
    assumed = {
        assumption.rule
        for category in catalogue.categories.values()
        for edition in category.editions.values()
        for assumption in edition.assumptions
    }
    assert set(described) == used | assumed | {"ENUM-004", "DOC-001", "ORG-001", "MAP-001", "MAP-002"}
