-- Dates. Only what keeps a date column from holding a million different texts is done here; the different texts that
-- remain are few and go through pipelines/normalize/dates.py, which also holds the twins of these macros.

-- The time of day behind a date, in local time (no zone, or +08:00), and the fraction of a spreadsheet's day number.
-- Most dates are too short for one, and spared the long expression. Names its argument more than once.
CREATE OR REPLACE MACRO date_without_time(value) AS CASE
    WHEN strlen(value) < 7 OR value[5] IN ('-', '/', '.') AND strlen(value) < 11 THEN value
    ELSE regexp_replace(
    value,
    '^([0-9]{4} *[-/.年] *[0-9]{1,2} *[-/.月] *[0-9]{1,2}(?: *[日号])?|[0-9]{8})(?: *[Tt,]? *(?:星期|周)[一二三四五六日天])?[ Tt]*(?:上午|下午|[AaPp][Mm])? *(?:[01]?[0-9]|2[0-3])[:时点][0-5]?[0-9](?:[:分][0-5]?[0-9](?:[.,][0-9]{1,9})?)?[分秒]? *(?:[AaPp][Mm])? *(?:\+08:?00)?$|^([0-9]{8})(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](?:[0-9]{3})?$|^([2-5][0-9]{4})\.[0-9]{1,12}$',
    '\1\2\3'
) END;

-- A time stamp as text that sorts by time (YYYY-MM-DD HH:MM:SS.ffffff); NULL for what is none.
CREATE OR REPLACE MACRO sortable_timestamp(value) AS strftime(
    try_strptime(
        regexp_replace(half_width(value), '\.([0-9]{6})[0-9]+$', '.\1'),
        [
            '%Y-%m-%d %H:%M:%S.%f', '%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M', '%Y-%m-%d',
            '%Y/%m/%d %H:%M:%S.%f', '%Y/%m/%d %H:%M:%S', '%Y/%m/%d %H:%M', '%Y/%m/%d',
            '%Y.%m.%d %H:%M:%S', '%Y.%m.%d', '%Y-%m-%dT%H:%M:%S.%f', '%Y-%m-%dT%H:%M:%S',
            '%Y年%m月%d日 %H:%M:%S', '%Y年%m月%d日', '%Y%m%d%H%M%S', '%Y%m%d'
        ]
    ),
    '%Y-%m-%d %H:%M:%S.%f'
);
