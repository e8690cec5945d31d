"""Which row of a batch is a row that an earlier batch had problems with, also when the broken field was mended."""

from __future__ import annotations

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier

ROW_KEYS = "row_keys"
CASES_BEFORE = "cases_before"


def create_row_keys(session: Session, category: Category) -> None:
    """Create the table ``row_keys`` of the rows that have a problem now or had one in ``cases_before``.

    Columns: row_no; row_key (SHA-256, that of the first batch that had a problem with the row); match_key (what the row
    is recognised by next time: canonical document number and name, or the whole content where there is no number);
    document_key, content_hash, code_hash, rest_hash (content without document numbers), decision_date; is_excluded;
    is_alias.

    A row is recognised, the surest sign first: by its place when the extract is the same; by its match key, as it was
    last or first; by its document number, when the name was or is the problem or the code is the same; by all it says
    beside the document number, when that was the problem. The last two only where exactly one row is left over on both
    sides: a wrong guess would call something mended that nobody touched. A row that is recognised already may also be
    what another one has become (``is_alias``): a decision whose number was right, then wrong, then right again.

    Reads ``standard``, ``keyed``, ``verdicts``, ``findings`` and ``cases_before``.
    """
    _create_base_rows(session)
    _create_candidates(session, category)
    session.execute(
        """
        CREATE OR REPLACE TEMP TABLE matched AS
        SELECT c.row_no, min(b.row_key) AS row_key, false AS is_alias
        FROM candidates c JOIN base_rows b
            ON c.extract = b.extract AND c.line = b.line AND c.sheet IS NOT DISTINCT FROM b.sheet
        GROUP BY c.row_no;
        INSERT INTO matched
        SELECT c.row_no, min(b.row_key), false FROM candidates c JOIN base_rows b USING (match_key)
        WHERE c.row_no NOT IN (SELECT row_no FROM matched) GROUP BY c.row_no
        """
    )
    name = f"list_contains(b.fields, '{category.roles.subject_name}')"
    documents = " OR ".join(f"list_contains(b.fields, '{code}')" for code in _document_fields(category))
    for is_alias in (False, True):
        _match_leftovers(session, "document_key", f"({name} OR c.code_hash = b.code_hash OR c.is_nameless)", is_alias)
        _match_leftovers(session, "rest_hash", f"({documents})", is_alias)
    session.execute(
        f"""
        CREATE OR REPLACE TABLE {ROW_KEYS} AS
        SELECT c.row_no, coalesce(m.row_key, c.match_key) AS row_key, c.match_key, c.document_key, c.content_hash,
               c.code_hash, c.rest_hash, c.decision_date, c.is_excluded, coalesce(m.is_alias, false) AS is_alias
        FROM candidates c LEFT JOIN matched m USING (row_no)
        WHERE m.row_key IS NOT NULL OR c.has_problem;
        DROP TABLE candidates; DROP TABLE matched; DROP TABLE base_rows
        """
    )


def _document_fields(category: Category) -> list[str]:
    roles = category.roles
    return [code for code in (roles.document_number, roles.document_number_fallback) if code is not None]


def _create_base_rows(session: Session) -> None:
    """One line per row that has or had a case, as it was last seen; ``fields``: those with a problem then."""
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE base_rows AS
        SELECT row_key, max_by(match_key, seen) AS match_key, max_by(document_key, seen) AS document_key,
               max_by(content_hash, seen) AS content_hash, max_by(code_hash, seen) AS code_hash,
               max_by(rest_hash, seen) AS rest_hash, max_by(decision_date, seen) AS decision_date,
               max_by(extract, seen) AS extract, max_by(sheet, seen) AS sheet, max_by(line, seen) AS line,
               coalesce(list(DISTINCT field) FILTER (state <> 'verified'), []) AS fields
        FROM (SELECT *, (judged_on, run, case_key) AS seen FROM {CASES_BEFORE} WHERE kind = 'row')
        GROUP BY row_key
        """
    )


def _create_candidates(session: Session, category: Category) -> None:
    """Only rows with a problem and rows that may be those of a case get keys: most rows of a batch are neither."""
    roles = category.roles
    date, code = identifier(roles.decision_date), identifier(roles.subject_code)
    documents = _document_fields(category)
    rest = ", ".join(f"coalesce(s.{identifier(field)}, '')" for field in category.field_codes if field not in documents)
    mended = " OR ".join(f"list_contains(fields, '{field}')" for field in documents)
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE concerned AS
        SELECT row_no, bool_or(has_problem) AS has_problem FROM (
            SELECT row_no, true AS has_problem FROM findings
            WHERE row_no IS NOT NULL AND severity IN ('block', 'warn')
            UNION ALL
            SELECT row_no, true FROM verdicts WHERE len(waived) > 0
            UNION ALL
            SELECT row_no, false FROM keyed WHERE document_key IN (SELECT document_key FROM base_rows)
            UNION ALL
            SELECT row_no, false FROM keyed
            WHERE document_key IS NULL AND content_hash IN (SELECT content_hash FROM base_rows)
            UNION ALL
            SELECT row_no, false FROM standard JOIN base_rows b USING (extract, line)
            WHERE standard.sheet IS NOT DISTINCT FROM b.sheet
            UNION ALL
            SELECT row_no, false FROM standard
            WHERE {date} IN (SELECT decision_date FROM base_rows WHERE {mended})
        ) GROUP BY row_no;

        CREATE OR REPLACE TEMP TABLE candidates AS
        SELECT row_no, c.has_problem, s.extract, s.sheet, s.line, k.document_key, k.content_hash,
               CASE WHEN k.document_key IS NULL THEN sha256('content' || chr(31) || k.content_hash)
                    ELSE sha256(concat_ws(
                        chr(31), 'document', k.document_key, coalesce(name_key(s.{identifier(roles.subject_name)}), '')
                    ))
               END AS match_key,
               sha256(s.{code}) AS code_hash,
               sha256(concat_ws(chr(31), {rest})) AS rest_hash,
               s.{date} AS decision_date,
               s.{identifier(roles.subject_name)} IS NULL AS is_nameless,
               s.excluded_reason IS NOT NULL AS is_excluded
        FROM concerned c JOIN keyed k USING (row_no) JOIN standard s USING (row_no);
        DROP TABLE concerned
        """
    )


def _match_leftovers(session: Session, column: str, condition: str, is_alias: bool) -> None:
    which = "" if is_alias else "c.row_no NOT IN (SELECT row_no FROM matched) AND"
    session.execute(
        f"""
        INSERT INTO matched
        SELECT any_value(c.row_no), any_value(b.row_key), {str(is_alias).lower()}
        FROM candidates c JOIN base_rows b USING ({column})
        WHERE {which} b.row_key NOT IN (SELECT row_key FROM matched)
        GROUP BY {column}
        HAVING count(DISTINCT c.row_no) = 1 AND count(DISTINCT b.row_key) = 1 AND bool_and({condition})
        """
    )
