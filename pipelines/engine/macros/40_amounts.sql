-- Amounts in 万元 as plain decimal text. Regular spellings only: what these macros leave alone and is no plain decimal
-- goes, each different text once, through pipelines/normalize/amounts.py, which also holds the twins.

-- At most 14 digits before and 8 behind the point, so that the exact product below cannot overflow.
CREATE OR REPLACE MACRO plain_number_pattern() AS '[0-9]{1,14}(?:\.[0-9]{1,8})?';

-- A product without the zeros at its end; NULL when more than six decimals remain.
CREATE OR REPLACE MACRO six_decimals(product) AS
    CASE WHEN product * 1000000 = trunc(product * 1000000)
         THEN regexp_replace(regexp_replace(CAST(product AS VARCHAR), '(\.[0-9]*?)0+$', '\1'), '\.$', '') END;

-- A number without a unit in a column whose unit is 元. What cannot be expressed in 万元 with six decimals gets its
-- unit spelt out, so that nobody can take it for 万元. Names its argument more than once.
CREATE OR REPLACE MACRO amount_from_yuan_column(value) AS
    CASE WHEN regexp_full_match(value, plain_number_pattern())
         THEN coalesce(six_decimals(try_cast(value AS DECIMAL(22, 8)) * CAST(0.0001 AS DECIMAL(4, 4))), value || '元')
         ELSE value END;

-- "5000元", "0.5万元整", "￥1,234.50元". Names its argument more than once.
CREATE OR REPLACE MACRO amount_with_unit(value) AS
    CASE
        WHEN regexp_full_match(value, '(?:人民币|[¥￥])?[0-9]{1,14}(?:\.[0-9]{1,8})?(?:元|圆)[整正]?')
        THEN coalesce(
            six_decimals(
                try_cast(regexp_extract(value, plain_number_pattern()) AS DECIMAL(22, 8)) * CAST(0.0001 AS DECIMAL(4, 4))
            ),
            value
        )
        WHEN regexp_full_match(value, '(?:人民币|[¥￥])?[0-9]{1,14}(?:\.[0-9]{1,6})?(?:万元|万圆|万)[整正]?')
        THEN regexp_extract(value, plain_number_pattern())
        ELSE value
    END;
