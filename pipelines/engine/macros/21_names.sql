-- Names and document numbers, and the keys by which they are compared. Twins: pipelines/normalize/documents.py.

-- Brackets in a Chinese name are full-width. Names its argument more than once.
CREATE OR REPLACE MACRO name_with_wide_brackets(value) AS
    CASE WHEN holds_han(value) THEN translate(value, '()﹙﹚', '（）（）') ELSE value END;

-- Full-width letters, digits and punctuation to half-width. translate() builds its table for every single value, so it
-- is asked only where it has something to do. Names its argument more than once, like the next one.
CREATE OR REPLACE MACRO half_width(value) AS CASE
    WHEN NOT regexp_matches(value, '[\x{ff01}-\x{ff5e}\x{3000}]') THEN value
    ELSE translate(
    value,
    '！＂＃＄％＆＇（）＊＋，－．／０１２３４５６７８９：；＜＝＞？＠ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ［＼］＾＿｀ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ｛｜｝～　',
    '!"#$%&''()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~ '
) END;

CREATE OR REPLACE MACRO ascii_upper(value) AS
    CASE WHEN NOT regexp_matches(value, '[a-z]') THEN value
         WHEN strlen(value) = length(value) THEN upper(value)
         ELSE translate(value, 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') END;

-- The number of a document without its typing habits: brackets, width, dashes, blanks and case. 第 and 号 stay.
-- The test spares nearly all values the rest, which costs twenty times as much.
CREATE OR REPLACE MACRO canonical_document_number(value) AS
    CASE WHEN regexp_full_match(value, '[0-9A-Z\x{4e00}-\x{9fff}〔〕-]+') THEN value
         ELSE nullif(ascii_upper(regexp_replace(
             translate(half_width(value), '[](){}【】「」〈〉﹝﹞﹙﹚‐‑‒–—―−', '〔〕〔〕〔〕〔〕〔〕〔〕〔〕〔〕-------'),
             '[\x00-\x20\x7f-\xa0\x{ad}\x{180e}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{206f}\x{3000}\x{feff}\x{fff9}-\x{fffb}]',
             '', 'g'
         )), '') END;

-- A name for comparison only: no brackets, blanks, width, case or trailing punctuation; one middle dot.
CREATE OR REPLACE MACRO name_key(value) AS
    CASE WHEN regexp_full_match(value, '[0-9A-Z\x{4e00}-\x{9fff}]+') THEN value
         ELSE nullif(ascii_upper(regexp_replace(
             translate(half_width(value), '•・‧∙⋅', '·····'),
             '[\x00-\x20\x7f-\xa0\x{ad}\x{180e}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{206f}\x{3000}\x{feff}\x{fff9}-\x{fffb}()\[\]{}【】〔〕「」〈〉﹝﹞﹙﹚]|[ .,;:。、]+$',
             '', 'g'
         )), '') END;
