-- Repairs of text and names. Every macro has a slow Python twin of the same name in pipelines/normalize/texts.py; a
-- test holds the two together. No macro raises, whatever the text; NULL gives NULL. A macro that names its argument
-- once can be nested cheaply; those that name it more often say so and get a projection of their own.

-- What stands for "nothing" in every kind of field. 0 is a value in amounts, code lists and free text.
CREATE OR REPLACE MACRO empty_token_pattern() AS
    '[-—–－/／\\_]+|无|（?空）?|\(空\)|暂无|不详|\\[Nn]|[Nn]/[Aa]|[Nn][Aa][Nn]|[Nn]one|[Uu]ndefined|UNDEFINED'
    || '|[\[(<]?[Nn][Uu][Ll][Ll][\])>]?';

-- Whether a value may need a repair of text. ``joined`` is '|' || value || '|', or several values with bars between
-- them; a value that holds a bar itself can only raise a false alarm.
CREATE OR REPLACE MACRO is_untidy(joined) AS regexp_matches(
    joined,
    concat(
        '[\x00-\x1f\x7f\x{85}\x{a0}\x{ad}\x{2002}\x{2003}\x{2009}\x{200b}-\x{200f}\x{2028}-\x{202f}\x{2060}\x{2066}-\x{2069}\x{feff}]',
        '|\|[ \x{3000}''=]|[ \x{3000}]\||&[A-Za-z#]|<[/A-Za-z]|\|(?:', empty_token_pattern(), '|0)\|'
    )
);

-- The same question for a whole row, with more false alarms at a third of the cost: looking for one constant is far
-- faster than a class of characters, and JSON knows no control character inside a string.
CREATE OR REPLACE MACRO may_be_untidy(joined) AS
    NOT json_valid('"' || joined || '"')
    OR contains(joined, chr(127)) OR contains(joined, chr(133)) OR contains(joined, chr(160))
    OR contains(joined, chr(173)) OR contains(joined, chr(8194)) OR contains(joined, chr(8195))
    OR contains(joined, chr(8201)) OR contains(joined, chr(8203)) OR contains(joined, chr(8204))
    OR contains(joined, chr(8205)) OR contains(joined, chr(8206)) OR contains(joined, chr(8207))
    OR contains(joined, chr(8232)) OR contains(joined, chr(8233)) OR contains(joined, chr(8234))
    OR contains(joined, chr(8235)) OR contains(joined, chr(8236)) OR contains(joined, chr(8237))
    OR contains(joined, chr(8238)) OR contains(joined, chr(8239)) OR contains(joined, chr(8288))
    OR contains(joined, chr(8294)) OR contains(joined, chr(8295)) OR contains(joined, chr(8296))
    OR contains(joined, chr(8297)) OR contains(joined, chr(65279))
    OR contains(joined, '| ') OR contains(joined, ' |') OR contains(joined, '|　') OR contains(joined, '　|')
    OR contains(joined, '|''') OR contains(joined, '|=') OR contains(joined, '&') OR contains(joined, '<')
    OR regexp_matches(joined, concat('\|(?:', empty_token_pattern(), '|0)\|'));

CREATE OR REPLACE MACRO has_narrow_brackets(value) AS
    contains(value, '(') OR contains(value, ')') OR contains(value, '﹙') OR contains(value, '﹚');

CREATE OR REPLACE MACRO text_or_null(value) AS
    nullif(regexp_replace(value, '^(?:' || empty_token_pattern() || ')$', ''), '');

CREATE OR REPLACE MACRO name_or_null(value) AS
    nullif(regexp_replace(value, '^(?:' || empty_token_pattern() || '|0)$', ''), '');

-- Invisible characters go (C1 controls stay: they are traces of a wrong decoding, which no one may hide); blanks that only look like one become one.
CREATE OR REPLACE MACRO text_without_invisible(value) AS regexp_replace(
    regexp_replace(
        value,
        '[\x00-\x08\x0e-\x1f\x7f\x{ad}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}\x{2066}-\x{2069}\x{feff}]',
        '', 'g'
    ),
    '[\x{a0}\x{2002}\x{2003}\x{2009}\x{202f}]', ' ', 'g'
);

-- Line breaks and tabs, with the blanks around them, become one blank.
CREATE OR REPLACE MACRO text_on_one_line(value) AS
    regexp_replace(value, '[ \x{3000}]*[\t\n\x0b\x0c\r\x{85}\x{2028}\x{2029}][ \x{3000}\t\n\x0b\x0c\r\x{85}\x{2028}\x{2029}]*', ' ', 'g');

CREATE OR REPLACE MACRO holds_han(value) AS regexp_matches(
    value, '[\x{3007}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{f900}-\x{faff}\x{20000}-\x{3134f}]'
);

-- In a Chinese name a line break separates nothing. Names its argument more than once.
CREATE OR REPLACE MACRO name_on_one_line(value) AS
    CASE WHEN holds_han(value)
         THEN regexp_replace(value, '[ \x{3000}]*[\t\n\x0b\x0c\r\x{85}\x{2028}\x{2029}][ \x{3000}\t\n\x0b\x0c\r\x{85}\x{2028}\x{2029}]*', '', 'g')
         ELSE text_on_one_line(value) END;

CREATE OR REPLACE MACRO trimmed(value) AS
    trim(value, concat(' ', chr(9), chr(10), chr(11), chr(12), chr(13), chr(12288)));

-- What people type to keep a spreadsheet from reading a number: a leading apostrophe, ="0012".
CREATE OR REPLACE MACRO text_without_spreadsheet_trick(value) AS
    regexp_replace(value, '^''?="[ \x{3000}]*([^"'']*?)[ \x{3000}]*"$|^''[ \x{3000}]*([^'']*)$', '\1\2');

CREATE OR REPLACE MACRO has_markup(value) AS regexp_matches(
    value,
    '&(?:nbsp|lt|gt|amp|quot|apos|ldquo|rdquo|lsquo|rsquo|middot|mdash|ndash|hellip|ensp|emsp|times|yen|bull|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});'
    || '|</?(?:br|p|div|span|b|i|u|em|strong|font|sub|sup|a|img|li|ul|ol|table|tbody|tr|td|th|hr|h[1-6]'
    || '|BR|P|DIV|SPAN|B|I|U|EM|STRONG|FONT|SUB|SUP|A|IMG|LI|UL|OL|TABLE|TBODY|TR|TD|TH|HR|H[1-6])(?:[ /][^<>]{0,300})?>'
);

-- The character of &#65; or &#x41;; what is no character stays as it is.
CREATE OR REPLACE MACRO entity_character(entity) AS coalesce(
    try(chr(CASE WHEN entity[3] IN ('x', 'X') THEN try_cast('0x' || entity[4:-2] AS INTEGER)
                 ELSE try_cast(entity[3:-2] AS INTEGER) END)),
    entity
);

CREATE OR REPLACE MACRO named_entities_decoded(value) AS
    replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(
    replace(replace(replace(replace(replace(replace(replace(value,
        '&nbsp;', ' '), '&ensp;', ' '), '&emsp;', ' '), '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&apos;', ''''),
        '&ldquo;', '“'), '&rdquo;', '”'), '&lsquo;', '‘'), '&rsquo;', '’'), '&middot;', '·'), '&mdash;', '—'),
        '&ndash;', '–'), '&hellip;', '…'), '&times;', '×'), '&yen;', '¥');

-- Entities unescaped and tags taken out, once.
CREATE OR REPLACE MACRO markup_taken_out(value) AS
    regexp_replace(
        regexp_replace(
            text_on_one_line(text_without_invisible(replace(
                list_reduce(
                    regexp_extract_all(value, '&#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6});'),
                    lambda decoded, entity: replace(decoded, entity, entity_character(entity)),
                    replace(named_entities_decoded(value), '&bull;', '•')
                ),
                '&amp;', '&'
            ))),
            '</?(?:br|p|div|li|tr|td|th|hr|h[1-6]|BR|P|DIV|LI|TR|TD|TH|HR|H[1-6])(?:[ /][^<>]{0,300})?>', ' ', 'g'
        ),
        '</?(?:span|b|i|u|em|strong|font|sub|sup|a|img|ul|ol|table|tbody'
        || '|SPAN|B|I|U|EM|STRONG|FONT|SUB|SUP|A|IMG|UL|OL|TABLE|TBODY)(?:[ /][^<>]{0,300})?>',
        '', 'g'
    );

-- Text escaped twice is left alone: nobody knows how often it was meant. Names its argument more than once.
CREATE OR REPLACE MACRO text_without_markup(value) AS
    CASE WHEN NOT (contains(value, '&') OR contains(value, '<')) THEN value
         WHEN has_markup(value)
         THEN list_transform(
             [markup_taken_out(value)], lambda plain: CASE WHEN has_markup(plain) THEN value ELSE plain END
         )[1]
         ELSE value END;
