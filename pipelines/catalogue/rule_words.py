"""What families, severities, owners, dimensions and scopes of rules are called, in Chinese and English."""

from __future__ import annotations

from typing import NamedTuple


class Bilingual(NamedTuple):
    """One text in both languages."""

    zh: str
    en: str


# In the order in which the rule book shows them.
FAMILIES = {
    "required": Bilingual("必填与留空", "required and blank"),
    "format": Bilingual("格式与字符", "form and characters"),
    "code_list": Bilingual("代码表", "code lists"),
    "organisation_code": Bilingual("单位代码", "codes of organisations"),
    "person": Bilingual("个人信息", "persons"),
    "name": Bilingual("名称", "names"),
    "document": Bilingual("文书号", "document numbers"),
    "date": Bilingual("日期", "dates"),
    "amount": Bilingual("金额", "amounts"),
    "class": Bilingual("类别", "classes"),
    "status": Bilingual("状态与报送范围", "status and what is to be reported"),
    "duplicate": Bilingual("重复", "duplicates"),
    "file": Bilingual("文件与行", "files and lines"),
    "source": Bilingual("数据源变化", "changes of a source"),
    "gate": Bilingual("批次闸门", "gates"),
}
SEVERITIES = {
    "block": Bilingual("必须更正", "must be corrected"),
    "warn": Bilingual("请核实", "please check"),
    "info": Bilingual("提示", "for information"),
}
OWNERS = {
    "department": Bilingual("报送部门", "department"),
    "us": Bilingual("归集平台", "this platform"),
    "upper": Bilingual("上级平台", "upper platform"),
}
# Where GB/T 36344-2018 has a word for a dimension, it is used.
DIMENSIONS = {
    "completeness": Bilingual("完整性", "completeness"),
    "validity": Bilingual("规范性", "validity"),
    "accuracy": Bilingual("准确性", "accuracy"),
    "consistency": Bilingual("一致性", "consistency"),
    "uniqueness": Bilingual("唯一性", "uniqueness"),
    "timeliness": Bilingual("时效性", "timeliness"),
    "privacy": Bilingual("隐私保护", "privacy"),
    "integrity": Bilingual("文件完好", "integrity"),
}
SCOPES = {
    "row": Bilingual("逐行判定", "each row by itself"),
    "set": Bilingual("多行比对", "rows compared with each other"),
    "batch": Bilingual("整批判定", "a batch as a whole"),
}
