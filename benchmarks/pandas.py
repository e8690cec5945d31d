"""What one would write otherwise: pandas, python-stdnum and Great Expectations on pandas, with the same rules.

Given its best chance: vectorised text columns, codes judged once per distinct value, results without values, and the
columns of truth in a frame of their own (Great Expectations copies the frame for every rule). It loses the lines it
cannot read, keeps no trace of a repair, cannot say which row broke which rule, and stores blocked rows with the rest.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import pandas as pd
from great_expectations import expectations as gxe
from great_expectations.data_context.types.base import ProgressBarsConfig
from stdnum import iso7064, luhn
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10

from benchmarks.meter import Meter
from benchmarks.penalty_rows import LAST_DECISION
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.headers import normalise_header
from pipelines.quality.rules import Rule
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings

Frame, Column = pd.DataFrame, pd.Series
BUSINESS_DATE = pd.Timestamp(LAST_DECISION) + pd.Timedelta(days=1)
EMPTY = r"(?i)[-—－/\\_]+|无|空|暂无|不详|\\n|n/a|nan|none|null|undefined"
LABEL = "^(?:统一社会信用代码|社会信用代码|信用代码|组织机构代码|工商注册号|注册号|税务登记号|身份证号码?|代码):?"
DATE_FORMATS = ("%Y/%m/%d", "%Y-%m-%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d")
BRACKETS = str.maketrans("[](){}【】（）", "〔〕〔〕〔〕〔〕〔〕")
ORGANISATION, TRADER, PERSON = "法人及非法人组织", "个体工商户", "自然人"
FINE, CONFISCATION, SUSPENSION = "罚款", "没收违法所得、没收非法财物", "暂扣或者吊销许可证、暂扣或者吊销执照"

GARBLED = "[\ufffd\ue000-\uf8ff\U000f0000-\U0010fffd]|锟斤拷|烫烫烫|屯屯屯"
SPECIAL = (
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\u200b-\u200f\u2028\u2029\ufeff]"
    "|</?[A-Za-z!][^<>]{0,200}>|&(?:nbsp|lt|gt|amp|quot|#[0-9]{2,5});"
)
LOST = "[\u4e00-\u9fff][?？〓□■]+|^[?？〓□■]"
MASKED_NAME = r"[*＊]|某某|^.{1,2}某$|^某|(?:^|[^A-Za-z])(?:[Xx]{2,}|[×╳]{2,})(?:[^A-Za-z]|$)"
MASKED_CODE = "[*＊●]|[Xx×]{3,}|某"
SCIENTIFIC = r"^[0-9](?:\.[0-9]*)?[Ee]\+?[0-9]{1,2}$"
CUT = "^[0-9]{15}0{1,5}$"
SECRET = "涉密|绝密|机密|国家秘密|不予公开|不公开"
SIMPLE = "简罚|当罚|当场罚|简易"
SEVERAL = r"[;；|\n]|(?:公司|厂|店|部|社|中心|院)[、,，].*(?:公司|厂|店|部|社|中心|院)$"
TEST_NAME = r"(?i)(?:测试|试用|test|demo|ceshi|aaa+|1{3,}|123+)(?:数据|企业|单位|公司)?[0-9]*"
PERSONAL = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|(?:86)?1[3-9]\d{9}|\d{16,19})(?!\d)")


def standardise(frame: Frame, category: Category) -> Frame:
    """The repairs of a straightforward program, and the columns that rules compare."""
    frame = frame.rename(columns=lambda name: category.headers()[normalise_header(name)])
    for field in category.fields:
        name = field.code
        if name not in frame:
            frame[name] = pd.Series(index=frame.index, dtype="str")
        text = frame[name].str.replace(r"\s*[\r\n\t]+\s*", " ", regex=True).str.strip()
        text = text.mask(text.str.fullmatch(EMPTY, na=False) | (text == ""))
        if field.type == "code":
            text = text.str.normalize("NFKC").str.upper().str.replace(r"\s+", "", regex=True)
            text = text.str.replace(LABEL, "", regex=True).str.replace(r"\(\d*[/-]?\d*\)$", "", regex=True)
        elif field.type == "document_number":
            text = text.str.translate(BRACKETS).str.replace(" ", "")
            frame[name + "_year"] = pd.to_numeric(text.str.extract(r"〔\s*((?:19|20)\d{2})\s*年?\s*〕")[0])
        elif field.type == "enum_multi":
            text = text.str.replace("[,，；/]+", ";", regex=True)
            frame[name + "_joined"] = ";" + text.fillna("") + ";"
        elif field.type == "amount":
            number = text.str.replace("[,，￥¥]|万?元$", "", regex=True)
            amount = pd.to_numeric(number, errors="coerce")
            in_yuan = text.str.endswith("元", na=False) & ~text.str.endswith("万元", na=False)
            frame[name + "_amount"] = amount.mask(in_yuan, amount / 10_000)
        elif field.type == "date":
            text, frame[name + "_date"] = standard_dates(text)
        frame[name] = text
    code = frame["CF_XDR_SHXYM"]
    kind = pd.Series(ORGANISATION, index=frame.index, dtype="str").mask(code.str.startswith("92", na=False), TRADER)
    frame["CF_XDR_LB"] = frame["CF_XDR_LB"].fillna(kind.where(code.notna()))
    return frame


def standard_dates(text: Column) -> tuple[Column, Column]:
    """Text in standard form where it can be read, and the dates."""
    text = text.mask(text == "长期", "2099/12/31")
    dates = pd.to_datetime(text, format=DATE_FORMATS[0], errors="coerce")
    rest = text[dates.isna() & text.notna()]
    for form in DATE_FORMATS[1:]:
        dates = dates.fillna(pd.to_datetime(rest, format=form, errors="coerce"))
    serials = pd.to_numeric(rest.where(rest.str.fullmatch("[2-5][0-9]{4}", na=False)), errors="coerce")
    dates = dates.fillna(pd.to_datetime(serials, unit="D", origin="1899-12-30"))
    repaired = dates.reindex(rest.index).dropna().dt.strftime("%Y/%m/%d")
    return text.mask(text.index.isin(repaired.index), repaired.reindex(text.index)), dates


def dedupe(frame: Frame) -> Frame:
    """Exact copies go; of one decision the last row stays. Without a number nothing is a decision."""
    frame = frame.drop_duplicates()
    subject = frame["CF_XDR_SHXYM"].fillna(frame["CF_XDR_MC"])
    keys = [frame["CF_WSH"], subject, frame["CF_CFJGDM"].fillna(frame["CF_CFJG"])]
    last = frame.groupby(keys, dropna=False, sort=False).tail(1).index
    return frame[frame.index.isin(last) | frame["CF_WSH"].isna()]


def organisation_code_is_valid(code: str) -> bool:
    if not re.fullmatch("[0-9A-Z]{8}[0-9X]", code) or len(set(code[:8])) == 1:
        return False
    total = sum(int(sign, 36) * weight for sign, weight in zip(code, (3, 7, 9, 10, 5, 8, 4, 2), strict=False))
    return code[8] == "0X987654321"[total % 11]


def uscc_verdict(code: str) -> str:
    if ric.is_valid(code):
        return "person_number"
    if code == "00000000000000000X":
        return "placeholder"
    if not re.fullmatch("[0-9A-HJ-NPQRTUWXY]{18}", code) or code[8:16] == "0" * 8 or len(set(code)) == 1:
        return "invalid"
    if uscc.is_valid(code):
        return "valid"
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    unreflected = alphabet[-alphabet.index(uscc.calc_check_digit(code[:17])) % 31]
    return "issued_nonstandard" if organisation_code_is_valid(code[8:17]) and code[17] == unreflected else "invalid"


def verdict(code: str, system: str) -> str:
    if system == "identity_document":
        masked = re.fullmatch(r"[0-9]{1,17}(?:\*{2,}|X{2,})[0-9X]{0,15}", code)
        return "valid" if ric.is_valid(code) else "masked" if masked else "invalid"
    if system == "uscc" or (len(code) == 18 and system != "organisation_code"):
        return uscc_verdict(code)
    valid = {
        "organisation_code": lambda: organisation_code_is_valid(code),
        "registration_number": lambda: bool(re.fullmatch("[0-9]{15}", code)) and mod_11_10.is_valid(code),
        "tax_registration": lambda: bool(re.fullmatch("[0-9]{15}|[0-9]{6}.{9}", code))
        and organisation_code_is_valid(code[6:]),
        "institution_certificate": lambda: bool(re.fullmatch("(?:事证第)?[0-9]{12}号?", code)),
    }[system]()
    if not valid and system == "registration_number":
        if re.fullmatch("[0-9]{13}|[0-9]{6}NA[0-9]{6}X", code):
            return "legacy"
        return "internal_number" if re.fullmatch("[0-9A-Z]{16}", code) else "invalid"
    return "valid" if valid else "invalid"


def names_person(text: str) -> bool:
    """A resident identity number, a mobile number or a bank card in free text."""
    return any(
        ric.is_valid(found) or re.fullmatch(r"(?:86)?1[3-9]\d{9}", found) or (len(found) > 15 and luhn.is_valid(found))
        for found in PERSONAL.findall(text)
    )


class Truths:
    """Columns of truth for the rules that Great Expectations has no type for."""

    def __init__(self, frame: Frame, category: Category) -> None:
        self.frame = frame
        self.category = category
        self.verdicts: dict[str, Column] = {}

    def has(self, name: str, pattern: str) -> Column:
        return self.frame[name].str.contains(pattern, na=False)

    def per_value(self, name: str, judge: Callable[[str], object]) -> Column:
        codes = self.frame[name]
        return codes.map({code: judge(code) for code in codes.dropna().unique()})

    def verdict(self, name: str) -> Column:
        if name not in self.verdicts:
            system = next(field.code_system for field in self.category.fields if field.code == name) or ""
            found = self.per_value(name, lambda code: verdict(code, system))
            if system == "identity_document":
                found = found.where(self.frame[name[:-2] + "LX"] == "身份证")
            self.verdicts[name] = found
        return self.verdicts[name]

    def resident(self, name: str) -> Column:
        return self.per_value(name, ric.is_valid).eq(True)

    def cut(self, name: str) -> Column:
        return self.has(name, CUT) & ~self.has(name, "^0+$")

    def when(self, condition: str) -> Column:
        """Rows for which the condition of a rule on presence holds."""
        kind = self.frame["CF_XDR_LB"]
        if found := re.fullmatch(r"contains\(CF_CFLB_joined, ';(.*);'\)", condition):
            return self.punished(found[1])
        if found := re.fullmatch(r"(\w+) IS NOT NULL", condition):
            return self.frame[found[1]].notna()
        if found := re.fullmatch(r"CF_XDR_LB (?:= '(.*)'|IN \('(.*)', '(.*)'\))", condition):
            return kind.isin([value for value in found.groups() if value])
        raise KeyError(condition)

    def punished(self, name: str) -> Column:
        return self.frame["CF_CFLB_joined"].str.contains(f";{name};", regex=False)

    def of(self, rule: Rule) -> Column:
        """TRUE where the rule does not apply or is kept."""
        name, frame, kind = str(rule.field), self.frame, rule.code.partition("-")[0]
        if rule.type == "expect_column_to_be_present_when":
            return ~self.when(rule.kwargs["condition"]) | frame[name].notna()
        if rule.type == "expect_column_to_be_blank_when":
            return ~self.when(rule.kwargs["condition"]) | frame[name].isna()
        if rule.type == "expect_column_dates_to_be_readable":
            return frame[name].isna() | frame[name + "_date"].notna()
        if rule.type == "expect_column_amounts_to_be_readable":
            return frame[name].isna() | (frame[name + "_amount"] >= 0)
        if rule.type == "expect_column_code_verdict_to_be_accepted":
            excused = self.has(name, MASKED_CODE) | self.has(name, SCIENTIFIC) | self.cut(name)
            if "is_resident_id" in rule.kwargs.get("unless", ""):
                excused |= self.resident(name)
            refused = self.verdict(name).isin(rule.kwargs["refused"])
            return ~refused | (excused if "unless" in rule.kwargs else False)
        if kind == "PII":
            suspect = frame.loc[self.has(name, "[0-9]{11}"), name]
            return ~suspect.map(names_person).reindex(frame.index, fill_value=False).astype(bool)
        if kind == "SCI":
            return ~(self.has(name, SCIENTIFIC) | self.cut(name))
        if kind == "PERSON":
            return ~self.resident(name)
        if kind == "PLACE":
            placeholder = self.verdict(name).eq("placeholder")
            return ~(placeholder & (frame["CF_XDR_LB"] != TRADER)) if "CF_XDR_LB" in rule.kwargs["predicate"] else ~placeholder
        return self.own(rule.code)

    def own(self, code: str) -> Column:
        """The rules of the penalty category that stand for themselves."""
        frame, kind = self.frame, self.frame["CF_XDR_LB"]
        subject, decided, year = frame["CF_XDR_MC"], frame["CF_JDRQ_date"], frame["CF_WSH_year"]
        fine, confiscated = frame["CF_NR_FK_amount"], frame["CF_NR_WFFF_amount"]
        valid = self.verdict("CF_XDR_SHXYM").eq("valid")
        trader = frame["CF_XDR_SHXYM"].str.startswith("92", na=False)
        match code:
            case "CF-C07d":
                return ~self.punished(FINE) | (fine != 0)
            case "CF-C07e":
                return ~(fine > 0) | self.punished(FINE)
            case "CF-C07f":
                return ~(confiscated > 0) | self.punished(CONFISCATION)
            case "CF-C07g":
                return frame["CF_NR_ZKDX"].isna() | self.punished(SUSPENSION)
            case "CF-C08a":
                return ~self.per_value("CF_CFLB", lambda text: len(set(text.split(";"))) <= text.count(";")).eq(True)
            case "CF-C10e":
                return ~(frame["CF_GSJZQ_date"] > decided + pd.DateOffset(years=3))
            case "CF-C10f":
                off = year - decided.dt.year
                near = (off == 0) | ((off == -1) & (decided.dt.month == 1)) | ((off == 1) & (decided.dt.month == 12))
                return off.isna() | near
            case "CF-C13a":
                return ~((kind == ORGANISATION) & valid & trader)
            case "CF-C13b":
                return ~((kind == TRADER) & valid & ~trader)
            case "CF-SUBJ-01":
                others = ("CF_WSH", "CF_XDR_ZJHM", "CF_FR_ZJHM")
                same = [subject.eq(frame[other]).fillna(False) for other in others]
                return ~(same[0] | same[1] | same[2] | subject.str.fullmatch("[0-9A-Z]{8,20}", na=False))
            case "CF-SUBJ-03":
                return ~((subject.str.len() <= 10) & subject.str.fullmatch(TEST_NAME, na=False))
            case "CF-SUBJ-04":
                number = frame["CF_XDR_ZJHM"].where(self.verdict("CF_XDR_ZJHM").eq("valid"))
                born = pd.to_datetime(number.str.slice(6, 14), format="%Y%m%d", errors="coerce")
                return ~(born + pd.DateOffset(years=18) > decided)
            case "CF-DOC-01":
                return frame["CF_WSH"].isna() | year.notna() | self.has("CF_WSH", "[0-9０-９一二三四五六七八九十〇零]")
            case "CF-SIMP-01":
                return frame["CF_WSH"].isna() | ~(self.has("CF_WSH", SIMPLE) | self.has("BZ", "简易程序"))
            case "CF-FINE-02":
                content = frame.loc[fine >= 50, "CF_NR"].str.replace(",", "")
                told = content.str.extract(r"罚款(?:人民币)?[^0-9，。；;]{0,4}([0-9]+(?:\.[0-9]+)?)元")[0]
                return ~pd.to_numeric(told).reindex(frame.index).eq(fine)
            case "CF-AUTH-01":
                return ~frame["CF_CFJG"].eq(subject).fillna(False)
            case "CF-AUTH-02":
                authority = self.frame["CF_CFJGDM"].str.startswith("9", na=False)
                return ~(authority & self.verdict("CF_CFJGDM").eq("valid"))
        raise KeyError(code)


def built_in(rule: Rule) -> gx.expectations.Expectation | None:
    """The library's own expectation for a rule, where it has one."""
    name, kwargs, kind = str(rule.field), rule.kwargs, rule.code.partition("-")[0]
    refused = {"GARB": GARBLED, "CHAR": SPECIAL, "LOST": LOST, "CF-SUBJ-02": SEVERAL, "CF-SECR-01": SECRET}
    refused |= {"CF-DOC-02": SCIENTIFIC, "MASK": MASKED_NAME if "name" in kwargs.get("predicate", "") else MASKED_CODE}
    pattern = refused.get(rule.code, refused.get(kind))
    if pattern:
        return gxe.ExpectColumnValuesToNotMatchRegex(column=name, regex=pattern)
    if rule.code in {"CF-FINE-01", "CF-FINE-03"}:
        return gxe.ExpectColumnValuesToBeBetween(column=name + "_amount", max_value=10_000)
    match rule.type:
        case "expect_column_values_to_not_be_null":
            return gxe.ExpectColumnValuesToNotBeNull(column=name)
        case "expect_column_values_to_be_in_set":
            return gxe.ExpectColumnValuesToBeInSet(column=name, value_set=kwargs["value_set"])
        case "expect_column_value_lengths_to_be_between":
            return gxe.ExpectColumnValueLengthsToBeBetween(column=name, max_value=kwargs["max_value"])
        case "expect_column_to_follow_code_list":
            one = "|".join(kwargs["values"]) + f"|{kwargs['open_entry']}-[^;]*"
            return gxe.ExpectColumnValuesToMatchRegex(column=name, regex=f"^(?:{one})(?:;(?:{one}))*$")
        case "expect_column_open_entry_to_be_explained":
            return gxe.ExpectColumnValuesToNotMatchRegex(column=name, regex=f"(?:^|;){kwargs['open_entry']}-? *(?:$|;)")
        case "expect_column_dates_to_be_not_after":
            return gxe.ExpectColumnValuesToBeBetween(column=name + "_date", max_value=BUSINESS_DATE)
        case "expect_column_dates_to_be_not_before":
            earliest = pd.Timestamp(kwargs["earliest"])
            return gxe.ExpectColumnValuesToBeBetween(column=name + "_date", min_value=earliest)
        case "expect_column_dates_to_follow":
            return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=name + "_date",
                column_B=kwargs["earlier"] + "_date",
                or_equal=True,
                ignore_row_if="either_value_is_missing",
            )
    return None


def validate(frame: Frame, category: Category, rules: tuple[Rule, ...], form: str = "BOOLEAN_ONLY") -> list[object]:
    """Results of all rules: those the library has a type for on the rows, the others on columns of truth."""
    truths = Truths(frame, category)
    written = {rule.code: built_in(rule) for rule in rules}
    columns = {rule.code: truths.of(rule) for rule in rules if written[rule.code] is None}
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("pandas")
    results = []
    for name, data in (("rows", frame), ("truths", pd.DataFrame(columns))):
        suite = gx.ExpectationSuite(name=name)
        for code, expectation in written.items():
            if (expectation is None) == (name == "truths"):
                expected = expectation or gxe.ExpectColumnValuesToBeInSet(column=code, value_set=[True])
                expected.meta = {"code": code}
                suite.add_expectation(expected)
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("whole")
        definition = gx.ValidationDefinition(name=name, data=batch, suite=context.suites.add(suite))
        outcome = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": data}, result_format=form
        )
        results += outcome.results
    assert len(results) == len(rules)  # noqa: S101 - no rule may be dropped
    assert not any(result.exception_info.get("raised_exception") for result in results)  # noqa: S101
    return results


def main(csv: str, folder: str) -> None:
    Path(folder).mkdir(parents=True)
    catalogue = load_catalogue(Settings())
    category = catalogue.categories["administrative_penalty"]
    rules = load_suite(Settings(), category, catalogue.code_lists).rules
    meter = Meter()
    with meter.part("read"):
        rows = pd.read_csv(csv, dtype=str, encoding="utf-8", encoding_errors="replace", on_bad_lines="skip")
    with meter.part("normalize"):
        rows = standardise(rows, category)
    with meter.part("dedupe"):
        rows = dedupe(rows)
    with meter.part("great expectations on pandas"):
        validate(rows, category, rules)
    with meter.part("write"):
        rows.to_parquet(Path(folder) / "rows.parquet", engine="pyarrow", compression="zstd")
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
