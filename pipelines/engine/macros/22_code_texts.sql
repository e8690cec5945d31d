-- Repairs of codes. Twins: pipelines/normalize/code_texts.py. Whether a code is right is judged elsewhere (10_codes.sql).

CREATE OR REPLACE MACRO code_without_blanks(value) AS
    regexp_replace(value, '[ \t\n\x0b\x0c\r\x{85}\x{2028}\x{2029}\x{3000}]+', '', 'g');

-- "统一社会信用代码:" typed in front of the code.
CREATE OR REPLACE MACRO code_without_label(value) AS regexp_replace(
    value,
    '^''?(?:(?:统一社会信用代码|社会信用代码|信用代码|组织机构代码|工商注册号|工商登记码|注册号|税务登记号|纳税人识别号|事业单位证书号|居民身份证号码|居民身份证号|身份证号码|身份证号|居民身份证|身份证|证件号码|代码):?''?)+',
    ''
);

-- The number of a licence copy behind the code, and what parts it from the code: (1/1), ;(1-1), ().
CREATE OR REPLACE MACRO code_without_copy_number(value) AS
    regexp_replace(value, '(?:[;,.:、。]*\((?:[0-9]{1,3}[/-][0-9]{1,3})?\))+$', '');

-- What people type behind a code: a semicolon, a full stop. What stands between two codes stays.
CREATE OR REPLACE MACRO code_without_punctuation(value) AS regexp_replace(value, '([0-9A-Za-z)])[;,.:、。]+$', '\1');

-- "410000.0", what a spreadsheet library makes of a number.
CREATE OR REPLACE MACRO digits_without_decimal_tail(value) AS regexp_replace(value, '^([0-9]+)\.0+$', '\1');

-- Upper case; a word for a masked value ("<masked>") is no code and stays. Names its argument more than once.
CREATE OR REPLACE MACRO code_in_upper_case(value) AS
    CASE WHEN contains(value, '<') THEN value ELSE ascii_upper(value) END;

-- Hyphens inside a code of letters and digits. Names its argument more than once.
CREATE OR REPLACE MACRO code_without_hyphens(value) AS
    CASE WHEN regexp_full_match(value, '[0-9A-Za-z‐‑‒–—−-]*[0-9A-Za-z][0-9A-Za-z‐‑‒–—−-]*')
         THEN regexp_replace(value, '[‐‑‒–—−-]+', '', 'g') ELSE value END;

-- The same for registration numbers, where a hyphen among letters may belong to the number.
CREATE OR REPLACE MACRO digits_without_hyphens(value) AS
    CASE WHEN regexp_full_match(value, '[0-9‐‑‒–—−-]*[0-9][0-9‐‑‒–—−-]*')
         THEN regexp_replace(value, '[‐‑‒–—−-]+', '', 'g') ELSE value END;

-- Resident identity numbers of the first generation in their form of today. Names its argument more than once.
CREATE OR REPLACE MACRO code_of_18_digits(value) AS coalesce(resident_id_15_to_18(value), value);
