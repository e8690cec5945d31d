"""An amount written in 元 where 万元 is meant, confirmed by the text of the decision (domain reference 8, no. 45)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa

from pipelines.catalogue.categories import Category, Field
from pipelines.engine.duck import Session, identifier, literal
from pipelines.quality.facts import FACTS

_NUMERALS = "零〇○一壹二贰弐两三叁参四肆五伍六陆七柒八捌九玖十拾百佰千仟万亿"
_SUM = "([0-9]+(?:\\.[0-9]+)?|[" + _NUMERALS + "]+)(万?)[元圆]"


def suggest_amounts(session: Session, category: Category, read_numerals: Callable[[str], Decimal | None]) -> None:
    """Add the amount in 万元 where the field holds exactly the sum that the text states in 元.

    Which text states an amount, and behind which word, is said by the category (``stated_in``, ``stated_after``).
    """
    for field in category.fields:
        if field.type == "amount" and field.stated_in is not None and field.exposure == "public":
            _suggest(session, category, field, field.stated_in, read_numerals)


def _suggest(
    session: Session,
    category: Category,
    field: Field,
    text_field: str,
    read_numerals: Callable[[str], Decimal | None],
) -> None:
    words = "|".join(field.stated_after)
    # What stands between the word and the sum: 罚款人民币, 罚款共计, 罚款(大写).
    pattern = f"(?:{words})(?:人民币|共计|计|合计|[(（]大写[)）]|[:：¥￥ ]){{0,3}}{_SUM}"
    amount, text = identifier(field.code + "_amount"), identifier(text_field)
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE stated AS
        SELECT row_no, amount, stated[1] AS digits, stated[2] = '' AS in_yuan FROM (
            SELECT row_no, amount,
                   unnest(list_zip(regexp_extract_all(text, {literal(pattern)}, 1),
                                   regexp_extract_all(text, {literal(pattern)}, 2))) AS stated
            FROM (
                SELECT row_no, {amount} AS amount, replace({text}, ',', '') AS text
                FROM {FACTS} SEMI JOIN suspicious USING (row_no) WHERE {amount} > 0 AND {text} IS NOT NULL
            )
        )
        """
    )
    numerals = [
        str(digits)
        for (digits,) in session.rows("SELECT DISTINCT digits FROM stated WHERE NOT regexp_matches(digits, '[0-9]')")
    ]
    read = {digits: read_numerals(digits + "元") for digits in numerals}
    session.register(
        "numeral_sums",
        pa.table(
            {
                "digits": pa.array(list(read), pa.string()),
                "yuan": pa.array([None if yuan is None else f"{yuan:f}" for yuan in read.values()], pa.string()),
            }
        ),
    )
    session.execute(
        f"""
        INSERT INTO suggestions
        SELECT row_no, {literal(field.code)}, suggested, 'amount_unit',
               '“{_quoted(category.field(text_field).name_zh)}”写明的金额以元计，与本栏数字相同；本栏单位为万元',
               'the text states this sum in yuan; the field is in 10,000 yuan'
        FROM (
            SELECT row_no, six_decimals(
                CAST(any_value(amount) AS DECIMAL(30, 6)) * CAST(0.0001 AS DECIMAL(4, 4))
            ) AS suggested
            FROM stated LEFT JOIN numeral_sums USING (digits)
            GROUP BY row_no
            HAVING bool_or(in_yuan AND amount = try_cast(coalesce(yuan, digits) AS DECIMAL(18, 6)))
               AND NOT bool_or(NOT in_yuan AND amount = try_cast(digits AS DECIMAL(18, 6)))
        ) WHERE suggested IS NOT NULL;
        DROP TABLE stated
        """
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
