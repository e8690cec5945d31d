"""A code that is one slip away from the valid code that is known with the same name."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier, literal
from pipelines.quality.facts import FACTS

KNOWN_SUBJECTS = "known_subjects"
PERSON = "自然人"
# Letters that no unified social credit code has, beside the digits they are read as, and B beside 8 (GB 32100-2015).
_CONFUSED, _READ_AS = "OISZB", "01528"
_ORIGINS = (
    ("registry", "主体登记名录", "the register of subjects"),
    ("store", "已入库的记录", "records that were accepted before"),
    ("batch", "本批其他行", "other rows of this batch"),
)
_SLIPS = (
    ("confusable", "形近字符（O/0、I/1、S/5、Z/2、B/8）", "characters that look alike (O/0 I/1 S/5 Z/2 B/8)"),
    ("transposed", "相邻两个字符颠倒", "two neighbouring characters that changed places"),
    ("replaced", "一个字符", "one character"),
    ("too_long", "多出的一个字符", "one character too many"),
    ("too_short", "漏掉的一个字符", "one character too few"),
)


def code_fields(category: Category) -> list[tuple[str, str]]:
    """Fields with a unified social credit code, each with the field of the name that it belongs to."""
    roles = category.roles
    pairs = [
        (roles.subject_code, roles.subject_name),
        (roles.authority_code, roles.authority),
        (roles.source_unit_code, roles.source_unit),
    ]
    usable = [(code, name) for code, name in pairs if category.field(code).code_system == "uscc"]
    return list(dict.fromkeys(pair for pair in usable if category.field(pair[0]).exposure == "public"))


def suggest_codes(session: Session, category: Category) -> None:
    """Add the code that an invalid one was meant to be, where exactly one known code fits the name and the slip.

    A slip is one character replaced, added or left out, two neighbours exchanged, or up to two characters taken for
    others that look alike. A number that may be a person's is left alone.
    """
    if not has_relation(session, KNOWN_SUBJECTS):
        return
    wrong = " UNION ALL ".join(
        f"SELECT row_no, {literal(code)} AS field, {identifier(code)} AS code, {identifier(name)} AS name "
        f"FROM {FACTS} SEMI JOIN suspicious USING (row_no) WHERE {identifier(code + '_verdict')} = 'invalid' "
        f"AND strlen({identifier(code)}) BETWEEN 17 AND 19"
        + (
            f" AND {identifier(category.roles.subject_kind)} IS DISTINCT FROM {literal(PERSON)}"
            if code == category.roles.subject_code
            else ""
        )
        for code, name in code_fields(category)
    )
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE wrong_codes AS SELECT row_no, field, code, name_key(name) AS name_key "
        f"FROM ({wrong}) WHERE name_key(name) IS NOT NULL"
    )
    fields = [str(field) for (field,) in session.rows("SELECT DISTINCT field FROM wrong_codes")]
    if fields:
        session.execute(_suggestions(fields))
    session.execute("DROP TABLE wrong_codes")


def has_relation(session: Session, name: str) -> bool:
    """Whether the session has a table or view with this name."""
    found = session.one("SELECT count(*) FROM information_schema.tables WHERE table_name = $name", {"name": name})
    return bool(found[0])


def _suggestions(fields: Sequence[str]) -> str:
    # Constants, so that what is known of fields without a wrong code is not even read.
    asked = ", ".join(literal(field) for field in fields)
    alike = "translate({0}, '" + _CONFUSED + "', '" + _READ_AS + "')"
    return f"""
        INSERT INTO suggestions
        WITH questions AS (
            SELECT DISTINCT field, code, name_key FROM wrong_codes
        ), known AS (
            SELECT DISTINCT name_key, code AS candidate, origin
            FROM (SELECT * FROM {KNOWN_SUBJECTS} WHERE field IN ('', {asked})) SEMI JOIN questions USING (name_key)
        ), slips AS (
            SELECT field, code, name_key, candidate, origin,
                   CASE
                       WHEN length(code) = length(candidate) AND {alike.format("code")} = {alike.format("candidate")}
                            AND hamming(code, candidate) <= 2 THEN 'confusable'
                       WHEN damerau_levenshtein(code, candidate) <> 1 THEN NULL
                       WHEN length(code) > length(candidate) THEN 'too_long'
                       WHEN length(code) < length(candidate) THEN 'too_short'
                       WHEN hamming(code, candidate) = 2 THEN 'transposed'
                       ELSE 'replaced'
                   END AS slip
            FROM questions JOIN known USING (name_key)
            WHERE code <> candidate AND uscc_verdict(candidate) IN ('valid', 'issued_nonstandard')
        ), answers AS (
            SELECT field, code, name_key, any_value(candidate) AS candidate, any_value(slip) AS slip,
                   list(DISTINCT origin) AS origins
            FROM slips WHERE slip IS NOT NULL
            GROUP BY field, code, name_key HAVING count(DISTINCT candidate) = 1
        ), told AS (
            SELECT *, {_text("slip", _SLIPS, 1)} AS slip_zh, {_text("slip", _SLIPS, 2)} AS slip_en,
                   {_origin(1)} AS origin_zh, {_origin(2)} AS origin_en
            FROM answers
        )
        SELECT row_no, field, candidate, CASE slip WHEN 'confusable' THEN 'code_confusable' ELSE 'code_edit' END,
               '同一名称在' || origin_zh || '中的有效代码与此只差' || slip_zh,
               'the valid code of the same name in ' || origin_en || ' differs by ' || slip_en
        FROM wrong_codes JOIN told USING (field, code, name_key)
    """


def _text(column: str, texts: tuple[tuple[str, str, str], ...], language: int) -> str:
    cases = " ".join(f"WHEN {literal(text[0])} THEN {literal(text[language])}" for text in texts)
    return f"CASE {column} {cases} END"


def _origin(language: int) -> str:
    cases = " ".join(
        f"WHEN list_contains(origins, {literal(text[0])}) THEN {literal(text[language])}" for text in _ORIGINS
    )
    return f"CASE {cases} END"
