"""Defects that nobody can mend but the department: the row is quarantined, dropped as a duplicate, or no row at all."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random

from data_samples.generator.city import ORGANISATION, PERSON, adult, minor
from data_samples.generator.defects import Defect, Plant, change, damaged, has, put
from data_samples.generator.rows import Row


def _quarantined(name: str, number: int, reason: str, plant: Plant) -> Defect:
    return Defect(name, number, "quarantined", tuple(reason.split()), plant)


def _rejected(name: str, number: int, reason: str, kind: str) -> Defect:
    return Defect(name, number, "rejected", (reason,), damaged(kind))


def _of_organisations(plant: Plant) -> Plant:
    def only(row: Row, rng: Random) -> bool:
        # The template of the market licences has no column for the kind; all its subjects are organisations.
        is_organisation = row.text("XDR_LB") in {ORGANISATION, ""} and row.text("XDR_SHXYM").startswith("91")
        return is_organisation and plant(row, rng)

    return only


def _of_persons(plant: Plant) -> Plant:
    return lambda row, rng: row.text("XDR_LB") == PERSON and plant(row, rng)


def _wrong_check(code: str) -> str:
    """Two digits of the serial exchanged for others, the check character kept."""
    return code[:13] + str((int(code[13]) + 3) % 10) + code[14:]


def _person_number(row: Row, rng: Random) -> bool:
    row.cells["XDR_SHXYM"] = adult(rng, rng.randrange(900)).identity
    return True


def _minor(row: Row, rng: Random) -> bool:
    person = minor(rng.randrange(900))
    row.cells |= {"XDR_MC": person.name, "XDR_ZJHM": person.identity}
    return True


def _future(row: Row, rng: Random) -> bool:
    if not isinstance(row.cells.get("JDRQ"), date):
        return False
    row.cells["JDRQ"] = date(2026, 12, 1) + timedelta(days=rng.randrange(20))
    return True


def _inverted(row: Row, rng: Random) -> bool:
    if isinstance(row.cells.get("YXQ"), date):
        row.cells["YXQ"] = row.day("JDRQ") - timedelta(days=rng.randrange(30, 300))
        return True
    return False


def _validity_inverted(row: Row, rng: Random) -> bool:
    if not (isinstance(row.cells.get("YXQZ"), date) and isinstance(row.cells.get("YXQZI"), date)):
        return False
    if row.day("YXQZI").year > 2090:
        return False
    row.cells["YXQZ"], row.cells["YXQZI"] = row.cells["YXQZI"], row.cells["YXQZ"]
    return True


def _two_digit_year(row: Row, rng: Random) -> bool:
    day = row.cells.get("JDRQ")
    if not isinstance(day, date):
        return False
    row.cells["JDRQ"] = f"{day:%d/%m}/{day.year % 100}"
    return True


def _fine_in_yuan(row: Row, rng: Random) -> bool:
    """Only where the column is in 万元: the figure of the decision text is copied as it stands."""
    amount = row.cells.get("NR_FK")
    if not isinstance(amount, Decimal):
        return False
    row.cells["NR_FK"] = Decimal(int(amount * 10000))
    return True


def _class_without_amount(row: Row, rng: Random) -> bool:
    if not has(row, "NR_FK") or "罚款" not in row.text("CFLB"):
        return False
    row.cells["NR_FK"] = None
    return True


def _negative(row: Row, rng: Random) -> bool:
    if not isinstance(row.cells.get("NR_FK"), (int, Decimal)):
        return False
    row.cells["NR_FK"] = f"-{row.cells['NR_FK']}"
    return True


def _float_truncated(code: str) -> str:
    return "91119900" + code[10:17].replace("A", "0").replace("X", "0") + "000"


DEFECTS = (
    _quarantined("code_too_short", 5, "CODE-XDR_SHXYM", _of_organisations(change("XDR_SHXYM", lambda code: code[:17]))),
    _quarantined("code_check_character", 6, "CODE-XDR_SHXYM", _of_organisations(change("XDR_SHXYM", _wrong_check))),
    _quarantined(
        "code_excluded_letter",
        8,
        "CODE-XDR_SHXYM",
        _of_organisations(change("XDR_SHXYM", lambda code: code[:10] + code[10:16].replace("0", "O", 1) + code[16:])),
    ),
    _quarantined("code_scientific", 9, "SCI-XDR_SHXYM", _of_organisations(put("XDR_SHXYM", "9.11199E+17"))),
    _quarantined("code_float_truncated", 10, "SCI-XDR_SHXYM", _of_organisations(change("XDR_SHXYM", _float_truncated))),
    _quarantined(
        "placeholder_of_a_company", 12, "PLACE-XDR_SHXYM", _of_organisations(put("XDR_SHXYM", "0" * 17 + "X"))
    ),
    _quarantined("code_of_a_keyboard", 13, "CODE-XDR_SHXYM", _of_organisations(put("XDR_SHXYM", "123456789012345678"))),
    _quarantined("person_number_as_code", 14, "PERSON-XDR_SHXYM", _of_organisations(_person_number)),
    _quarantined("name_is_the_code", 15, "SUBJ-01", lambda row, rng: _copied(row, "XDR_SHXYM", "XDR_MC")),
    _quarantined(
        "identity_check_character",
        17,
        "CODE-XDR_ZJHM",
        _of_persons(change("XDR_ZJHM", lambda code: code[:17] + ("1" if code[17] != "1" else "2"))),
    ),
    _quarantined("name_masked", 18, "MASK-XDR_MC", change("XDR_MC", lambda name: name[:2] + "**")),
    _quarantined(
        "code_masked",
        18,
        "MASK-XDR_SHXYM",
        _of_organisations(change("XDR_SHXYM", lambda code: f"{code[:6]}********{code[14:]}")),
    ),
    _quarantined(
        "identity_masked",
        18,
        "MASK-XDR_ZJHM",
        _of_persons(change("XDR_ZJHM", lambda code: f"{code[:6]}********{code[14:]}")),
    ),
    _quarantined("name_missing", 22, "REQ-XDR_MC", put("XDR_MC", None, "无", "/")),
    _quarantined(
        "code_missing",
        22,
        "C01a",
        _of_organisations(
            lambda row, rng: (
                "XDR_LB" in row.cells and row.text("XDR_LB") != "" and put("XDR_SHXYM", None, "无")(row, rng)
            )
        ),
    ),
    _quarantined("representative_missing", 22, "C01b", _of_organisations(put("FRDB", None, "不详"))),
    _quarantined(
        "document_number_missing",
        22,
        "REQ-WSH",
        lambda row, rng: "XKBH" not in row.cells and put("WSH", None, "-")(row, rng),
    ),
    _quarantined("content_missing", 22, "REQ-NR", put("NR", None, "/")),
    _quarantined("facts_missing", 22, "REQ-SY", put("SY", None, "无")),
    _quarantined("decision_date_missing", 22, "REQ-JDRQ", put("JDRQ", None)),
    _quarantined("authority_missing", 22, "REQ-CFJG", put("CFJG", None)),
    _quarantined("date_day_first", 32, "DATE-JDRQ", _two_digit_year),
    _quarantined("date_in_the_future", 35, "C10a", _future),
    _quarantined("validity_before_decision", 36, "C10c", _inverted),
    _quarantined("validity_inverted", 36, "C10c", _validity_inverted),
    _quarantined("fine_in_yuan", 45, "FINE-02", _fine_in_yuan),
    _quarantined("class_without_amount", 47, "C07a", _class_without_amount),
    _quarantined("fine_negative", 48, "AMT-NR_FK", _negative),
    _quarantined(
        "fine_too_precise",
        48,
        "AMT-NR_FK",
        lambda row, rng: has(row, "NR_FK") and "案件程序" in row.cells and put("NR_FK", "0.12345678")(row, rng),
    ),
    _quarantined("class_unknown", 49, "ENUM-CFLB", put("CFLB", "责令退赔", "列入黑名单")),
    _quarantined("class_other_unexplained", 50, "OPEN-CFLB", put("CFLB", "其他", "其它")),
    _quarantined("permit_other_unexplained", 50, "OPEN-XKLB", put("XKLB", "其他")),
    _quarantined("permit_class_unknown", 51, "ENUM-XKLB", put("XKLB", "行政审批", "备案")),
    _quarantined("status_undeclared", 52, "ENUM-ZT", put("ZT", "3", "办理中")),
    _quarantined("text_garbled", 58, "GARB-NR", change("NR", lambda text: text[:4] + "锟斤拷锟斤拷" + text[6:])),
    _quarantined("remarks_too_long", 65, "LEN-BZ", put("BZ", "当事人陈述申辩意见摘要，详见案卷。" * 33)),
    _quarantined("test_data", 68, "SUBJ-03", put("XDR_MC", "测试数据", "测试企业1", "test")),
    _quarantined("minor", 70, "SUBJ-04", _of_persons(_minor)),
    _quarantined("secret", 71, "SECR-01", put("BZ", "涉密案件，不予公开")),
    Defect("simple_procedure", 71, "excluded", ("EXCL-001",), put("案件程序", "简易程序", "简易")),
    Defect("exact_duplicate", 41, "duplicate", ("DUP-001",), lambda row, rng: False),
    Defect("superseded", 42, "duplicate", ("DUP-002",), lambda row, rng: False),
    Defect("conflicting", 42, "quarantined", ("DUP-003",), lambda row, rng: False),
    _rejected("undecodable", 58, "LINE-001", "undecodable"),
    _rejected("cells_missing", 62, "LINE-002", "short"),
    _rejected("cells_too_many", 62, "LINE-002", "long"),
    _rejected("binary", 58, "LINE-003", "binary"),
)


def _copied(row: Row, source: str, target: str) -> bool:
    if not has(row, source):
        return False
    row.cells[target] = row.cells[source]
    return True
