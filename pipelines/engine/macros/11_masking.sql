-- Personal data made unreadable before a value reaches a finding, a log or a page. Every macro has a Python twin
-- of the same name in pipelines/identity/masking.py, where the rules are explained. NULL gives NULL.

CREATE OR REPLACE MACRO mask_after(code, kept) AS
    code[1:kept] || repeat('*', greatest(least(length(code) - kept, 12), 0));

CREATE OR REPLACE MACRO mask_document_number(code) AS
    mask_after(code, CASE WHEN length(code) >= 15 THEN 6 ELSE length(code) // 3 END);

CREATE OR REPLACE MACRO mask_person_name(name) AS
    mask_after(name, CASE WHEN length(name) > 1 THEN 1 ELSE 0 END);

-- Luhn over at most 19 digits; the string '0516273849' holds each digit at the place of its doubled digit sum.
CREATE OR REPLACE MACRO luhn_sum(digits) AS (
    strpos('0123456789', digits[1]) + strpos('0516273849', digits[2]) + strpos('0123456789', digits[3])
    + strpos('0516273849', digits[4]) + strpos('0123456789', digits[5]) + strpos('0516273849', digits[6])
    + strpos('0123456789', digits[7]) + strpos('0516273849', digits[8]) + strpos('0123456789', digits[9])
    + strpos('0516273849', digits[10]) + strpos('0123456789', digits[11])
    + strpos('0516273849', digits[12]) + strpos('0123456789', digits[13])
    + strpos('0516273849', digits[14]) + strpos('0123456789', digits[15])
    + strpos('0516273849', digits[16]) + strpos('0123456789', digits[17])
    + strpos('0516273849', digits[18]) + strpos('0123456789', digits[19]) - 19
);

CREATE OR REPLACE MACRO is_bank_card(digits) AS
    CASE
        WHEN regexp_full_match(digits, '62[0-9]{14,17}|[3-6][0-9]{15}')
        THEN luhn_sum(lpad(digits, 19, '0')) % 10 = 0
        ELSE FALSE
    END;

CREATE OR REPLACE MACRO mask_segment(segment) AS
    CASE
        WHEN is_resident_id(upper(segment)) THEN mask_after(segment, 6)
        WHEN is_legacy_resident_id(segment) THEN mask_after(segment, 6)
        WHEN regexp_full_match(segment, '(?:86)?1[3-9][0-9]{9}') THEN mask_after(segment, 3)
        WHEN is_bank_card(segment) THEN mask_after(segment, 6)
        ELSE segment
    END;

-- Free text: the text is cut into runs of digits and what lies between, so that each run is judged whole.
CREATE OR REPLACE MACRO mask_text(content) AS
    CASE
        WHEN regexp_matches(content, '[0-9]{11}')
        THEN array_to_string(
            list_transform(
                regexp_extract_all(content, '[0-9]{17}[Xx]|[0-9]+|[^0-9]+'),
                lambda segment: mask_segment(segment)
            ),
            ''
        )
        ELSE content
    END;

-- A value of a code column: like mask_text, and a number built like a resident identity number is masked even
-- when its check character is wrong, because a mistyped number still points at a person.
CREATE OR REPLACE MACRO mask_code(code) AS
    CASE
        WHEN uscc_verdict(code) IN ('valid', 'issued_nonstandard') THEN code
        WHEN regexp_matches(
            code,
            concat(
                '^', resident_region_pattern(),
                '(?:(?:19[0-9]{2}|20[0-4][0-9])', month_day_pattern(), '[0-9X*]{1,6}',
                '|[1-9][0-9]', month_day_pattern(), '[0-9*]{3}(?:[0-9]{2})?$)'
            )
        )
        THEN mask_after(code, 6)
        ELSE mask_text(code)
    END;
