-- What the rules ask about standard values. Every macro answers NULL for NULL, so that an empty field breaks no rule
-- but the ones that require it.

-- A date in standard form (YYYY/MM/DD) as DATE; NULL for everything else.
CREATE OR REPLACE MACRO rule_date(value) AS
    CASE WHEN length(value) = 10 AND value[5] = '/' AND value[8] = '/'
         THEN try_cast(replace(value, '/', '-') AS DATE) END;

-- An amount in standard form, in 万元; NULL for text, signs without digits, more than six decimals or twelve digits.
CREATE OR REPLACE MACRO rule_amount(value) AS
    CASE WHEN regexp_full_match(value, '-?[0-9]{1,12}(\.[0-9]{1,6})?') THEN try_cast(value AS DECIMAL(18, 6)) END;

-- The year in the brackets of a document number, "某市监罚〔2024〕5号" → 2024; NULL without one.
CREATE OR REPLACE MACRO document_year(value) AS
    try_cast(regexp_extract(value, '[〔\[［【(（]\s*((?:19|20)[0-9]{2})\s*[年]?\s*[〕\]］】)）]', 1) AS INTEGER);

-- Traces of a wrong decoding: the replacement character, the residue of UTF-8 read as GBK, private-use code points.
CREATE OR REPLACE MACRO is_garbled(value) AS
    regexp_matches(value, '[\x{FFFD}\x{E000}-\x{F8FF}\x{F0000}-\x{10FFFD}]|锟斤拷|烫烫烫|屯屯屯');

-- What receivers refuse as special characters: control and zero-width characters, markup and its entities.
CREATE OR REPLACE MACRO has_special_characters(value) AS
    regexp_matches(value, '[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{200B}-\x{200F}\x{2028}\x{2029}\x{FEFF}]|</?[A-Za-z!][^<>]{0,200}>|&(?:nbsp|lt|gt|amp|quot|#[0-9]{2,5});');

-- Rare characters that were lost on the way: a question mark, 〓 or □ inside a name.
CREATE OR REPLACE MACRO has_lost_characters(value) AS
    regexp_matches(value, '[\x{4E00}-\x{9FFF}][?？〓□■][?？〓□■]*|^[?？〓□■]');

-- A name that somebody masked: 张*, 李某某, XX公司.
CREATE OR REPLACE MACRO is_masked_name(value) AS
    regexp_matches(value, '[*＊]|某某|^.{1,2}某$|^某|(?:^|[^A-Za-z])(?:[Xx]{2,}|[×╳]{2,})(?:[^A-Za-z]|$)');

-- A code that somebody masked: stars, or a run of X.
CREATE OR REPLACE MACRO is_masked_code(value) AS regexp_matches(value, '[*＊●]|[Xx×]{3,}|某');

-- A code that a spreadsheet turned into a number and wrote as 9.13302E+17.
CREATE OR REPLACE MACRO is_scientific(value) AS regexp_full_match(value, '[0-9](?:\.[0-9]*)?[Ee]\+?[0-9]{1,2}');

-- A code of 16 digits and more whose digits after the fifteenth are all zero: what a spreadsheet keeps of a number.
CREATE OR REPLACE MACRO is_cut_number(value) AS
    regexp_full_match(value, '[0-9]{15}0{1,5}') AND NOT regexp_full_match(value, '0+');

-- Personal data in free text: a resident identity number, a mobile telephone number, a bank card number.
CREATE OR REPLACE MACRO has_personal_data(value) AS
    regexp_matches(value, '[0-9]{11}') AND regexp_matches(value,
        '(?:^|[^0-9])(?:1[3-9][0-9]{9}|[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]|62[0-9]{14,17})(?:[^0-9A-Za-z]|$)');

-- Free text as a finding may show it: long runs of digits covered, cut after 80 characters.
CREATE OR REPLACE MACRO excerpt(value) AS left(regexp_replace(value, '[0-9]{7,}[Xx]?', '***', 'g'), 80);

-- A person's name as a finding may show it: 张**.
CREATE OR REPLACE MACRO cover_name(value) AS left(value, 1) || '**';

-- A code as a finding may show it: two characters at either end.
CREATE OR REPLACE MACRO cover_code(value) AS
    CASE WHEN length(value) <= 6 THEN '***' ELSE left(value, 2) || '***' || right(value, 2) END;

-- Bytes of a text in GBK: two for everything outside ASCII.
CREATE OR REPLACE MACRO gbk_bytes(value) AS 2 * length(value) - length(regexp_replace(value, '[^\x00-\x7F]', '', 'g'));

-- The birth date in an 18-character resident identity number; NULL when there is none.
CREATE OR REPLACE MACRO birth_date(value) AS
    CASE WHEN length(value) = 18 THEN try_cast(try_strptime(substring(value, 7, 8), '%Y%m%d') AS DATE) END;
