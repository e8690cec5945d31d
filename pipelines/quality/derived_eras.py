"""Rules on values of a code list that were valid for a time only."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.catalogue.categories import Category, Field
from pipelines.catalogue.code_lists import CodeList, Entry
from pipelines.engine.duck import literal
from pipelines.quality.derivation import predicate_rule
from pipelines.quality.rules import Rule


def era_rules(category: Category, field: Field, code_list: CodeList) -> Iterator[Rule]:
    """A warning for values that did not exist yet, or no longer, on the day of the decision.

    ``since`` is the first day of a value, ``until`` the first day without it. A list without such days implies no rule.
    """
    dated = [entry for entry in code_list.entries if entry.since or entry.until]
    if not dated:
        return
    decided = category.roles.decision_date
    held = "coalesce({0}_joined, '')" if field.type == "enum_multi" else "(';' || {0} || ';')"
    conditions = [_out_of_time(held, code_list.standard(entry), entry, f"{decided}_date") for entry in dated]
    spans = "；".join(_span(entry) for entry in dated)
    texts = (
        f"在作出决定之日不属于代码表“{code_list.title}”的有效取值",
        f"请按作出决定之日有效的代码表填写（{spans}）",
        f"a value that the code list {code_list.code_list} did not hold on the day of the decision",
        "use a value of the list that was in force on that day",
    )
    yield predicate_rule(
        "ERA",
        field,
        f"NOT ({' OR '.join(conditions)})",
        texts,
        dimension="validity",
        severity="warn",
        source=code_list.source,
        defects=code_list.defects,
        conditions=code_list.conditions,
        applies_when=f"{field.code} IS NOT NULL AND {decided}_date IS NOT NULL",
    )


def _out_of_time(held: str, value: str, entry: Entry, day: str) -> str:
    outside = []
    if entry.since:
        outside.append(f"{day} < DATE {literal(entry.since.isoformat())}")
    if entry.until:
        outside.append(f"{day} >= DATE {literal(entry.until.isoformat())}")
    return f"(contains({held}, {literal(f';{value};')}) AND ({' OR '.join(outside)}))"


def _span(entry: Entry) -> str:
    since = f"{entry.since.isoformat()}起" if entry.since else ""
    until = f"{entry.until.isoformat()}止（不含当日）" if entry.until else ""
    return f"{entry.name}：{since}{until}"
