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
from stdnum import luhn
from stdnum.cn import ric, uscc

from benchmarks.meter import Meter
from benchmarks.penalty_rows import LAST_DECISION
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.catalogue.categories import Category
from pipelines.catalogue.headers import normalise_header
from pipelines.identity.institution_certificate import institution_certificate_verdict
from pipelines.identity.organisation_code import organisation_code_verdict
from pipelines.identity.registration_number import registration_number_verdict
from pipelines.identity.tax_registration import tax_registration_verdict
from pipelines.quality.rules import Rule
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings

Frame, Column = pd.DataFrame, pd.Series
BUSINESS_DATE = pd.Timestamp(LAST_DECISION) + pd.Timedelta(days=1)
EMPTY = r"(?i)[-—－/\\_]+|无|空|暂无|不详|\\n|n/a|nan|none|null|undefined"
LABEL = "^(?:统一社会信用代码|社会信用代码|信用代码|组织机构代码|工商注册号|注册号|税务登记号|身份证号码?|代码):?"
DATE_FORMATS = ("%Y/%m/%d", "%Y-%m-%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d")
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
# python-stdnum does not know these numbers; whoever needs them writes what we wrote in Python.
LEGACY_VERDICTS: dict[str, Callable[[str], str | None]] = {
    "organisation_code": organisation_code_verdict,
    "registration_number": registration_number_verdict,
    "tax_registration": tax_registration_verdict,
    "institution_certificate": institution_certificate_verdict,
}
BRACKETS = str.maketrans("[](){}【】（）", "〔〕〔〕〔〕〔〕〔〕")
ORGANISATION, TRADER = "法人及非法人组织", "个体工商户"
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
CONFIDENTIAL = "涉密|绝密|机密|国家秘密|不予公开|不公开"
NUMERALS = "[0-9０-９一二三四五六七八九十〇零]"
SIMPLE = "简罚|当罚|当场罚|简易"
SEVERAL = r"[;；|\n]|(?:公司|厂|店|部|社|中心|院)[、,，].*(?:公司|厂|店|部|社|中心|院)$"
TEST_NAME = r"(?i)(?:测试|试用|test|demo|ceshi|aaa+|1{3,}|123+)(?:数据|企业|单位|公司)?[0-9]*"
PERSONAL = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|(?:86)?1[3-9]\d{9}|62\d{14,17}|[3-6]\d{15})(?!\d)")


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
            readable = number.str.fullmatch(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?", na=False)
            amount = pd.to_numeric(number.where(readable))
            in_yuan = text.str.endswith("元", na=False) & ~text.str.endswith("万元", na=False)
            frame[name + "_amount"] = amount.mask(in_yuan, amount / 10_000)
        elif field.type == "date":
            text, frame[name + "_date"] = standard_dates(text)
        frame[name] = text
    code = frame["CF_XDR_SHXYM"]
    valid = [one for one in code.dropna().unique() if uscc.is_valid(one)]
    kinds = {one: TRADER if one.startswith("92") else ORGANISATION for one in valid}
    frame["CF_XDR_LB"] = frame["CF_XDR_LB"].fillna(code.map(kinds))
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


def uscc_verdict(code: str) -> str:
    if ric.is_valid(code):
        return "person_number"
    if code == "00000000000000000X":
        return "placeholder"
    if not re.fullmatch("[0-9A-HJ-NPQRTUWXY]{18}", code) or code[8:16] == "0" * 8 or len(set(code)) == 1:
        return "invalid"
    if uscc.is_valid(code):
        return "valid"
    # Some issuers forgot the last step of the check: 31 less the sum.
    unreflected = ALPHABET[-ALPHABET.index(uscc.calc_check_digit(code[:17])) % 31]
    return (
        "issued_nonstandard"
        if LEGACY_VERDICTS["organisation_code"](code[8:17]) == "valid" and code[17] == unreflected
        else "invalid"
    )


def verdict(code: str, system: str) -> str | None:
    if system == "identity_document":
        masked = re.fullmatch(r"[0-9]{1,17}(?:\*{2,}|X{2,})[0-9X]{0,15}", code)
        return "valid" if ric.is_valid(code) else "masked" if masked else "invalid"
    if system == "organisation_code" and ric.is_valid(code):
        return "person_number"
    is_uscc = system == "uscc" or (len(code) == 18 and system != "organisation_code")
    return uscc_verdict(code) if is_uscc else LEGACY_VERDICTS[system](code)


def names_person(text: str) -> bool:
    """A resident identity number, a mobile number or a bank card in free text."""
    return any(
        ric.is_valid(found) or re.fullmatch(r"(?:86)?1[3-9]\d{9}", found) or (len(found) > 15 and luhn.is_valid(found))
        for found in PERSONAL.findall(text)
    )


class Truths:
    """Columns of truth for the rules that Great Expectations has no type for."""

    def __init__(self, frame: Frame, category: Category) -> None:
        self.frame, self.verdicts = frame, {}
        self.systems = {field.code: field.code_system or "" for field in category.fields}

    def has(self, name: str, pattern: str, regex: bool = True) -> Column:
        return self.frame[name].str.contains(pattern, regex=regex, na=False)

    def per_value(self, name: str, judge: Callable[[str], object]) -> Column:
        values = self.frame[name]
        return values.astype(object).map({value: judge(value) for value in values.dropna().unique()})

    def verdict(self, name: str) -> Column:
        if name not in self.verdicts:
            found = self.per_value(name, lambda code: verdict(code, self.systems[name]))
            if self.systems[name] == "identity_document":
                found = found.where(self.frame[name[:-2] + "LX"].eq("身份证"))
            self.verdicts[name] = found
        return self.verdicts[name]

    def cut_or_scientific(self, name: str) -> Column:
        return self.has(name, SCIENTIFIC) | (self.has(name, CUT) & ~self.has(name, "^0+$"))

    def names_person(self, name: str) -> Column:
        suspect = self.frame.loc[self.has(name, "[0-9]{11}"), name]
        return self.frame.index.isin(suspect.index[[names_person(text) for text in suspect]])

    def punished(self, name: str) -> Column:
        return self.has("CF_CFLB_joined", f";{name};", regex=False)

    def when(self, condition: str) -> Column:
        """Rows for which the condition of a rule on presence holds."""
        if found := re.fullmatch(r"contains\(CF_CFLB_joined, ';(.*);'\)", condition):
            return self.punished(found[1])
        if found := re.fullmatch(r"(\w+) IS NOT NULL", condition):
            return self.frame[found[1]].notna()
        if condition.startswith("CF_XDR_LB "):
            return self.frame["CF_XDR_LB"].isin(re.findall("'(.*?)'", condition))
        raise KeyError(condition)

    def fine_is_told(self) -> Column:
        content = self.frame.loc[self.frame["CF_NR_FK_amount"] >= 50, "CF_NR"].str.replace(",", "")
        told = content.str.extract(r"罚款(?:人民币)?[^0-9，。；;]{0,4}([0-9]+(?:\.[0-9]+)?)元")[0]
        return pd.to_numeric(told).reindex(self.frame.index).eq(self.frame["CF_NR_FK_amount"])

    def year_fits(self) -> Column:
        date = self.frame["CF_JDRQ_date"].dt
        off = self.frame["CF_WSH_year"] - date.year
        return off.isna() | (off == 0) | ((off == -1) & (date.month == 1)) | ((off == 1) & (date.month == 12))

    def is_minor(self) -> Column:
        number = self.frame["CF_XDR_ZJHM"].where(self.verdict("CF_XDR_ZJHM").eq("valid"))
        born = pd.to_datetime(number.str.slice(6, 14), format="%Y%m%d", errors="coerce")
        return born + pd.DateOffset(years=18) > self.frame["CF_JDRQ_date"]

    def is_of(self, kind: str, *, trader: bool) -> Column:
        """Rows of a kind of subject whose valid code says that it is a trader, or that it is none."""
        says_trader = self.frame["CF_XDR_SHXYM"].str.startswith("92", na=False)
        return (self.frame["CF_XDR_LB"] == kind) & self.verdict("CF_XDR_SHXYM").eq("valid") & (says_trader == trader)

    def same(self, one: str, other: str) -> Column:
        return self.frame[one].eq(self.frame[other]).fillna(False).astype(bool)

    def refused(self, rule: Rule) -> Column:
        excused = self.has(str(rule.field), MASKED_CODE) | self.cut_or_scientific(str(rule.field))
        return self.verdict(str(rule.field)).isin(rule.kwargs["refused"]) & ~(excused & ("unless" in rule.kwargs))

    def broken(self, rule: Rule) -> Column:
        """TRUE where a rule applies and is broken."""
        name, rows = str(rule.field), self.frame
        ways: dict[str, Callable[[], Column]] = {
            "expect_column_to_be_present_when": lambda: self.when(rule.kwargs["condition"]) & rows[name].isna(),
            "expect_column_to_be_blank_when": lambda: self.when(rule.kwargs["condition"]) & rows[name].notna(),
            "expect_column_dates_to_be_readable": lambda: rows[name].notna() & rows[name + "_date"].isna(),
            "expect_column_amounts_to_be_readable": lambda: rows[name].notna() & ~(rows[name + "_amount"] >= 0),
            "expect_column_code_verdict_to_be_accepted": lambda: self.refused(rule),
            "PII": lambda: self.names_person(name),
            "SCI": lambda: self.cut_or_scientific(name)
            if "is_cut_number" in rule.kwargs["predicate"]
            else self.has(name, SCIENTIFIC),
            "PERSON": lambda: self.per_value(name, ric.is_valid).eq(True),
            "PLACE": lambda: self.verdict(name).eq("placeholder")
            & ~(rows["CF_XDR_LB"].eq(TRADER) & ("CF_XDR_LB" in rule.kwargs["predicate"])),
            "CF-C07d": lambda: self.punished(FINE) & (rows["CF_NR_FK_amount"] == 0),
            "CF-C07e": lambda: (rows["CF_NR_FK_amount"] > 0) & ~self.punished(FINE),
            "CF-C07f": lambda: (rows["CF_NR_WFFF_amount"] > 0) & ~self.punished(CONFISCATION),
            "CF-C07g": lambda: rows["CF_NR_ZKDX"].notna() & ~self.punished(SUSPENSION),
            "CF-C08a": lambda: self.per_value(name, lambda text: len(set(text.split(";"))) <= text.count(";")).eq(True),
            "CF-C10e": lambda: rows["CF_GSJZQ_date"] > rows["CF_JDRQ_date"] + pd.DateOffset(years=3),
            "CF-C10f": lambda: ~self.year_fits(),
            "CF-C13a": lambda: self.is_of(ORGANISATION, trader=True),
            "CF-C13b": lambda: self.is_of(TRADER, trader=False),
            "CF-SUBJ-01": lambda: self.has(name, "^[0-9A-Z]{8,20}$") | self.same(name, "CF_WSH")
            | self.same(name, "CF_XDR_ZJHM") | self.same(name, "CF_FR_ZJHM"),
            "CF-SUBJ-03": lambda: (rows[name].str.len() <= 10) & rows[name].str.fullmatch(TEST_NAME, na=False),
            "CF-SUBJ-04": self.is_minor,
            "CF-DOC-01": lambda: rows[name].notna() & rows["CF_WSH_year"].isna() & ~self.has(name, NUMERALS),
            "CF-SIMP-01": lambda: self.has(name, SIMPLE) | (rows[name].notna() & self.has("BZ", "简易程序")),
            "CF-FINE-02": self.fine_is_told,
            "CF-AUTH-01": lambda: self.same(name, "CF_XDR_MC"),
            "CF-AUTH-02": lambda: self.verdict(name).eq("valid") & rows[name].str.startswith("9", na=False),
        }  # fmt: skip
        own = (key for key in (rule.code, str(rule.type), rule.code.partition("-")[0]) if key in ways)
        return ways[next(own)]()


def built_in(rule: Rule) -> gx.expectations.Expectation | None:
    """The library's own expectation for a rule, where it has one."""
    name, kwargs, kind = str(rule.field), rule.kwargs, rule.code.partition("-")[0]
    refused = {"GARB": GARBLED, "CHAR": SPECIAL, "LOST": LOST, "CF-SUBJ-02": SEVERAL, "CF-SECR-01": CONFIDENTIAL}
    refused |= {"CF-DOC-02": SCIENTIFIC, "MASK": MASKED_NAME if "name" in kwargs.get("predicate", "") else MASKED_CODE}
    pattern = refused.get(rule.code, refused.get(kind))
    if pattern:
        return gxe.ExpectColumnValuesToNotMatchRegex(column=name, regex=pattern)
    if rule.code in {"CF-FINE-01", "CF-FINE-03"}:
        return gxe.ExpectColumnValuesToBeBetween(column=name + "_amount", max_value=10_000)
    if rule.type == "expect_column_dates_to_be_not_after":
        return gxe.ExpectColumnValuesToBeBetween(column=name + "_date", max_value=BUSINESS_DATE)
    if rule.type == "expect_column_dates_to_be_not_before":
        return gxe.ExpectColumnValuesToBeBetween(column=name + "_date", min_value=pd.Timestamp(kwargs["earliest"]))
    if rule.type == "expect_column_dates_to_follow":
        pair = {"column_A": name + "_date", "column_B": kwargs["earlier"] + "_date", "or_equal": True}
        return gxe.ExpectColumnPairValuesAToBeGreaterThanB(**pair, ignore_row_if="either_value_is_missing")
    if rule.type == "expect_column_to_follow_code_list":
        one = "|".join(kwargs["values"]) + f"|{kwargs['open_entry']}-[^;]*"
        return gxe.ExpectColumnValuesToMatchRegex(column=name, regex=f"^(?:{one})(?:;(?:{one}))*$")
    if rule.type == "expect_column_open_entry_to_be_explained":
        return gxe.ExpectColumnValuesToNotMatchRegex(column=name, regex=f"(?:^|;){kwargs['open_entry']}-? *(?:$|;)")
    library = {
        "expect_column_values_to_not_be_null": gxe.ExpectColumnValuesToNotBeNull,
        "expect_column_values_to_be_in_set": gxe.ExpectColumnValuesToBeInSet,
        "expect_column_value_lengths_to_be_between": gxe.ExpectColumnValueLengthsToBeBetween,
    }
    return library[str(rule.type)](**kwargs) if rule.type in library else None


def known(frame: Frame, category: Category, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules that this way can judge; whoever wants the others writes what we wrote in pandas."""
    truths = Truths(frame.head(100).copy(), category)

    def is_known(rule: Rule) -> bool:
        if built_in(rule) is not None:
            return True
        try:
            truths.broken(rule)
        except (KeyError, StopIteration):
            return False
        return True

    return tuple([rule for rule in rules if is_known(rule)])


def validate(frame: Frame, category: Category, rules: tuple[Rule, ...], form: str = "BOOLEAN_ONLY") -> list[object]:
    """Results of all rules: those the library has a type for on the rows, the others on columns of truth."""
    truths = Truths(frame, category)
    written = {rule.code: built_in(rule) for rule in rules}
    columns = {rule.code: ~truths.broken(rule) for rule in rules if written[rule.code] is None}
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
    shared = known(rows, category, rules)
    with meter.part(f"great expectations on pandas ({len(shared)} of {len(rules)} rules)"):
        validate(rows, category, shared)
    with meter.part("write"):
        rows.to_parquet(Path(folder) / "rows.parquet", engine="pyarrow", compression="zstd")
    meter.print()


if __name__ == "__main__":
    main(*sys.argv[1:])
