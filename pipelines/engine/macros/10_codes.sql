-- Verdicts on the codes of organisations and persons. Every macro has a slow Python twin of the same name in
-- pipelines/identity/, where the rules and their sources are explained; a test holds the two together.
-- Arguments are trimmed, upper-case and half-width already; any other text gets a verdict too, never an error.
-- NULL gives NULL.

-- Regions: pipelines/identity/regions.py

-- A six-digit region that can head a resident identity number: province and prefecture known to GB/T 2260.
CREATE OR REPLACE MACRO resident_region_pattern() AS concat(
    '(?:',
    '(?:11|12|31)0[0-2]',
    '|13(?:0[0-9]|1[01]|2[1-9]|30|90)',
    '|(?:14|33)(?:0[0-9]|1[01]|2[1-7]|90)',
    '|15(?:0[0-9]|2[1-9])',
    '|21(?:0[0-9]|1[0-4]|2[12]|90)',
    '|22(?:0[0-8]|2[1-6]|90)',
    '|23(?:0[0-9]|1[0-2]|2[1-7]|90)',
    '|32(?:0[0-9]|1[0-3]|2[1-7]|90)',
    '|34(?:0[0-9]|1[0-8]|2[1-9])',
    '|35(?:0[0-9]|2[1-7]|90)',
    '|36(?:0[0-9]|1[01]|2[1-6]|90)',
    '|37(?:0[0-9]|1[0-7]|2[1-9]|90)',
    '|41(?:0[0-9]|1[0-7]|2[1-9]|30|90)',
    '|42(?:0[0-9]|1[0-3]|2[1-9]|90)',
    '|43(?:0[0-9]|1[0-3]|2[1-9]|3[01]|90)',
    '|44(?:[0-2][0-9]|5[1-3]|90)',
    '|45(?:0[0-9]|1[0-4]|2[1-8])',
    '|46(?:0[0-4]|90)',
    '|500[0-3]',
    '|51(?:[0-3][0-9]|90)',
    '|(?:52|54)(?:0[0-6]|2[1-7])',
    '|53(?:0[0-9]|2[1-9]|3[0-5])',
    '|61(?:0[0-9]|10|2[1-7])',
    '|62(?:0[0-9]|1[0-2]|2[1-9]|30)',
    '|63(?:0[0-2]|2[1-8])',
    '|64(?:0[0-5]|2[12])',
    '|65(?:0[0-5]|2[1-9]|3[0-2]|4[0-3]|90)',
    '|(?:71|81|82|83)00',
    ')[0-9]{2}'
);

CREATE OR REPLACE MACRO is_business_region(code) AS
    regexp_full_match(code, '(?:1[0-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|99)[0-9]{4}');

-- Codes of one repeated character are never real.
CREATE OR REPLACE MACRO is_repeated_character(code) AS
    length(code) > 1 AND code = repeat(code[1], length(code));

-- Resident identity number GB 11643: pipelines/identity/resident_id.py

CREATE OR REPLACE MACRO month_day_pattern() AS '(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])';

CREATE OR REPLACE MACRO resident_id_weighted_sum(code) AS (
    strpos('0123456789', code[1]) * 7 + strpos('0123456789', code[2]) * 9
    + strpos('0123456789', code[3]) * 10 + strpos('0123456789', code[4]) * 5
    + strpos('0123456789', code[5]) * 8 + strpos('0123456789', code[6]) * 4
    + strpos('0123456789', code[7]) * 2 + strpos('0123456789', code[8]) + strpos('0123456789', code[9]) * 6
    + strpos('0123456789', code[10]) * 3 + strpos('0123456789', code[11]) * 7
    + strpos('0123456789', code[12]) * 9 + strpos('0123456789', code[13]) * 10
    + strpos('0123456789', code[14]) * 5 + strpos('0123456789', code[15]) * 8
    + strpos('0123456789', code[16]) * 4 + strpos('0123456789', code[17]) * 2 - 100
);

CREATE OR REPLACE MACRO resident_id_check_character(code) AS
    CASE
        WHEN regexp_full_match(code[1:17], '[0-9]{17}')
        THEN substr('10X98765432', resident_id_weighted_sum(code) % 11 + 1, 1)
    END;

CREATE OR REPLACE MACRO resident_id_birth_date(code) AS
    CASE
        WHEN regexp_full_match(code, '[0-9]{6}(?:1[89]|20)[0-9]{9}[0-9X]')
        THEN try_cast(concat(code[7:10], '-', code[11:12], '-', code[13:14]) AS DATE)
        WHEN regexp_full_match(code, '[0-9]{15}')
        THEN try_cast(concat('19', code[7:8], '-', code[9:10], '-', code[11:12]) AS DATE)
    END;

-- The 18-character form without the check: region, a date between 1800 and 2049, digits.
CREATE OR REPLACE MACRO has_resident_id_form(code) AS
    CASE
        WHEN regexp_full_match(
            code,
            concat(
                resident_region_pattern(), '(?:1[89][0-9]{2}|20[0-4][0-9])',
                month_day_pattern(), '[0-9]{3}[0-9X]'
            )
        )
        THEN resident_id_birth_date(code) IS NOT NULL
        WHEN code IS NOT NULL THEN FALSE
    END;

CREATE OR REPLACE MACRO is_legacy_resident_id(code) AS
    CASE
        WHEN regexp_full_match(
            code, concat(resident_region_pattern(), '[1-9][0-9]', month_day_pattern(), '[0-9]{3}')
        )
        THEN resident_id_birth_date(code) IS NOT NULL
        WHEN code IS NOT NULL THEN FALSE
    END;

CREATE OR REPLACE MACRO resident_id_verdict(code) AS
    CASE
        WHEN code IS NULL THEN NULL
        WHEN has_resident_id_form(code)
            AND code[18] = substr('10X98765432', resident_id_weighted_sum(code) % 11 + 1, 1)
        THEN 'valid'
        WHEN is_legacy_resident_id(code) THEN 'legacy'
        WHEN regexp_full_match(code, '[0-9]{1,17}(?:\*{2,}|X{2,})[0-9X]{0,15}') THEN 'masked'
        ELSE 'invalid'
    END;

-- The number of someone who can be alive: valid, and born in 1900 or later.
CREATE OR REPLACE MACRO is_resident_id(code) AS
    CASE
        WHEN code IS NULL THEN NULL
        WHEN has_resident_id_form(code) AND code[7:8] <> '18'
        THEN code[18] = substr('10X98765432', resident_id_weighted_sum(code) % 11 + 1, 1)
        ELSE FALSE
    END;

CREATE OR REPLACE MACRO resident_id_15_to_18(code) AS
    CASE
        WHEN is_legacy_resident_id(code) AND NOT regexp_full_match(code[13:15], '99[6-9]')
        THEN concat(
            code[1:6], '19', code[7:15], resident_id_check_character(concat(code[1:6], '19', code[7:15]))
        )
    END;

-- Organisation code GB 11714: pipelines/identity/organisation_code.py

CREATE OR REPLACE MACRO organisation_code_weighted_sum(code) AS (
    strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[1]) * 3
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[2]) * 7
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[3]) * 9
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[4]) * 10
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[5]) * 5
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[6]) * 8
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[7]) * 4
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[8]) * 2 - 48
);

CREATE OR REPLACE MACRO organisation_code_check_character(code) AS
    CASE
        WHEN regexp_full_match(code[1:8], '[0-9A-Z]{8}')
        THEN substr('0X987654321', organisation_code_weighted_sum(code) % 11 + 1, 1)
    END;

CREATE OR REPLACE MACRO organisation_code_verdict(code) AS
    CASE
        WHEN code IS NULL THEN NULL
        WHEN NOT regexp_full_match(code, '[0-9A-Z]{8}[0-9X]') OR is_repeated_character(code[1:8]) THEN 'invalid'
        WHEN code[9] = substr('0X987654321', organisation_code_weighted_sum(code) % 11 + 1, 1) THEN 'valid'
        ELSE 'invalid'
    END;

-- Business registration number: pipelines/identity/registration_number.py

-- One digit of ISO 7064 MOD 11,10; nested fourteen times below.
CREATE OR REPLACE MACRO mod_11_10(product, code, place) AS
    ((product + ascii(code[place]) - 39) % 10 + 1) * 2 % 11;

CREATE OR REPLACE MACRO has_registration_check(code) AS
    CASE
        WHEN regexp_full_match(code, '[0-9]{15}')
        THEN (
            mod_11_10(mod_11_10(mod_11_10(mod_11_10(mod_11_10(mod_11_10(mod_11_10(
            mod_11_10(mod_11_10(mod_11_10(mod_11_10(mod_11_10(mod_11_10(mod_11_10(
            10, code, 1), code, 2), code, 3), code, 4), code, 5), code, 6), code, 7),
            code, 8), code, 9), code, 10), code, 11), code, 12), code, 13), code, 14)
            + ascii(code[15]) - 48
        ) % 10 = 1
        WHEN code IS NOT NULL THEN FALSE
    END;

-- Unified social credit code GB 32100: pipelines/identity/uscc.py

CREATE OR REPLACE MACRO has_uscc_form(code) AS regexp_full_match(code, '[0-9A-HJ-NPQRTUWXY]{18}');

CREATE OR REPLACE MACRO uscc_character(value) AS substr('0123456789ABCDEFGHJKLMNPQRTUWXY', value + 1, 1);

CREATE OR REPLACE MACRO uscc_weighted_sum(code) AS (
    strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[1])
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[2]) * 3
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[3]) * 9
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[4]) * 27
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[5]) * 19
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[6]) * 26
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[7]) * 16
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[8]) * 17
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[9]) * 20
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[10]) * 29
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[11]) * 25
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[12]) * 13
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[13]) * 8
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[14]) * 24
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[15]) * 10
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[16]) * 30
    + strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', code[17]) * 28 - 305
);

CREATE OR REPLACE MACRO uscc_check_character(code) AS
    CASE
        WHEN regexp_full_match(code[1:17], '[0-9A-HJ-NPQRTUWXY]{17}')
        THEN uscc_character((31 - uscc_weighted_sum(code) % 31) % 31)
    END;

-- ISO 7064 MOD 37-2 read from the left, as the Fujian pilot of 2015 computed it: 0 when it holds.
CREATE OR REPLACE MACRO uscc_pilot_sum(code) AS (
    strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[1])
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[2]) * 2
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[3]) * 4
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[4]) * 8
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[5]) * 16
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[6]) * 32
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[7]) * 27
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[8]) * 17
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[9]) * 34
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[10]) * 31
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[11]) * 25
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[12]) * 13
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[13]) * 26
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[14]) * 15
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[15]) * 30
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[16]) * 23
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[17]) * 9
    + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', code[18]) - 314
) % 37;

CREATE OR REPLACE MACRO is_denied_uscc(code) AS
    code = '123456789012345678' OR code[9:16] = '00000000' OR is_repeated_character(code);

CREATE OR REPLACE MACRO uscc_verdict(code) AS
    CASE
        WHEN code IS NULL THEN NULL
        WHEN is_resident_id(code) THEN 'person_number'
        WHEN NOT has_uscc_form(code)
        THEN
            CASE
                WHEN is_legacy_resident_id(code) AND NOT has_registration_check(code) THEN 'person_number'
                ELSE 'invalid'
            END
        WHEN code = '00000000000000000X' THEN 'placeholder'
        WHEN is_denied_uscc(code) THEN 'invalid'
        WHEN code[18] = uscc_character((31 - uscc_weighted_sum(code) % 31) % 31) THEN 'valid'
        WHEN organisation_code_verdict(code[9:17]) <> 'valid' THEN 'invalid'
        WHEN code[18] = uscc_character(uscc_weighted_sum(code) % 31) THEN 'issued_nonstandard'
        WHEN code[3:4] = '35' AND code[9:10] = 'M0' AND uscc_pilot_sum(code) = 0 THEN 'issued_nonstandard'
        ELSE 'invalid'
    END;

CREATE OR REPLACE MACRO is_known_prefix(code) AS
    regexp_matches(code, '^(?:[159][1239]|3[123459]|5[45]|[248A][19]|[67][129]|N[1239]|Y1)');

-- The second branch only spares the list for the many codes without a warning.
CREATE OR REPLACE MACRO uscc_warnings(code) AS
    CASE
        WHEN code IS NULL THEN NULL
        WHEN NOT has_uscc_form(code) OR code = '00000000000000000X' THEN []::VARCHAR[]
        WHEN is_known_prefix(code) AND is_business_region(code[3:8])
            AND organisation_code_verdict(code[9:17]) = 'valid'
        THEN []::VARCHAR[]
        ELSE list_filter(
            [
                CASE WHEN NOT is_known_prefix(code) THEN 'unknown_prefix' END,
                CASE WHEN NOT is_business_region(code[3:8]) THEN 'unknown_region' END,
                CASE WHEN organisation_code_verdict(code[9:17]) <> 'valid' THEN 'organisation_code_check' END
            ],
            lambda warning: warning IS NOT NULL
        )
    END;

-- Registration, tax and certificate numbers may be a unified social credit code since the merger of 2015.

CREATE OR REPLACE MACRO registration_number_verdict(code) AS
    CASE
        WHEN code IS NULL THEN NULL
        WHEN length(code) = 18 THEN uscc_verdict(code)
        WHEN is_repeated_character(code) THEN 'invalid'
        WHEN has_registration_check(code) THEN 'valid'
        WHEN is_legacy_resident_id(code) THEN 'person_number'
        WHEN regexp_full_match(code, '[0-9]{6}(?:[0-9]{7}|NA[0-9]{6}X)') AND is_business_region(code[1:6])
        THEN 'legacy'
        WHEN regexp_full_match(code, '[0-9A-Z]{16}') THEN 'internal_number'
        ELSE 'invalid'
    END;

-- Tax registration number: pipelines/identity/tax_registration.py

CREATE OR REPLACE MACRO tax_registration_verdict(code) AS
    CASE
        WHEN code IS NULL THEN NULL
        WHEN length(code) = 18 THEN uscc_verdict(code)
        WHEN regexp_full_match(code, '[0-9]{6}[0-9A-Z]{9}') AND organisation_code_verdict(code[7:15]) = 'valid'
        THEN 'valid'
        WHEN length(code) = 15 AND is_legacy_resident_id(code) THEN 'person_number'
        WHEN regexp_full_match(code, '[0-9]{17}') AND is_legacy_resident_id(code[1:15]) THEN 'person_number'
        WHEN regexp_full_match(code, '[0-9]{17}[0-9X][0-9]{2}') AND is_resident_id(code[1:18])
        THEN 'person_number'
        WHEN regexp_full_match(code, '[0-9]{15}[0-9A-Z]{5}') AND is_legacy_resident_id(code[1:15])
        THEN 'person_number'
        ELSE 'invalid'
    END;

-- Public-institution certificate number: pipelines/identity/institution_certificate.py

CREATE OR REPLACE MACRO institution_certificate_verdict(code) AS
    CASE
        WHEN code IS NULL THEN NULL
        WHEN length(code) = 18 THEN uscc_verdict(code)
        WHEN regexp_full_match(code, '(?:事证第)?[0-9]{12}号?')
            AND NOT is_repeated_character(regexp_extract(code, '[0-9]{12}'))
        THEN 'valid'
        WHEN is_legacy_resident_id(code) THEN 'person_number'
        ELSE 'invalid'
    END;

-- What is wrong with a code that uscc_verdict calls invalid; NULL for every other verdict.
CREATE OR REPLACE MACRO uscc_defect(code) AS
    CASE
        WHEN uscc_verdict(code) IS DISTINCT FROM 'invalid' THEN NULL
        WHEN regexp_full_match(code, '[0-9](?:\.[0-9]+)?E\+?[0-9]+') THEN 'scientific_notation'
        WHEN regexp_matches(code, '\*|XXX') THEN 'masked'
        WHEN registration_number_verdict(code) IN ('valid', 'legacy') THEN 'registration_number'
        WHEN organisation_code_verdict(code) = 'valid' THEN 'organisation_code'
        WHEN length(code) <> 18 THEN 'wrong_length'
        WHEN is_denied_uscc(code) THEN 'denied'
        WHEN regexp_full_match(code, '[0-9]{15}000') THEN 'float_truncated'
        WHEN has_uscc_form(code) THEN 'check_mismatch'
        WHEN regexp_full_match(code, '[0-9A-Z]+') THEN 'excluded_letter'
        ELSE 'foreign_character'
    END;
