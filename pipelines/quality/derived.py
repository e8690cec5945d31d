"""Rules that the schema implies: nobody writes them, they follow from a category and its code lists.

Their codes are made of a kind and the field (``REQ-CF_WSH``), so they stay the same as long as the field does. An
entry of the suite's file with the same code takes the place of the derived rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.code_lists import CodeList
from pipelines.quality.derivation import derived_rule, predicate_rule
from pipelines.quality.derived_codes import code_rules
from pipelines.quality.derived_eras import era_rules
from pipelines.quality.facts import WRITTEN_TYPES
from pipelines.quality.rules import Rule, Severity

SEPARATOR = ";"


def derived_rules(category: Category, code_lists: Mapping[str, CodeList]) -> tuple[Rule, ...]:
    """All rules that the schema implies, field by field in the order of the standard."""
    return tuple(rule for field in category.fields for rule in _field_rules(category, field, code_lists))


def _field_rules(category: Category, field: Field, code_lists: Mapping[str, CodeList]) -> Iterator[Rule]:
    if field.required == "always":
        yield _required(category, field, code_lists)
    if field.length is not None and _length_matters(field, code_lists):
        yield _length(field)
    if field.code_list is not None:
        yield from _code_list(field, code_lists[field.code_list])
        yield from era_rules(category, field, code_lists[field.code_list])
    if field.type == "date":
        yield _date(category, field)
    if field.type == "amount":
        yield _amount(field)
    if field.type in WRITTEN_TYPES:
        yield from _writing(field)
    if field.type == "name":
        yield from _name(field)
    if field.type == "text":
        yield _personal_data(field)
    if field.type == "code":
        yield from code_rules(category, field)


def _required(category: Category, field: Field, code_lists: Mapping[str, CodeList]) -> Rule:
    texts = ("未填写", "请补填此项；“无”“/”“-”等视为未填", "missing", "fill it in; tokens such as 无 count as empty")
    roles = category.roles
    # C14 lists the required fields of penalties.
    conditions = ("C14",) if field.code.startswith("CF_") else ()
    # Without them nobody can tell which decision a record is, when it has to be there or whether it holds.
    identity = {roles.subject_name, roles.subject_kind, roles.document_number, roles.decision_date, roles.authority}
    listed = code_lists[field.code_list].waivable if field.code_list else True
    arguments: dict[str, Any] = {
        "dimension": "completeness",
        "conditions": conditions,
        "waivable": listed and field.code not in identity,
    }
    if field.code != roles.subject_kind:
        return derived_rule("REQ", field, "expect_column_values_to_not_be_null", texts, **arguments)
    # The kind is read off a right code. The official template for organisations has no column for it, so where the
    # code is wrong and nothing was said, a second complaint could not be answered.
    wrong = f"coalesce({roles.subject_code}_verdict IN ('invalid', 'person_number'), FALSE)"
    condition = f"{field.code} IS NOT NULL OR NOT {wrong}"
    return derived_rule("REQ", field, "expect_column_to_be_present_when", texts, condition=condition, **arguments)


def _length_matters(field: Field, code_lists: Mapping[str, CodeList]) -> bool:
    """Codes with a verdict and closed lists need no limit: what is too long for them is wrong anyway."""
    if field.type == "enum" and field.code_list is not None:
        return code_lists[field.code_list].open_entry is not None
    return field.code_system in {None, "plain", "identity_document"}


def _length(field: Field) -> Rule:
    severity: Severity = "warn" if field.code_system == "plain" else "block"
    if field.length_unit == "characters":
        limit = (f"{field.length}个字", f"{field.length} characters")
        type_ = "expect_column_value_lengths_to_be_between"
        kwargs: dict[str, Any] = {"max_value": field.length}
    else:
        encoding = field.length_unit.removeprefix("bytes_")
        limit = (f"{field.length}字节({encoding.upper()})", f"{field.length} bytes ({encoding})")
        type_ = "expect_column_bytes_to_be_at_most"
        kwargs = {"max_value": field.length, "encoding": encoding}
    texts = (
        f"超过{limit[0]}",
        "请精简后重报；系统不会自动截断",
        f"longer than {limit[1]}",
        "shorten; nothing is cut off",
    )
    return derived_rule("LEN", field, type_, texts, dimension="validity", severity=severity, **kwargs)


def _code_list(field: Field, code_list: CodeList) -> Iterator[Rule]:
    separator = SEPARATOR if field.type == "enum_multi" else None
    open_entry = code_list.open_entry
    names = "、".join(code_list.values)
    several = "；多项之间用英文分号“;”分隔" if separator else ""
    covered: dict[str, Any] = {
        "dimension": "validity",
        "source": code_list.source,
        "defects": code_list.defects,
        "conditions": code_list.conditions,
        "waivable": code_list.waivable,
    }
    texts = (
        f"不在规定的代码表“{code_list.title}”内",
        f"请从以下选填：{names}{several}",
        f"not in the code list {code_list.code_list}",
        f"use one of {names}" + ("; join several with a semicolon" if separator else ""),
    )
    if open_entry is None and separator is None:
        yield derived_rule(
            "ENUM",
            field,
            "expect_column_values_to_be_in_set",
            texts,
            value_set=list(code_list.values),
            **covered,
        )
        return
    arguments: dict[str, Any] = {"values": list(code_list.values)}
    arguments |= {"open_entry": open_entry} if open_entry else {}
    arguments |= {"separator": separator} if separator else {}
    yield derived_rule(
        "ENUM",
        field,
        "expect_column_to_follow_code_list",
        texts,
        **covered,
        **arguments,
    )
    if open_entry is not None:
        arguments.pop("values")
        texts = (
            f"填“{open_entry}”时未写明具体类别",
            f"请写成“{open_entry}-具体类别”，例如“{open_entry}-补办”",
            f"{open_entry} without the concrete class",
            f"write {open_entry}-<class>",
        )
        yield derived_rule(
            "OPEN",
            field,
            "expect_column_open_entry_to_be_explained",
            texts,
            dimension="completeness",
            source="condition C6 [found]",
            **arguments,
        )


def _date(category: Category, field: Field) -> Rule:
    end = "；长期有效请填2099/12/31" if field.open_end else ""
    texts = (
        "不是有效日期",
        f"请按“年/月/日”填写，例如2026/03/05{end}",
        "not a date",
        "write YYYY/MM/DD" + (", 2099/12/31 for no end" if field.open_end else ""),
    )
    source = "condition C9 [found]"
    # A typed column holds no other text: published, the value would be lost.
    return derived_rule(
        "DATE",
        field,
        "expect_column_dates_to_be_readable",
        texts,
        dimension="validity",
        source=source,
        waivable=False,
        defects=(34,) if field.open_end else (),
        conditions=("C16",) if field.code == category.roles.decision_date else (),
    )


def _amount(field: Field) -> Rule:
    texts = (
        "不是有效金额（应为不小于0、最多六位小数的数字，单位万元）",
        "请只填数字，单位为万元，例如五千元填0.5",
        "not an amount: a number from zero up with at most six decimals, in 10,000 yuan",
        "write the plain number in 10,000 yuan, 0.5 for 5,000 yuan",
    )
    source = "2018 standard, decimal(18,6)"
    return derived_rule(
        "AMT",
        field,
        "expect_column_amounts_to_be_readable",
        texts,
        dimension="validity",
        source=source,
        waivable=False,
    )


def _writing(field: Field) -> Iterator[Rule]:
    texts = (
        "含乱码，原文已无法还原",
        "请从原系统重新导出（推荐UTF-8或GB18030编码），核对生僻字后重报",
        "garbled, the text is lost",
        "export again from the source as UTF-8 or GB18030 and check rare characters",
    )
    source = "defect 58, 60"
    yield predicate_rule(
        "GARB",
        field,
        "CASE WHEN text_suspect THEN NOT is_garbled({0}) ELSE TRUE END",
        texts,
        dimension="validity",
        source=source,
    )
    texts = (
        "含接收方不接受的特殊字符（控制字符、零宽字符或网页标记）",
        "请删除特殊字符后重报",
        "holds characters that receivers refuse: control, zero-width or markup",
        "remove the special characters",
    )
    source = "condition C16 [found]"
    yield predicate_rule(
        "CHAR",
        field,
        "CASE WHEN text_suspect THEN NOT has_special_characters({0}) ELSE TRUE END",
        texts,
        dimension="validity",
        source=source,
    )
    texts = (
        "夹有注音拼音，例如“關(guān)”",
        "请删除拼音；文字系从网页复制的，请改从原系统导出",
        "readings of characters (pinyin with tones) stand in brackets among the text",
        "take the readings out, or export the text from the source instead of copying a web page",
    )
    yield predicate_rule(
        "PIN",
        field,
        "CASE WHEN text_suspect THEN NOT has_pinyin({0}) ELSE TRUE END",
        texts,
        dimension="validity",
        severity="warn",
        source="defect 59 [found]",
    )
    texts = (
        "是电子表格的错误值或未计算的公式（如#REF!、#N/A、=B2）",
        "请在原表中改正公式，粘贴为数值后重报",
        "an error of a spreadsheet, or a formula that was not computed",
        "mend the formula and paste the value",
    )
    source = "defect 57"
    yield predicate_rule(
        "CELL",
        field,
        "CASE WHEN text_suspect THEN NOT is_cell_error({0}) ELSE TRUE END",
        texts,
        dimension="validity",
        source=source,
    )


def _name(field: Field) -> Iterator[Rule]:
    texts = (
        "被脱敏（含*、某、XX等），无法匹配主体",
        "请报送完整名称，脱敏由公示环节统一处理",
        "masked, cannot be matched",
        "send the full name; masking is done where records are shown",
    )
    source = "field study 7.4; defect 18"
    yield predicate_rule(
        "MASK",
        field,
        "CASE WHEN name_suspect THEN NOT is_masked_name({0}) ELSE TRUE END",
        texts,
        dimension="accuracy",
        source=source,
        personal=True,
    )
    texts = (
        "疑似有生僻字丢失（出现?、〓或□）",
        "请核对登记名称中的生僻字",
        "rare characters seem to be lost (?, 〓 or □)",
        "check the name against its registration",
    )
    source = "defect 60"
    yield predicate_rule(
        "LOST",
        field,
        "CASE WHEN name_suspect THEN NOT has_lost_characters({0}) ELSE TRUE END",
        texts,
        dimension="accuracy",
        severity="warn",
        source=source,
    )


def _personal_data(field: Field) -> Rule:
    texts = (
        "含个人信息（身份证号、手机号或银行卡号）",
        "请删除或隐去个人信息；公示前系统会遮盖",
        "holds personal data: an identity, telephone or card number",
        "take the personal data out; it is covered before publication",
    )
    return predicate_rule(
        "PII",
        field,
        "CASE WHEN text_suspect THEN NOT has_personal_data({0}) ELSE TRUE END",
        texts,
        dimension="privacy",
        severity="warn",
        source="field study 7.4; defect 69",
        personal=True,
    )
