-- Names and document numbers, and the keys by which they are compared. Twins: pipelines/normalize/documents.py.

-- Brackets in a Chinese name are full-width. Names its argument more than once.
CREATE OR REPLACE MACRO name_with_wide_brackets(value) AS
    CASE WHEN holds_han(value) THEN translate(value, '()﹙﹚', '（）（）') ELSE value END;

-- Full-width letters, digits and punctuation to half-width.
CREATE OR REPLACE MACRO half_width(value) AS translate(
    value,
    '！＂＃＄％＆＇（）＊＋，－．／０１２３４５６７８９：；＜＝＞？＠ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ［＼］＾＿｀ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ｛｜｝～　',
    '!"#$%&''()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~ '
);

CREATE OR REPLACE MACRO ascii_upper(value) AS
    translate(value, 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ');

-- The number of a document without its typing habits: brackets, width, dashes, blanks and case. 第 and 号 stay.
CREATE OR REPLACE MACRO canonical_document_number(value) AS nullif(ascii_upper(regexp_replace(
    translate(half_width(value), '[](){}【】「」〈〉﹝﹞﹙﹚‐‑‒–—―−', '〔〕〔〕〔〕〔〕〔〕〔〕〔〕〔〕-------'),
    '[\x00-\x20\x7f-\xa0\x{ad}\x{180e}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{206f}\x{3000}\x{feff}\x{fff9}-\x{fffb}]',
    '', 'g'
)), '');

-- A name for comparison only: no brackets, blanks, width, case or trailing punctuation; one middle dot.
CREATE OR REPLACE MACRO name_key(value) AS nullif(ascii_upper(regexp_replace(
    translate(half_width(value), '•・‧∙⋅', '·····'),
    '[\x00-\x20\x7f-\xa0\x{ad}\x{180e}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{206f}\x{3000}\x{feff}\x{fff9}-\x{fffb}()\[\]{}【】〔〕「」〈〉﹝﹞﹙﹚]|[ .,;:。、]+$',
    '', 'g'
)), '');
