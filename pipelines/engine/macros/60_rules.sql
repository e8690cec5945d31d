-- What the rules ask about standard values. Every macro answers NULL for NULL, so that an empty field breaks no rule
-- but the ones that require it.

-- A date in standard form (YYYY/MM/DD) as DATE; NULL for everything else.
CREATE OR REPLACE MACRO rule_date(value) AS
    CASE WHEN strlen(value) = 10 AND value[8] = '/' AND value BETWEEN '1000/' AND '9999/~'
         THEN CAST(try_strptime(value, '%Y/%m/%d') AS DATE) END;

-- An amount in standard form, in 万元; NULL for text, signs without digits, more than six decimals or twelve digits.
CREATE OR REPLACE MACRO rule_amount(value) AS
    CASE WHEN regexp_full_match(value, '-?[0-9]{1,12}(\.[0-9]{1,6})?') THEN try_cast(value AS DECIMAL(18, 6)) END;

-- The year in the brackets of a document number, "某市监罚〔2024〕5号" → 2024; NULL without one.
-- The usual bracket is looked for first: a regular expression costs five times as much.
CREATE OR REPLACE MACRO document_year(value) AS
    CASE WHEN regexp_full_match(substring(value, strpos(value, '〔'), 6), '〔(?:19|20)[0-9]{2}〕')
         THEN CAST(substring(value, strpos(value, '〔') + 1, 4) AS INTEGER)
         ELSE try_cast(regexp_extract(value, '[〔\[［【(（]\s*((?:19|20)[0-9]{2})\s*年?\s*[〕\]］】)）]', 1) AS INTEGER)
    END;

-- Traces of a wrong decoding: the replacement character, the residue of UTF-8 read as GBK, private-use code points.
CREATE OR REPLACE MACRO is_garbled(value) AS
    regexp_matches(value, '[\x{FFFD}\x{E000}-\x{F8FF}\x{F0000}-\x{10FFFD}]|锟斤拷|烫烫烫|屯屯屯');

-- Whether any text of a row can hold what the macros on garbled text, special characters, errors of spreadsheets, telling
-- words and personal data look for: one pass over all of them, so that the exact questions are only asked of the few rows
-- that answer yes.
CREATE OR REPLACE MACRO is_suspect_text(value) AS
    regexp_matches(value, '[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{200B}-\x{200F}\x{2028}\x{2029}\x{E000}-\x{F8FF}\x{FEFF}\x{FFFD}\x{F0000}-\x{10FFFD}锟烫屯<&āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ]|[0-9]{11}|#[A-Z]|(?:^|\n)=|住址|户籍|住所地|简易程序|当场处罚|当场作出|国家秘密|涉密');

-- The same for names that are masked or have lost characters.
CREATE OR REPLACE MACRO is_suspect_name(value) AS regexp_matches(value, '[*＊某Xx×╳?？〓□■<脱]');

-- What receivers refuse as special characters: control and zero-width characters, markup and its entities.
CREATE OR REPLACE MACRO has_special_characters(value) AS
    regexp_matches(value, '[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{200B}-\x{200F}\x{2028}\x{2029}\x{FEFF}]|</?[A-Za-z!][^<>]{0,200}>|&(?:nbsp|lt|gt|amp|quot|#[0-9]{2,5});');

-- The reading of a character in brackets behind it, "關(guān)": what a browser's reading aid leaves in a copied text.
CREATE OR REPLACE MACRO has_pinyin(value) AS
    regexp_matches(value, '[\x{4E00}-\x{9FFF}][(（][a-zü]*[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][a-zü]*[)）]');

-- Rare characters that were lost on the way: a question mark, 〓 or □ inside a name.
CREATE OR REPLACE MACRO has_lost_characters(value) AS
    regexp_matches(value, '[\x{4E00}-\x{9FFF}][?？〓□■][?？〓□■]*|^[?？〓□■]');

-- A name that somebody masked: 张*, 李某某, XX公司, <masked>.
CREATE OR REPLACE MACRO is_masked_name(value) AS
    regexp_matches(value, '[*＊]|(?i:<masked>)|脱敏|某某|^.{1,2}某$|^某|(?:^|[^A-Za-z])(?:[Xx]{2,}|[×╳]{2,})(?:[^A-Za-z]|$)');

-- Several parties in one name: "甲公司;乙公司", "甲公司、乙店".
CREATE OR REPLACE MACRO names_several(value) AS
    contains(value, ';') OR contains(value, '；') OR contains(value, '|') OR contains(value, chr(10))
    OR CASE WHEN contains(value, '、') OR contains(value, ',') OR contains(value, '，')
            THEN regexp_matches(value, '(?:公司|厂|店|部|社|中心|院)[、,，].*(?:公司|厂|店|部|社|中心|院)$')
            ELSE FALSE END;

-- A name that somebody typed to try a form.
CREATE OR REPLACE MACRO is_test_name(value) AS
    regexp_full_match(value, '(?i)(?:测试|试用|test|demo|ceshi|aaa+|1{3,}|123+)(?:数据|企业|单位|公司)?[0-9]*');

-- A code that somebody masked: stars, a run of X, or the word for it.
CREATE OR REPLACE MACRO is_masked_code(value) AS regexp_matches(value, '[*＊●]|(?i:<masked>)|脱敏|[Xx×]{3,}|某');

-- A code that a spreadsheet turned into a number and wrote as 9.13302E+17.
CREATE OR REPLACE MACRO is_scientific(value) AS regexp_full_match(value, '[0-9](?:\.[0-9]*)?[Ee]\+?[0-9]{1,2}');

-- A code of 16 digits and more whose digits after the fifteenth are all zero: what a spreadsheet keeps of a number.
CREATE OR REPLACE MACRO is_cut_number(value) AS
    regexp_full_match(value, '[0-9]{15}0{1,5}') AND NOT regexp_full_match(value, '0+');

-- Personal data in free text: whatever mask_text would cover.
CREATE OR REPLACE MACRO has_personal_data(value) AS
    CASE WHEN regexp_matches(value, '[0-9]{11}') THEN mask_text(value) <> value ELSE FALSE END;

-- Free text as a finding may show it: personal data covered, cut after 80 characters.
CREATE OR REPLACE MACRO excerpt(value) AS left(mask_text(value), 80);

-- Bytes of a text in GBK: two for everything outside ASCII.
CREATE OR REPLACE MACRO gbk_bytes(value) AS 2 * length(value) - length(regexp_replace(value, '[^\x00-\x7F]', '', 'g'));

-- A class that stands twice among those joined by semicolons.
CREATE OR REPLACE MACRO repeats_class(classes) AS
    CASE WHEN contains(classes, ';')
         THEN len(string_split(classes, ';')) <> len(list_distinct(string_split(classes, ';')))
         ELSE FALSE END;

-- What a spreadsheet shows instead of a value: an error, or a formula that nobody computed.
CREATE OR REPLACE MACRO is_cell_error(value) AS
    regexp_full_match(value, '#(?:REF!|N/A|VALUE!|NAME[?]|DIV/0!|NUM!|NULL!|SPILL!|CALC!|GETTING_DATA|ERROR!?)')
    OR regexp_matches(value, '^=[A-Z][A-Z.]*[(]|^=\$?[A-Z]{1,3}\$?[0-9]+');

-- Where a person lives, written out in a text.
CREATE OR REPLACE MACRO has_home_address(value) AS
    regexp_matches(value, '(?:家庭住址|住址|户籍地址|户籍地|户籍所在地|户籍)[为是]?[：:]?\s*[\x{4E00}-\x{9FFF}]{2,}[省市区县州旗][\x{4E00}-\x{9FFF}0-9]{2,}');

-- A decision taken on the spot, which is not to be reported.
CREATE OR REPLACE MACRO is_summary_procedure(value) AS
    regexp_matches(value, '适用简易程序|按照?简易程序|简易程序(?:处罚|案件|决定)|当场处罚决定|当场作出(?:行政)?处罚');

-- A name that ends as a name does not: punctuation that was typed or copied along.
CREATE OR REPLACE MACRO ends_untidily(value) AS
    regexp_matches(value, '[、，。；：！,;:!_/\\-]$|[\x{4E00}-\x{9FFF}）][.·]$|^[、，。；：,;:.·_/\\-]');

-- The form of a company, mistyped: 有限公词, 有陷公司, or cut off behind 有限公.
CREATE OR REPLACE MACRO mistypes_company(value) AS
    CASE WHEN ends_with(value, '有限公司') THEN ends_with(value, '有限公司有限公司')
         WHEN ends_with(value, '有限责任公司') THEN FALSE
         ELSE regexp_matches(value, '有限公[^司]?$|有限责任公[^司]?$|有[陷县现线]公司|有限[工功攻共]司|有根公司|友限公司|有限公司公司$|有限司$') END;

-- Names that stand for nobody in manuals and trials.
CREATE OR REPLACE MACRO is_sample_person(value) AS
    value IN ('张三', '李四', '王五', '赵六', '张三三', '李四四', '某某某', '小明', '张三李四', '姓名', '名称');

-- A document number, content or remark that somebody typed to try a form.
CREATE OR REPLACE MACRO is_test_text(value) AS
    CASE WHEN length(value) <= 12
         THEN regexp_full_match(value, '(?i)(?:测试|试用|test|demo|ceshi|aaa+|asdf*|1{3,}|123+(?:456)?)(?:数据|文号|内容|记录|专用)?[0-9]*|(?:此条|本条)?(?:为|是)?测试数据')
         ELSE FALSE END;

-- The fine in yuan that the text of a decision names; NULL unless it names exactly one.
CREATE OR REPLACE MACRO stated_fine(value) AS
    CASE WHEN contains(value, '罚款')
         THEN list_transform(
             [regexp_extract_all(replace(value, ',', ''), '罚款(?:人民币)?[^0-9，。；;、]{0,4}[0-9]{1,12}(?:\.[0-9]{1,6})?万?元')],
             lambda found: CASE WHEN len(found) = 1
                 THEN try_cast(regexp_extract(found[1], '[0-9.]+') AS DECIMAL(18, 6)) * CASE WHEN ends_with(found[1], '万元') THEN 10000 ELSE 1 END
             END
         )[1] END;
