"""Synthetic penalty rows for the benchmark: the official template 法人处罚 (26 columns) as UTF-8 CSV.

``python -m benchmarks.penalty_rows FILE --rows 1000000``. About 700 bytes a row, texts of realistic length and
variety, few authorities, a quarter as many subjects as rows, valid codes that belong to nobody (regions 119900 to
119939 were never given to a place). Everything is drawn by hashing the row number, so the same arguments give the
same file.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from pipelines.engine.duck import Session, literal, session

HEADERS = (
    "行政相对人名称",
    "行政相对人代码_1 (统一社会信用代码)",
    "行政相对人代码_2 (工商注册号)",
    "行政相对人代码_3 (组织机构代码)",
    "行政相对人代码_4 (税务登记号)",
    "行政相对人代码_5 (事业单位证书号)",
    "行政相对人代码_6 (社会组织登记证号)",
    "法定代表人",
    "法定代表人身份证号",
    "行政处罚决定书文号",
    "违法行为类型",
    "违法事实",
    "处罚依据",
    "处罚类别",
    "处罚内容",
    "罚款金额 (万元)",
    "没收违法所得、没收非法财物的金额 (万元)",
    "暂扣或吊销证照名称及编号",
    "处罚决定日期",
    "处罚有效期",
    "公示截止期",
    "处罚机关",
    "处罚机关统一社会信用代码",
    "数据来源单位",
    "数据来源单位统一社会信用代码",
    "备注",
)
ROWS_PER_PIECE = 200_000
# Decisions lie in the ninety days before this date; a batch of it finds none in the future.
LAST_DECISION = "2026-11-19"

_TRADES = (
    "食品",
    "商贸",
    "餐饮管理",
    "建筑工程",
    "物业服务",
    "环保科技",
    "化工",
    "医药",
    "物流",
    "机械制造",
    "电子",
    "纺织",
)
_GOODS = (
    "酱油",
    "饼干",
    "矿泉水",
    "儿童玩具",
    "电线电缆",
    "水泥",
    "涂料",
    "大米",
    "保健品",
    "口罩",
    "安全帽",
    "木制家具",
    "轮胎",
)
_PLACES = ("样本东路", "样本西街", "示例大道", "城南样本产业园", "样本新区", "示例农贸市场", "样本镇工业区", "示例港区")
_FOUND = (
    "执法人员在现场检查时发现当事人", "根据群众举报，经立案调查，当事人", "经抽样检验并送达检验报告，当事人",
    "根据上级交办线索，查明当事人", "在专项整治行动中，检查组查实当事人",
)  # fmt: skip
_SAID = (
    "当事人对上述事实供认不讳，有现场笔录、询问笔录和照片为证",
    "以上事实有检验报告、进货票据复印件及当事人陈述在卷佐证",
    "当事人在规定期限内未提出陈述申辩意见，亦未要求听证",
    "案发后当事人主动配合调查并已改正违法行为，符合从轻处罚情形",
)
_VIOLATIONS = (
    # kind, what was done, legal basis
    ("经营超过保质期的食品", "经营的%s超过保质期", "《食品安全法》第三十四条第（十）项、第一百二十四条第一款"),
    ("发布虚假广告", "在网店页面对%s作虚假宣传", "《中华人民共和国广告法》第二十八条第二款、第五十五条第一款"),
    ("销售不合格产品", "销售的%s不符合强制性国家标准", "《中华人民共和国产品质量法》第十三条第二款、第四十九条"),
    ("未按规定明码标价", "销售%s未标明价格且逾期未改", "《中华人民共和国价格法》第十三条第一款、第四十二条"),
    ("侵犯注册商标专用权", "销售侵犯他人注册商标专用权的%s", "《商标法》第五十七条第（三）项、第六十条第二款"),
    ("未办理计量检定", "称量%s使用的电子秤未按规定申请强制检定", "《计量法》第九条、《计量法实施细则》第四十三条"),
    ("超标排放污染物", "生产%s时排放的颗粒物超过排放标准", "《大气污染防治法》第十八条、第九十九条第（二）项"),
    ("未验先投", "%s生产线的环境保护设施未经验收即投入使用", "《建设项目环境保护管理条例》第十九条、第二十三条"),
)  # fmt: skip


def write_penalty_rows(path: Path, rows: int, *, dirty: float = 0.05, hard: float = 0.001) -> None:
    """Write ``rows`` data rows to ``path``.

    ``dirty`` is the share of rows with a defect, two thirds of them repairable; ``hard`` the share with a quoted
    line break, which no reader can split at line ends. When ``hard`` is not 0, each piece of 200,000 rows also gets
    one line with a cell too few and one that is no UTF-8; these two come on top of ``rows``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    piece = path.with_name(path.name + ".piece")
    try:
        with session() as duck, path.open("wb") as file:
            _define_lists(duck)
            file.write((",".join(HEADERS) + "\n").encode())
            for first in range(0, rows, ROWS_PER_PIECE):
                last = min(first + ROWS_PER_PIECE, rows)
                duck.execute(
                    f"COPY ({_select(first, last, rows, dirty, hard)}) TO {literal(str(piece))} "
                    "(FORMAT csv, HEADER false)"
                )
                with piece.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
                if hard:
                    file.write(f"缺少一格的第{first}行,{',' * (len(HEADERS) - 3)}\n".encode())
                    file.write(f"编码损坏的第{first}行".encode() + b"\xff\xfe" + b"," * (len(HEADERS) - 1) + b"\n")
    finally:
        piece.unlink(missing_ok=True)


def _define_lists(duck: Session) -> None:
    """Word lists as macros, ``pick(list, draw)``, and the codes of five authorities."""
    for name, words in {"trades": _TRADES, "goods": _GOODS, "places": _PLACES, "found": _FOUND, "said": _SAID}.items():
        duck.execute(f"CREATE MACRO {name}() AS [{', '.join(literal(word) for word in words)}]")
    for place, name in enumerate(("kinds", "deeds", "bases")):
        words = tuple(violation[place] for violation in _VIOLATIONS)
        duck.execute(f"CREATE MACRO {name}() AS [{', '.join(literal(word) for word in words)}]")
    duck.execute(
        """
        CREATE MACRO pick(words, draw) AS words[1 + (draw % len(words))::INTEGER];
        CREATE MACRO with_check(body) AS body || uscc_check_character(body);
        CREATE TABLE authorities AS
        SELECT number, '示例市样本第' || number || '区市场监督管理局' AS authority, with_check(body) AS authority_code
        FROM (
            SELECT number, '11' || region || serial || organisation_code_check_character(serial) AS body
            FROM (SELECT range AS number, '1199' || lpad(range::VARCHAR, 2, '0') AS region,
                         'MA98000' || range AS serial FROM range(5))
        )
        """
    )


def _select(first: int, last: int, rows: int, dirty: float, hard: float) -> str:
    """Rows ``first`` to ``last`` as a query with 26 text columns."""
    subjects = max(rows // 4, 1)
    return f"""
    WITH draws AS (
        SELECT range AS i, hash(range, 1) AS a, hash(range, 2) AS b, hash(range, 3) AS c,
               hash(hash(range, 4) % {subjects}, 5) AS s, hash(range, 4) % {subjects} AS subject,
               hash(range, 6) % 1000000 < {round(dirty * 1_000_000)} AS is_dirty,
               (hash(range, 7) % 24)::INTEGER AS defect,
               hash(range, 8) % 1000000 < {round(hard * 1_000_000)} AS is_hard
        FROM range({first}, {last})
    ), parts AS (
        SELECT *, 'M' || lpad(subject::VARCHAR, 7, '0') AS serial, '1199' || lpad((s % 40)::VARCHAR, 2, '0') AS region,
               CASE WHEN s % 5 = 0 THEN '92' ELSE '91' END AS prefix,
               (a % 8)::BIGINT AS violation, (5 + a % 2000)::BIGINT AS hundreds, (1 + b % 300)::BIGINT AS fifties,
               DATE '{LAST_DECISION}' - (b % 90)::INTEGER AS decided,
               b % 10 < 7 AS has_fine, b % 10 >= 5 AS has_confiscation
        FROM draws
    ), codes AS (
        SELECT *, prefix || region || serial || organisation_code_check_character(serial) AS body FROM parts
    ), texts AS (
        SELECT *,
               with_check(body) AS code,
               '示例市样本' || pick(trades(), s) || '第' || subject
                   || CASE WHEN prefix = '92' THEN '号经营部' ELSE '号有限公司' END AS subject_name,
               '示例' || pick(['王', '李', '张', '刘', '陈', '杨', '赵', '黄'], s)
                   || pick(['一', '二', '三', '四', '五', '六', '七'], s // 8) AS representative,
               '示市监罚〔' || year(decided) || '〕' || i || '号' AS document,
               strftime(decided - (10 + c % 60)::INTEGER, '%Y年%m月%d日') || '，' || pick(found(), c)
                   || replace(pick(deeds(), violation), '%s', pick(goods(), a // 16))
                   || '，地点为' || pick(places(), b // 16) || (1 + c // 64 % 900) || '号，涉案数量'
                   || (1 + a // 8192 % 5000) || '件，货值金额' || (50 + b // 4096 % 90000)
                   || '元，违法所得' || fifties * 50 || '元。' || pick(said(), c // 65536) || '。' AS facts,
               concat_ws(';', CASE WHEN has_fine THEN '罚款' END,
                         CASE WHEN has_confiscation THEN '没收违法所得、没收非法财物' END) AS classes,
               concat_ws('；', CASE WHEN has_fine THEN '罚款人民币' || hundreds * 100 || '元' END,
                         CASE WHEN has_confiscation THEN '没收违法所得' || fifties * 50 || '元' END) || '。' AS content,
               CASE WHEN has_fine THEN (hundreds / 100)::DECIMAL(18, 2)::VARCHAR END AS fine,
               CASE WHEN has_confiscation THEN (fifties / 200)::DECIMAL(18, 3)::VARCHAR END AS confiscated
        FROM codes
    )
    SELECT
        CASE WHEN is_dirty AND defect = 0 THEN ' ' || subject_name || ' '
             WHEN is_dirty AND defect = 1 THEN subject_name[1:4] || '***' ELSE subject_name END,
        CASE WHEN NOT is_dirty THEN code
             WHEN defect = 2 THEN lower(code) WHEN defect = 3 THEN code[1:8] || ' ' || code[9:18]
             WHEN defect = 4 THEN '统一社会信用代码：' || code WHEN defect = 5 THEN code || '（1/1）'
             WHEN defect = 6 THEN translate(code, '0123456789', '０１２３４５６７８９')
             WHEN defect = 7 THEN code[1:17] || CASE WHEN code[18] = '0' THEN '1' ELSE '0' END
             WHEN defect = 8 THEN '9.11199E+17' WHEN defect = 9 THEN '' ELSE code END,
        CASE WHEN is_dirty AND defect = 10 THEN '无' END,
        CASE WHEN c % 4 = 0 THEN body[9:17] END,
        NULL, NULL, NULL,
        CASE WHEN is_dirty AND defect = 11 THEN '/' ELSE representative END,
        NULL,
        CASE WHEN NOT is_dirty THEN document
             WHEN defect = 12 THEN translate(document, '〔〕', '[]') WHEN defect = 13 THEN '' ELSE document END,
        pick(kinds(), violation),
        CASE WHEN is_hard THEN regexp_replace(facts, '，', '，' || chr(10)) ELSE facts END,
        pick(bases(), violation),
        CASE WHEN NOT is_dirty THEN classes
             WHEN defect = 14 THEN replace(classes, ';', '，') WHEN defect = 15 THEN '其他' ELSE classes END,
        content,
        CASE WHEN NOT is_dirty THEN fine
             WHEN defect = 16 AND has_fine THEN hundreds * 100 || '元'
             WHEN defect = 17 AND has_fine THEN fine || '万元'
             WHEN defect = 18 AND has_fine THEN '' ELSE fine END,
        confiscated,
        NULL,
        CASE WHEN NOT is_dirty THEN strftime(decided, '%Y/%m/%d')
             WHEN defect = 19 THEN strftime(decided, '%Y年%-m月%-d日')
             WHEN defect = 20 THEN strftime(decided, '%Y.%m.%d')
             WHEN defect = 21 THEN (decided - DATE '1899-12-30')::VARCHAR
             WHEN defect = 22 THEN '2027/05/01' ELSE strftime(decided, '%Y/%m/%d') END,
        CASE WHEN is_dirty AND defect = 23 THEN '长期' ELSE strftime(decided + 364, '%Y/%m/%d') END,
        CASE WHEN c % 3 = 0 THEN strftime(decided + 364, '%Y/%m/%d') END,
        authority, authority_code, authority, authority_code,
        CASE WHEN c % 5 = 0 THEN '当事人已履行' END
    FROM texts JOIN authorities ON authorities.number = (b % 5)::BIGINT
    """


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.penalty_rows", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dirty", type=float, default=0.05, help="share of rows with a defect (default 0.05)")
    parser.add_argument("--hard", type=float, default=0.001, help="share with a quoted line break (default 0.001)")
    chosen = parser.parse_args()
    write_penalty_rows(chosen.path, chosen.rows, dirty=chosen.dirty, hard=chosen.hard)


if __name__ == "__main__":
    main()
