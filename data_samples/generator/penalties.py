"""Penalty decisions of the market and the ecology department of 示例市, as they would be without defects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from data_samples.generator.city import ECOLOGY, MARKET, PERSON, TRADER, Person, Subject, adult, working_day
from data_samples.generator.rows import Cell, Row, years_later

FINE = "罚款"
WARNING = "警告"
CONFISCATION = "没收违法所得、没收非法财物"
CLOSURE = "责令停产停业"
REVOCATION = "暂扣或者吊销许可证、暂扣或者吊销执照"
TO_REPORT_AS_OTHER = "其他-责令限期改正"


@dataclass(frozen=True)
class Violation:
    """A kind of case: its name, facts with places to fill, legal basis and the classes it leads to."""

    kind: str
    facts: str
    basis: str
    classes: tuple[str, ...]
    fine: tuple[int, int] = (1000, 50000)


MARKET_CASES = (
    Violation(
        "经营超过保质期的食品",
        "{day}，执法人员在当事人{place}经营场所检查时发现，货架上待售的{food}{count}件已超过保质期{days}天，货值金额{value}元。"
        "当事人未履行进货查验义务，现场未能提供相应的进货凭证。",
        "《中华人民共和国食品安全法》第三十四条第（十）项、第一百二十四条第一款第（五）项",
        (FINE, CONFISCATION),
    ),
    Violation(
        "未按规定明码标价",
        "{day}，根据群众举报，执法人员对当事人{place}门店检查，发现{goods}等{count}种商品未标明价格，责令改正后逾期未改。",
        "《中华人民共和国价格法》第十三条第一款、第四十二条",
        (FINE,),
        (500, 5000),
    ),
    Violation(
        "发布虚假广告",
        "当事人自{day}起在其网店页面使用“全国第{count}”“{days}天见效”等用语宣传{goods}，与实际情况不符，广告费用{value}元。",
        "《中华人民共和国广告法》第二十八条第二款、第五十五条第一款",
        (FINE,),
        (3000, 200000),
    ),
    Violation(
        "使用未经检定的计量器具",
        "{day}，执法人员在{place}发现当事人使用的电子计价秤{count}台未按规定申请强制检定，已连续使用{days}天。",
        "《中华人民共和国计量法》第九条、《中华人民共和国计量法实施细则》第四十三条",
        (WARNING, FINE),
        (200, 2000),
    ),
    Violation(
        "未取得食品经营许可从事经营活动",
        "经查，当事人自{day}起在{place}未取得食品经营许可证从事{food}销售，至案发共经营{days}天，违法所得{value}元。",
        "《中华人民共和国食品安全法》第三十五条第一款、第一百二十二条第一款",
        (CONFISCATION, FINE),
        (5000, 80000),
    ),
    Violation(
        "销售不符合国家标准的产品",
        "{day}抽检当事人销售的{goods}，经检验{count}项指标不符合强制性国家标准，涉案货值{value}元，已售出{days}件。",
        "《中华人民共和国产品质量法》第十三条第二款、第四十九条",
        (CLOSURE, CONFISCATION, FINE),
        (10000, 300000),
    ),
    Violation(
        "企业登记时提交虚假材料",
        "经查，当事人于{day}办理变更登记时提交的住所使用证明系伪造，{place}并无当事人经营，已持续{days}天。",
        "《中华人民共和国市场主体登记管理条例》第十七条、第四十四条",
        (FINE, REVOCATION),
        (50000, 200000),
    ),
    Violation(
        "未按规定公示年度报告",
        "当事人未在规定期限内公示{count}个年度的年度报告，{day}经责令限期履行后仍未公示，逾期{days}天。",
        "《企业信息公示暂行条例》第八条、第十八条",
        (WARNING,),
    ),
    Violation(
        "餐饮服务提供者未按要求清洗消毒餐具",
        "{day}，执法人员在{place}后厨检查发现待用餐具{count}件未经消毒，消毒记录中断{days}天，现场拍照取证。",
        "《中华人民共和国食品安全法》第五十六条第二款、第一百二十六条第一款第（五）项",
        (WARNING, TO_REPORT_AS_OTHER),
    ),
)
ECOLOGY_CASES = (
    Violation(
        "超标排放大气污染物",
        "{day}，对当事人位于{place}的锅炉排放口开展监督性监测，颗粒物浓度超过排放标准{count}%，在线数据显示已持续{days}小时。",
        "《中华人民共和国大气污染防治法》第十八条、第九十九条第（二）项",
        (FINE,),
        (100000, 600000),
    ),
    Violation(
        "未验先投",
        "当事人位于{place}的{goods}生产项目需要配套建设的环境保护设施未经验收，主体工程自{day}起投入生产{days}天，总投资{value}元。",
        "《建设项目环境保护管理条例》第十九条第一款、第二十三条第一款",
        (FINE,),
        (200000, 500000),
    ),
    Violation(
        "不正常运行污染防治设施",
        "{day}，执法人员在{place}检查时，当事人喷漆工段正在生产，配套的活性炭吸附装置未开启，累计{days}小时，用电记录中断{count}次。",
        "《中华人民共和国大气污染防治法》第二十条第二款、第九十九条第（三）项",
        (FINE, CLOSURE),
        (100000, 400000),
    ),
    Violation(
        "未按规定贮存危险废物",
        "{day}，在当事人{place}厂区发现废矿物油{count}桶露天堆放，未设置危险废物识别标志，贮存{days}天未转移。",
        "《中华人民共和国固体废物污染环境防治法》第七十七条、第一百一十二条第一款",
        (FINE, CONFISCATION),
        (100000, 300000),
    ),
    Violation(
        "未按排污许可证规定提交执行报告",
        "经查，当事人未按照排污许可证规定提交季度执行报告{count}份，{day}责令改正后逾期{days}天仍未提交。",
        "《排污许可管理条例》第二十二条、第三十七条第（三）项",
        (WARNING, FINE),
        (5000, 50000),
    ),
    Violation(
        "夜间违法施工噪声扰民",
        "{day}二十二时至次日六时，当事人在{place}工地未取得夜间施工证明进行混凝土浇筑，现场噪声超标{count}分贝，附近居民投诉{days}次。",
        "《中华人民共和国噪声污染防治法》第四十三条、第七十七条",
        (FINE,),
        (10000, 100000),
    ),
    Violation(
        "未按规定填报环境影响登记表",
        "当事人位于{place}的{goods}项目于{day}建成，未依法备案环境影响登记表，逾期{days}天。",
        "《中华人民共和国环境影响评价法》第二十二条第四款、第三十一条第三款",
        (WARNING,),
    ),
)
_PLACES = ("样本东路", "样本西街", "示例大道", "城南样本产业园", "样本新区", "示例农贸市场", "样本镇", "示例港区")
_FOOD = ("酱油", "饼干", "矿泉水", "大米", "挂面", "火腿肠", "酸奶", "冷冻水饺", "月饼", "食用油")
_GOODS = ("塑料制品", "儿童玩具", "电线电缆", "水泥", "涂料", "保健品", "口罩", "安全帽", "木制家具", "金属配件")
_SECTIONS = ("执法一科", "执法二科", "食品稽查科", "价格监督科")


def market_penalty(rng: Random, number: int, subject: Subject | Person) -> Row:
    """A row of the case-handling system of the market department: fines in 万元, a time of last change."""
    cells = _penalty(rng, subject, rng.choice(MARKET_CASES), MARKET)
    cells["WSH"] = f"示市监罚〔{_year(cells)}〕{number}号"
    for key in ("NR_FK", "NR_WFFF"):
        yuan = cells[key]
        cells[key] = Decimal(yuan) / 10000 if isinstance(yuan, int) else None
    cells["案件程序"] = "普通程序"
    cells["经办科室"] = rng.choice(_SECTIONS)
    decided = cells["JDRQ"]
    assert isinstance(decided, date)
    cells["更新时间"] = (
        f"{min(decided + timedelta(days=rng.randrange(3)), date(2026, 11, 19)):%Y-%m-%d} "
        f"{8 + rng.randrange(10):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
    )
    return Row(cells)


def ecology_penalty(rng: Random, number: int, subject: Subject) -> Row:
    """A row of the ecology department's workbook: fines in 元, as numbers."""
    cells = _penalty(rng, subject, rng.choice(ECOLOGY_CASES), ECOLOGY)
    cells["WSH"] = f"示环罚〔{_year(cells)}〕{number}号"
    cells["SJLY"], cells["SJLYDM"] = ECOLOGY
    if cells["XDR_GSZC"] is not None:
        cells["XDR_GSZC"] = int(str(cells["XDR_GSZC"]))
    return Row(cells)


def _year(cells: dict[str, Cell]) -> str:
    return str(cells["JDRQ"])[:4]


def _penalty(rng: Random, subject: Subject | Person, case: Violation, authority: tuple[str, str]) -> dict[str, Cell]:
    decided = working_day(rng)
    confiscated = rng.randrange(3, 900) * 50
    fine = rng.randrange(case.fine[0] // 100, case.fine[1] // 100 + 1) * 100
    has_fine, has_confiscation = FINE in case.classes, CONFISCATION in case.classes
    revokes = REVOCATION in case.classes
    cells: dict[str, Cell] = {
        "XDR_MC": subject.name,
        "WFXW": case.kind,
        "SY": case.facts.format(
            day=f"{(decided - timedelta(days=rng.randrange(20, 120))):%Y年%m月%d日}",
            place=f"{rng.choice(_PLACES)}{rng.randrange(1, 400)}号",
            goods=rng.choice(_GOODS),
            food=rng.choice(_FOOD),
            count=rng.randrange(2, 90),
            days=rng.randrange(3, 60),
            value=rng.randrange(60, 90000),
        ),
        "YJ": case.basis,
        "CFLB": ";".join(case.classes),
        "NR": _decision(case, fine, confiscated),
        "NR_FK": fine if has_fine else None,
        "NR_WFFF": confiscated if has_confiscation else None,
        "NR_ZKDX": f"营业执照（注册号{subject.code}）" if revokes and isinstance(subject, Subject) else None,
        "JDRQ": decided,
        "YXQ": years_later(decided, 1) if rng.random() < 0.9 else date(2099, 12, 31),
        "GSJZQ": _published_until(rng, decided, case),
        "CFJG": authority[0],
        "CFJGDM": authority[1],
        "BZ": rng.choice((None, None, None, "当事人已履行", "分期缴纳")),
    }
    if isinstance(subject, Person):
        cells |= {"XDR_LB": PERSON, "XDR_ZJLX": "身份证", "XDR_ZJHM": subject.identity}
        if revokes:
            cells["NR_ZKDX"] = "食品经营许可证（样本编号0001）"
    else:
        cells |= organisation_cells(rng, subject)
    return cells


def organisation_cells(rng: Random, subject: Subject) -> dict[str, Cell]:
    """The subject block of an organisation or trader; the optional numbers in a part of the rows."""
    with_identity = rng.random() < 0.08
    return {
        "XDR_LB": subject.kind,
        "XDR_SHXYM": subject.code,
        "XDR_GSZC": subject.registration if rng.random() < 0.25 else None,
        "XDR_ZZJG": subject.organisation_code if subject.kind != TRADER and rng.random() < 0.2 else None,
        "FRDB": subject.representative,
        "FR_ZJLX": "身份证" if with_identity else None,
        "FR_ZJHM": _representative_identity(rng) if with_identity else None,
    }


def _representative_identity(rng: Random) -> str:
    return adult(rng, rng.randrange(1000)).identity


def _decision(case: Violation, fine: int, confiscated: int) -> str:
    parts = []
    for name in case.classes:
        if name == FINE:
            parts.append(f"罚款人民币{fine}元")
        elif name == CONFISCATION:
            parts.append(f"没收违法所得{confiscated}元")
        elif name == CLOSURE:
            parts.append("责令停产停业整顿")
        elif name == REVOCATION:
            parts.append("吊销营业执照")
        elif name == WARNING:
            parts.append("给予警告")
        else:
            parts.append("责令限期改正")
    return "；".join(f"{place}.{part}" for place, part in enumerate(parts, 1)) + "。"


def _published_until(rng: Random, decided: date, case: Violation) -> date | None:
    if rng.random() < 0.3:
        return None
    return decided + timedelta(days=85) if case.classes[0] == WARNING else years_later(decided, 1)
