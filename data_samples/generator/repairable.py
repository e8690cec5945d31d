"""Defects that are mended on the way, or only remarked upon: the row is accepted."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from random import Random

from data_samples.generator.city import PERSON, TRADER
from data_samples.generator.defects import Defect, Plant, change, damaged, full_width, has, put
from data_samples.generator.rows import Row

_CAPITALS = "零壹贰叁肆伍陆柒捌玖"
_UNITS = ("", "拾", "佰", "仟")


def _repaired(name: str, number: int, plant: Plant) -> Defect:
    return Defect(name, number, "accepted", (), plant)


def _remarked(name: str, number: int, reason: str, plant: Plant) -> Defect:
    return Defect(name, number, "accepted", (reason,), plant)


def capital_numerals(yuan: int) -> str:
    """5300 → 伍仟叁佰元整; whole yuan below a hundred million."""
    high, low = divmod(yuan, 10000)
    text = f"{_group(high)}万" if high else ""
    if low:
        text += ("零" if high and low < 1000 else "") + _group(low)
    return f"{text}元整"


def _group(number: int) -> str:
    digits = f"{number:04d}"
    text, pending = "", False
    for place, digit in zip((3, 2, 1, 0), digits, strict=True):
        if digit == "0":
            pending = bool(text)
            continue
        text += ("零" if pending else "") + _CAPITALS[int(digit)] + _UNITS[place]
        pending = False
    return text


def _date_text(form: str) -> Plant:
    def plant(row: Row, rng: Random) -> bool:
        key = rng.choice(
            [key for key in ("JDRQ", "YXQ", "YXQZI", "YXQZ") if isinstance(row.cells.get(key), date)] or [""]
        )
        if not key:
            return False
        day = row.day(key)
        row.cells[key] = form.format(day=day, y=day.year, m=day.month, d=day.day)
        return True

    return plant


def _date_serial(row: Row, rng: Random) -> bool:
    day = row.cells.get("JDRQ")
    if not isinstance(day, date):
        return False
    row.cells["JDRQ"] = str((day - date(1899, 12, 30)).days)
    return True


def _open_end(text: str) -> Plant:
    def plant(row: Row, rng: Random) -> bool:
        key = next((key for key in ("YXQ", "YXQZI") if row.cells.get(key) == date(2099, 12, 31)), None)
        if key is None:
            return False
        row.cells[key] = text
        return True

    return plant


def _fine(unit: str) -> Plant:
    """The fine with its unit in the cell; the figure stays the same."""

    def plant(row: Row, rng: Random) -> bool:
        amount = row.cells.get("NR_FK")
        if not isinstance(amount, (int, Decimal)):
            return False
        yuan = amount if isinstance(amount, int) else int(amount * 10000)
        row.cells["NR_FK"] = {
            "yuan": f"{yuan}元",
            "grouped": f"{yuan:,}元",
            "ten_thousand": f"{Decimal(yuan) / 10000}万元",
            "capitals": f"人民币{capital_numerals(yuan)}",
            "full_width": full_width(str(amount)),
        }[unit]
        return True

    return plant


def _placeholder_of_a_trader(row: Row, rng: Random) -> bool:
    if row.text("XDR_LB") != TRADER:
        return False
    row.cells["XDR_SHXYM"] = "0" * 17 + "X"
    return True


def _kind_missing(row: Row, rng: Random) -> bool:
    if row.text("XDR_LB") not in {TRADER}:
        return False
    row.cells["XDR_LB"] = None
    return True


def _kind_alias(row: Row, rng: Random) -> bool:
    aliases = {"法人及非法人组织": ("企业", "法人", "1"), TRADER: ("个体户", "4"), PERSON: ("个人", "2")}
    kind = row.text("XDR_LB")
    if kind not in aliases:
        return False
    row.cells["XDR_LB"] = rng.choice(aliases[kind])
    return True


def _hyphenated(row: Row, rng: Random) -> bool:
    code = row.text("XDR_ZZJG")
    if len(code) != 9:
        return False
    row.cells["XDR_ZZJG"] = f"{code[:8]}-{code[8]}"
    return True


def _fifteen_digits(row: Row, rng: Random) -> bool:
    identity = row.text("FR_ZJHM")
    if len(identity) != 18 or identity[6:8] != "19" or identity[14:17] > "995":
        return False
    row.cells["FR_ZJHM"] = identity[:6] + identity[8:17]
    return True


def _classes_with(separator: str) -> Plant:
    def plant(row: Row, rng: Random) -> bool:
        classes = row.text("CFLB")
        if ";" not in classes:
            return False
        row.cells["CFLB"] = classes.replace(";", separator)
        return True

    return plant


def _line_break(row: Row, rng: Random) -> bool:
    key = "SY" if "SY" in row.cells else "NR"
    text = row.text(key)
    middle = text.find("，") + 1
    if not middle:
        return False
    row.cells[key] = f"{text[:middle]}\n{text[middle:]}"
    return True


def _phone_in_facts(row: Row, rng: Random) -> bool:
    if "SY" not in row.cells:
        return False
    # The form of a mobile number, with a subscriber part of zeros that nobody has.
    row.cells["SY"] = row.text("SY") + "举报人留存电话13000000000。"
    return True


def _licence_number_only(row: Row, rng: Random) -> bool:
    if not has(row, "XKBH"):
        return False
    row.cells["WSH"] = None
    return True


def _document_year(row: Row, rng: Random) -> bool:
    if "〔2026〕" not in row.text("WSH"):
        return False
    row.cells["WSH"] = row.text("WSH").replace("〔2026〕", "〔2024〕")
    return True


DEFECTS = (
    _repaired("code_full_width", 1, change("XDR_SHXYM", full_width)),
    _repaired("code_lower_case", 2, change("XDR_SHXYM", str.lower)),
    _repaired("code_with_blanks", 3, change("XDR_SHXYM", lambda code: f" {code[:8]} {code[8:]}\u00a0")),
    _repaired("code_with_hyphens", 3, change("XDR_SHXYM", lambda code: f"{code[:8]}-{code[8:17]}-{code[17:]}")),
    _repaired("code_with_label", 4, change("XDR_SHXYM", lambda code: f"统一社会信用代码：{code}")),
    _repaired("licence_copy_number", 4, change("XDR_SHXYM", lambda code: f"{code}（1/1）")),
    _repaired("placeholder_of_a_trader", 12, _placeholder_of_a_trader),
    _repaired("fifteen_digit_identity", 16, _fifteen_digits),
    _repaired("hyphenated_organisation_code", 20, _hyphenated),
    _repaired("empty_token_in_registration", 21, put("XDR_GSZC", "无", "/", "-", "—", "null", "暂无", "N/A", "\\N")),
    _repaired("empty_token_in_remarks", 21, put("BZ", "无", "/", "NULL", "--")),
    _repaired("name_brackets", 23, change("XDR_MC", lambda name: name.replace("（", "(").replace("）", ")"))),
    _repaired("name_with_blanks", 24, change("XDR_MC", lambda name: f"  {name[:3]}\u3000{name[3:]} ")),
    _repaired("name_with_full_stop", 24, change("XDR_MC", lambda name: f"{name}。")),
    _repaired("kind_alias", 28, _kind_alias),
    _repaired("kind_missing", 28, _kind_missing),
    _repaired("date_serial", 30, _date_serial),
    _repaired("date_with_dots", 31, _date_text("{y}.{m}.{d}")),
    _repaired("date_compact", 31, _date_text("{day:%Y%m%d}")),
    _repaired("date_in_words", 31, _date_text("{y}年{m}月{d}日")),
    _repaired("date_with_time", 31, _date_text("{y}/{m}/{d} 0:00:00")),
    _repaired("date_of_a_database", 31, _date_text("{day:%Y-%m-%d} 00:00:00.0")),
    _repaired("end_of_time", 33, _open_end("9999-12-31")),
    _repaired("open_end_in_words", 34, _open_end("长期")),
    _repaired("open_end_without_limit", 34, _open_end("无固定期限")),
    _repaired(
        "document_number_brackets", 39, change("WSH", lambda number: number.replace("〔", "[").replace("〕", "]"))
    ),
    _repaired("document_number_full_width", 39, change("WSH", full_width)),
    _repaired("fine_with_yuan", 46, _fine("yuan")),
    _repaired("fine_grouped", 46, _fine("grouped")),
    _repaired("fine_with_ten_thousand", 46, _fine("ten_thousand")),
    _repaired("fine_in_capitals", 46, _fine("capitals")),
    _repaired("fine_full_width", 46, _fine("full_width")),
    _repaired("classes_with_commas", 49, _classes_with("，")),
    _repaired("classes_with_bars", 49, _classes_with("/")),
    _repaired("class_synonym", 49, change("CFLB", lambda text: text.replace("罚款", "处罚款"))),
    _repaired("status_in_words", 52, change("ZT", lambda text: {"1": "有效", "2": "无效"}.get(text, text))),
    _repaired("status_normal", 52, change("ZT", lambda text: {"1": "正常"}.get(text, text))),
    _repaired("entities", 61, change("NR", lambda text: text.replace("；", "；&nbsp;").replace("，", "，<br/>"))),
    _repaired("line_break_in_cell", 62, _line_break),
    _repaired("apostrophe", 63, change("XDR_SHXYM", lambda code: f"'{code}")),
    _repaired("excel_text_formula", 63, change("XDR_SHXYM", lambda code: f'="{code}"')),
    _repaired("formula_in_remarks", 64, put("BZ", "+SUM(1,1)", "@附件一")),
    _repaired("status_as_float", 77, change("ZT", lambda text: f"{text}.0")),
    _remarked("code_issued_nonstandard", 7, "ISSUED-XDR_SHXYM", lambda row, rng: False),
    _remarked(
        "identity_without_type",
        14,
        "C03b",
        lambda row, rng: has(row, "FR_ZJLX", "FR_ZJHM") and _cleared(row, "FR_ZJLX"),
    ),
    _remarked("document_year", 38, "C10f", _document_year),
    _remarked("document_number_is_the_licence_number", 22, "C05a", _licence_number_only),
    _remarked("phone_in_facts", 69, "PII-SY", _phone_in_facts),
    _remarked("amount_without_class", 47, "C07e", lambda row, rng: _amount_without_class(row)),
    # The department has to split it. It keeps its place among these: the samples are drawn in the order of the list.
    Defect(
        "several_parties",
        27,
        "quarantined",
        ("SUBJ-02",),
        change("XDR_MC", lambda name: f"{name}；示例市样本商贸第9999号有限公司"),
    ),
    _remarked("lost_character", 60, "LOST-FRDB", change("FRDB", lambda name: f"{name[:3]}?")),
    _remarked("registration_internal_number", 19, "CODE-XDR_GSZC", put("XDR_GSZC", "1199000000MA9001")),
    _repaired("line_in_another_encoding", 58, damaged("gb18030")),
    _repaired("renamed_subject", 25, lambda row, rng: False),
)


def _cleared(row: Row, key: str) -> bool:
    row.cells[key] = None
    return True


def _amount_without_class(row: Row) -> bool:
    if row.text("CFLB") != "警告":
        return False
    row.cells["NR_FK"] = "0.05" if "案件程序" in row.cells else 500
    return True
