"""Rules on the codes of organisations and persons, by the code system of the field."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.catalogue.categories import Category, Field
from pipelines.quality.derivation import derived_rule, predicate_rule
from pipelines.quality.facts import document_type_field
from pipelines.quality.rules import Rule, Severity

# What a wrong code of each system is called in the defect catalogue.
DEFECTS = {
    "uscc": (5, 6, 8, 13),
    "organisation_code": (20,),
    "registration_number": (19,),
    "tax_registration": (5,),
    "identity_document": (17,),
}
IS_FULL_CODE = "(has_uscc_form({0}) AND NOT is_resident_id({0}))"
DAMAGED = "is_masked_code({0}) OR is_scientific({0}) OR is_cut_number({0})"


def code_rules(category: Category, field: Field) -> Iterator[Rule]:
    if field.code_system == "plain":
        yield _person(field)
        return
    yield from _damage(field)
    if field.code_system == "identity_document":
        yield from _identity_document(category, field)
        return
    is_uscc = field.code_system == "uscc"
    verdicts = "expect_column_code_verdict_to_be_accepted"
    texts = (
        "校验不通过，不是有效代码" if is_uscc else "不是有效代码",
        "请对照登记证照核对后重报" if is_uscc else "请核对；没有该代码请留空",
        "not a valid code",
        "check it against the registration" if is_uscc else "check it, or leave it blank when there is none",
    )
    is_subject = field.code == category.roles.subject_code
    excused = f"{DAMAGED} OR is_resident_id({{0}})"
    if field.code_system == "organisation_code":
        yield _full_code(field)
        excused += f" OR {IS_FULL_CODE}"
    yield derived_rule(
        "CODE",
        field,
        verdicts,
        texts,
        dimension="validity",
        severity="block" if is_uscc else "warn",
        source="GB 32100-2015" if is_uscc else "field study 4",
        refused=["invalid", "internal_number"],
        defects=DEFECTS.get(field.code_system or "", ()),
        conditions=("C13",) if is_subject else (),
        unless=excused.format(field.code),
    )
    yield _person(field)
    if is_uscc:
        yield from _uscc(category, field)


def _full_code(field: Field) -> Rule:
    """Organisation codes stand inside unified social credit codes, and departments send the whole instead."""
    texts = (
        "填成了18位统一社会信用代码",
        "请改填9位组织机构代码，或留空；统一社会信用代码填在“行政相对人代码_1”一栏",
        "holds a whole unified social credit code of 18 characters",
        "put the 9 characters of the organisation code here, or leave it blank; the whole code has a field of its own",
    )
    predicate = f"NOT {IS_FULL_CODE}"
    return predicate_rule(
        "FULL", field, predicate, texts, dimension="validity", severity="warn", source="GB 11714-1997; GB 32100-2015"
    )


def _person(field: Field) -> Rule:
    """A person's number in the column of an organisation's code; organisation codes have no verdict for it."""
    texts = (
        "填成了个人身份证号",
        "请改填单位代码；自然人的证件号码只能填在“证件号码”一栏",
        "holds a person's identity number",
        "put the organisation's code here; a person's number belongs into the identity document field",
    )
    source = "field study 4.3, 11.9"
    if field.code_system in {"plain", "organisation_code"}:
        return predicate_rule(
            "PERSON", field, "NOT is_resident_id({0})", texts, dimension="privacy", source=source, personal=True
        )
    return derived_rule(
        "PERSON",
        field,
        "expect_column_code_verdict_to_be_accepted",
        texts,
        dimension="privacy",
        source=source,
        personal=True,
        refused=["person_number"],
    )


def _uscc(category: Category, field: Field) -> Iterator[Rule]:
    texts = (
        "是合法发放但校验位不标准的代码，按原样接收",
        "无需修改；如登记机关已换发新代码，请使用新代码",
        "legally issued with a non-standard check character, accepted as it is",
        "nothing to do, unless the registry has issued a new code",
    )
    yield derived_rule(
        "ISSUED",
        field,
        "expect_column_code_verdict_to_be_accepted",
        texts,
        dimension="validity",
        severity="info",
        owner="us",
        source="field study 11.1, 11.2 [found]",
        refused=["issued_nonstandard"],
    )
    if field.code == category.roles.subject_code:
        kind = category.roles.subject_kind
        texts = (
            "填了占位代码00000000000000000X，但该主体不是个体工商户",
            "请填真实的统一社会信用代码；占位代码只用于尚无代码的个体工商户",
            "the placeholder stands for a subject that is no individual business",
            "fill in the real code; the placeholder is for individual businesses without one",
        )
        predicate = f"NOT ({{0}}_verdict = 'placeholder' AND {kind} IS DISTINCT FROM '个体工商户')"
        severity: Severity = "block"
    else:
        texts = (
            "填了占位代码00000000000000000X",
            "请填机关的统一社会信用代码；确无代码的机关可保留",
            "holds the placeholder",
            "fill in the code of the organ; keep the placeholder only if it has none",
        )
        predicate, severity = "NOT ({0}_verdict = 'placeholder')", "warn"
    yield predicate_rule(
        "PLACE",
        field,
        predicate,
        texts,
        dimension="validity",
        severity=severity,
        source="condition C4 [unverified]",
        waivable=severity != "block",
    )


def _damage(field: Field) -> Iterator[Rule]:
    texts = (
        "已被表格软件改写为科学计数或末位变成0，原代码无法还原",
        "退回重报：请在原系统重新导出，单元格请设为“文本”格式后再填代码",
        "a spreadsheet turned the code into a number; digits are lost",
        "send it again from the source, with the cell formatted as text",
    )
    is_cut = " OR is_cut_number({0})" if field.code_system in {"uscc", "identity_document"} else ""
    # Passports have no verdict; whatever has one is damaged only if it is also wrong.
    suspect = "coalesce({0}_verdict, 'invalid') IN ('invalid', 'masked')"
    yield predicate_rule(
        "SCI",
        field,
        f"CASE WHEN {suspect} THEN NOT (is_scientific({{0}}){is_cut}) ELSE TRUE END",
        texts,
        dimension="accuracy",
        source="defect 9, 10",
        waivable=False,
    )
    texts = (
        "被脱敏（含*或XXX），无法核验",
        "请报送完整代码，脱敏由公示环节统一处理",
        "masked, cannot be checked",
        "send the full code; masking is done where records are shown",
    )
    predicate = f"CASE WHEN {suspect} THEN NOT is_masked_code({{0}}) ELSE TRUE END"
    yield predicate_rule("MASK", field, predicate, texts, dimension="accuracy", source="defect 18", waivable=False)


def _identity_document(category: Category, field: Field) -> Iterator[Rule]:
    type_field = document_type_field(category, field.code)
    if type_field is None:
        return
    texts = (
        "不是有效的居民身份证号码",
        "请核对身份证号；如为其他证件，请改填证件类型",
        "not a valid resident identity number",
        "check the number, or name the right type of document",
    )
    is_subject = field.code == category.roles.person_id
    yield derived_rule(
        "CODE",
        field,
        "expect_column_code_verdict_to_be_accepted",
        texts,
        dimension="validity",
        severity="block" if is_subject else "warn",
        source="GB 11643-1999",
        family="person",
        defects=DEFECTS["identity_document"],
        conditions=("C2",) if is_subject else ("C3",),
        refused=["invalid", "masked"],
        unless=DAMAGED.format(field.code),
    )
