"""Licence decisions of the market and the housing department of 示例市, as they would be without defects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from data_samples.generator.city import HOUSING, MARKET, PERSON, Person, Subject, working_day
from data_samples.generator.penalties import organisation_cells
from data_samples.generator.rows import Cell, Row, years_later

VALID, INVALID = "1", "2"


@dataclass(frozen=True)
class Permit:
    """A kind of licence: title of the decision, class, certificate, content, years of validity (0: without end)."""

    title: str
    kind: str
    certificate: str | None
    letters: str
    content: str
    years: int


MARKET_PERMITS = (
    Permit(
        "食品经营许可准予通知书", "普通", "食品经营许可证", "JY", "食品销售（含散装熟食），经营场所面积{area}平方米", 5
    ),
    Permit(
        "药品经营许可决定书",
        "普通",
        "药品经营许可证",
        "YP",
        "零售：中成药、化学药制剂、抗生素，营业面积{area}平方米",
        5,
    ),
    Permit(
        "特种设备使用登记准予决定书",
        "登记",
        "特种设备使用登记证",
        "TS",
        "曳引驱动乘客电梯{count}台，使用地点{place}",
        0,
    ),
    Permit(
        "检验检测机构资质认定决定书", "认可", "检验检测机构资质认定证书", "CMA", "环境检测{count}项参数，地址{place}", 6
    ),
    Permit(
        "计量标准器具核准决定书", "核准", "计量标准考核证书", "JL", "电子天平检定装置，测量范围{count}克至{area}克", 4
    ),
    Permit("企业变更登记通知书", "登记", None, "BG", "变更住所至{place}；变更经营范围{count}项", 0),
    Permit(
        "食品生产许可延续决定书",
        "其他-延续",
        "食品生产许可证",
        "SC",
        "糕点（烘烤类），生产线{count}条，厂房{area}平方米",
        5,
    ),
)
HOUSING_PERMITS = (
    Permit(
        "建筑工程施工许可决定书",
        "普通",
        "建筑工程施工许可证",
        "SG",
        "{place}商住楼，建筑面积{area}平方米，{count}层",
        2,
    ),
    Permit("商品房预售许可决定书", "普通", "商品房预售许可证", "YS", "{place}项目{count}幢，预售面积{area}平方米", 0),
    Permit(
        "建筑业企业资质核准决定书",
        "核准",
        "建筑业企业资质证书",
        "ZZ",
        "建筑装修装饰工程专业承包二级，注册人员{count}人",
        5,
    ),
    Permit("安全生产许可决定书", "普通", "安全生产许可证", "AQ", "建筑施工，三类人员{count}人，地址{place}", 3),
    Permit("燃气经营许可决定书", "特许", "燃气经营许可证", "RQ", "瓶装液化石油气供应站{count}处，供应范围{place}", 3),
    Permit("污水排入排水管网许可决定书", "普通", "排水许可证", "PS", "{place}排水口{count}个，日排水量{area}立方米", 5),
)
PERSONAL_PERMITS = (
    Permit("二级建造师注册决定书", "认可", "二级建造师注册证书", "JZ", "注册专业：建筑工程；继续教育{count}学时", 3),
    Permit("施工特种作业人员考核决定书", "认可", "建筑施工特种作业操作资格证", "TZ", "建筑电工，理论{count}分", 2),
)
_PLACES = ("样本东路", "样本西街", "示例大道", "城南样本产业园", "样本新区", "示例港区")


def market_licence(rng: Random, number: int, subject: Subject) -> Row:
    """A row of the official template 法人许可; it has no column for the subject's kind."""
    cells = _licence(rng, number, rng.choice(MARKET_PERMITS), MARKET, "示市监许")
    cells |= organisation_cells(rng, subject)
    # The template asks for the number of an identity card without the type of document; it may stay blank.
    cells |= {"XDR_MC": subject.name, "XDR_LB": None, "FR_ZJLX": None, "FR_ZJHM": None}
    if subject.code.startswith("12"):
        cells["XDR_SYDW"] = f"{subject.number:012d}"[:12]
    return Row(cells)


def housing_licence(rng: Random, number: int, subject: Subject | Person) -> Row:
    """A row of the approval system of the housing department; organisations and persons in one file."""
    if isinstance(subject, Person):
        cells = _licence(rng, number, rng.choice(PERSONAL_PERMITS), HOUSING, "示建人许")
        cells |= {
            "XDR_MC": subject.name,
            "XDR_LB": PERSON,
            "XDR_ZJLX": "身份证",
            "XDR_ZJHM": subject.identity,
        }
        return Row(cells)
    cells = _licence(rng, number, rng.choice(HOUSING_PERMITS), HOUSING, "示建许")
    cells |= {"XDR_MC": subject.name} | organisation_cells(rng, subject)
    return Row(cells)


def _licence(rng: Random, number: int, permit: Permit, authority: tuple[str, str], letters: str) -> dict[str, Cell]:
    decided = working_day(rng)
    valid_from = decided + timedelta(days=rng.choice((0, 0, 0, 1, 7)))
    return {
        "XKWS": permit.title,
        "WSH": f"{letters}〔{decided.year}〕{number}号",
        "XKLB": permit.kind,
        "XKZS": permit.certificate,
        "XKBH": f"{permit.letters}1199{decided.year}{number:05d}" if permit.certificate else None,
        "NR": permit.content.format(
            area=rng.randrange(20, 9000),
            count=rng.randrange(2, 80),
            place=f"{rng.choice(_PLACES)}{rng.randrange(1, 400)}号",
        ),
        "JDRQ": decided,
        "YXQZ": valid_from,
        "YXQZI": years_later(valid_from, permit.years) if permit.years else date(2099, 12, 31),
        "XKJG": authority[0],
        "XKJGDM": authority[1],
        "ZT": VALID if rng.random() < 0.97 else INVALID,
        "LYDW": authority[0],
        "LYDWDM": authority[1],
        "BZ": rng.choice((None, None, None, None, "网上办理", "容缺受理")),
    }
