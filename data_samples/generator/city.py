"""示例市: its departments, organisations and persons. Nobody of this exists; every code is formally valid.

Region 119900 was never given to a place (Peking's prefectures are 1101 and 1102), and 110199 never to a county, so
that no code of the samples can belong to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from pipelines.identity.synthetic import (
    synthetic_organisation_code,
    synthetic_registration_number,
    synthetic_resident_id,
    synthetic_uscc,
)
from pipelines.identity.uscc import VALUES, WEIGHTS

CITY_REGION = "119900"
PERSON_REGION = "110199"
BUSINESS_DATE = date(2026, 11, 20)
ORGANISATION = "法人及非法人组织"
TRADER = "个体工商户"
PERSON = "自然人"
PLACEHOLDER = "0" * 17 + "X"

MARKET = ("示例市市场监督管理局", "11119900MA990001XH")
ECOLOGY = ("示例市生态环境局", "11119900MA9900028H")
HOUSING = ("示例市住房和城乡建设局", "11119900MA9900036C")

_SURNAMES = "王李赵陈杨黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹"
_NUMERALS = "一二三四五六七八九十"
_TRADES = (
    "食品", "商贸", "餐饮管理", "建筑工程", "物业服务", "环保科技", "化工", "医药", "物流", "机械制造",
    "电子", "纺织", "农业开发", "装饰工程", "汽车维修", "塑料制品", "印刷包装", "再生资源", "文化传媒", "水泥制品",
)  # fmt: skip
_SHOPS = ("小吃店", "便利店", "理发店", "水果店", "早餐店", "五金店", "服装店", "烟酒店")
_OTHERS = (
    # prefix, name around the number
    ("12", "示例市样本第{:04d}中心医院"),
    ("12", "示例市样本第{:04d}实验学校"),
    ("11", "示例市样本第{:04d}街道办事处"),
    ("51", "示例市样本行业协会第{:04d}分会"),
    ("52", "示例市样本第{:04d}民办培训学校"),
    ("53", "示例市样本第{:04d}公益基金会"),
    ("54", "示例市样本镇第{:04d}村民委员会"),
    ("93", "示例市样本第{:04d}种植专业合作社"),
    ("N2", "示例市样本镇第{:04d}股份经济合作社"),
    ("31", "示例市样本第{:04d}律师事务所"),
)


@dataclass(frozen=True)
class Subject:
    """An organisation or a trader. ``registration`` and ``organisation_code`` are the codes from before 2015."""

    number: int
    kind: str
    name: str
    code: str
    registration: str
    organisation_code: str
    representative: str


@dataclass(frozen=True)
class Person:
    """A natural person with a resident identity number."""

    name: str
    identity: str


def person_name(number: int) -> str:
    """A name nobody bears: 示例 before a surname and a numeral."""
    surname = _SURNAMES[number % len(_SURNAMES)]
    tens, ones = divmod(number // len(_SURNAMES) % 100, 10)
    return f"示例{surname}{_NUMERALS[tens]}{_NUMERALS[ones]}"


def organisations(rng: Random, count: int = 1200, traders: int = 320, others: int = 120) -> list[Subject]:
    """Companies, traders and other organisations (organs, institutions, associations, cooperatives), numbered."""
    subjects = []
    for number in range(1, count + traders + others + 1):
        if number <= count:
            prefix, kind, name = "91", ORGANISATION, _company(rng, number)
        elif number <= count + traders:
            prefix, kind, name = "92", TRADER, f"示例市样本第{number:04d}号{_SHOPS[number % len(_SHOPS)]}"
        else:
            prefix, pattern = _OTHERS[number % len(_OTHERS)]
            kind, name = ORGANISATION, pattern.format(number)
        serial = f"MA9{number:05d}"
        subjects.append(
            Subject(
                number=number,
                kind=kind,
                name=name,
                code=synthetic_uscc(prefix, CITY_REGION, serial),
                registration=synthetic_registration_number(CITY_REGION, f"{number:08d}"),
                organisation_code=synthetic_organisation_code(serial),
                representative=person_name(rng.randrange(3000)),
            )
        )
    return subjects


def _company(rng: Random, number: int) -> str:
    if number % 40 == 0:
        return f"示例市样本投资管理第{number:04d}号合伙企业（有限合伙）"
    trade = rng.choice(_TRADES)
    form = rng.choice(("有限公司", "有限公司", "有限公司", "有限责任公司", "股份有限公司"))
    return f"示例市样本{trade}第{number:04d}号{form}"


def adult(rng: Random, number: int) -> Person:
    """A person born between 1960 and 2000."""
    born = date(1960, 1, 1) + timedelta(days=rng.randrange(40 * 365))
    return Person(person_name(3000 + number), synthetic_resident_id(PERSON_REGION, born, number % 1000))


def minor(number: int) -> Person:
    """A person of sixteen at the business date."""
    return Person(person_name(3000 + number), synthetic_resident_id(PERSON_REGION, date(2010, 5, 3), number % 1000))


def nonstandard_code(subject: Subject) -> str:
    """The code as an issuer printed it who forgot the last subtraction of GB 32100: legally in use, check wrong."""
    total = sum(VALUES[character] * weight for character, weight in zip(subject.code[:17], WEIGHTS, strict=True)) % 31
    return subject.code[:17] + "0123456789ABCDEFGHJKLMNPQRTUWXY"[total]


def working_day(rng: Random) -> date:
    """A decision date: mostly within the seven working days before the business date, some at its edge, some late.

    Seven working days after Wednesday 2026-11-11 is the business date itself, Friday 2026-11-20.
    """
    draw = rng.random()
    if draw < 0.86:
        return rng.choice([date(2026, 11, day) for day in (12, 13, 16, 17, 18, 19)])
    if draw < 0.92:
        return date(2026, 11, 11)
    if draw < 0.98:
        return rng.choice([date(2026, 11, day) for day in (3, 4, 5, 6, 9, 10)])
    return rng.choice([date(2026, 9, 29), date(2026, 9, 30), date(2026, 10, 9), date(2026, 10, 22)])
