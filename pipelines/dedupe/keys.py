"""Which real-world decision a row is about (``record_key``) and what it says (``content_hash``)."""

from __future__ import annotations

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier, literal

PERSON_KIND = "自然人"
SEPARATOR = "\x1f"


def add_keys(session: Session, category: Category, relation: str = "standard") -> None:
    """Create the table ``keyed``: row_no, document_key, subject_key, record_key, content_hash, subject_code_verdict.

    ``record_key`` is the SHA-256 of category, canonical document number, subject key and issuing authority; it is
    NULL when the document number or the subject is missing, and such a row is never a business duplicate. The
    subject key is the unified social credit code when it identifies somebody, the identity document of a
    natural person, and the name without its typing habits otherwise; the kind is part of it, so that a name
    never collides with a code. ``content_hash`` covers every standard field; amounts are compared as numbers.
    """
    roles = category.roles
    code = identifier(roles.subject_code)
    kind, person = identifier(roles.subject_kind), identifier(roles.person_id)
    document = (
        f"coalesce({identifier(roles.document_number)}, {identifier(roles.document_number_fallback)})"
        if roles.document_number_fallback
        else identifier(roles.document_number)
    )
    authority = identifier(roles.authority_code)
    content = ", ".join(_content(field.code, field.type) for field in category.fields)
    session.execute(
        f"""
        CREATE OR REPLACE TABLE keyed AS
        WITH parts AS (
            SELECT row_no,
                   canonical_document_number({document}) AS document_key,
                   CASE
                       WHEN uscc_verdict({code}) IN ('valid', 'issued_nonstandard') THEN 'code:' || {code}
                       WHEN {kind} = '{PERSON_KIND}' AND {person} IS NOT NULL THEN 'person:' || sha256({person})
                       ELSE 'name:' || name_key({identifier(roles.subject_name)})
                   END AS subject_key,
                   coalesce(authorities.code, name_key({identifier(roles.authority)}), '') AS authority_key,
                   sha256(concat_ws(chr(31), {content})) AS content_hash
            FROM {identifier(relation)} LEFT JOIN (
                -- A batch names few authorities: each code is judged once.
                SELECT code FROM (SELECT DISTINCT {authority} AS code FROM {identifier(relation)})
                WHERE uscc_verdict(code) IN ('valid', 'issued_nonstandard')
            ) authorities ON authorities.code = {authority}
        )
        SELECT row_no, document_key, subject_key,
               sha256(
                   {literal(category.category + SEPARATOR)} || document_key
                   || chr(31) || subject_key || chr(31) || authority_key
               ) AS record_key,
               content_hash
        FROM parts
        """
    )


def _content(code: str, kind: str) -> str:
    column = identifier(code)
    if kind == "amount":
        # 0.5 and 0.500000 say the same; what is no number is compared as written.
        return f"coalesce(CAST(TRY_CAST({column} AS DECIMAL(18, 6)) AS VARCHAR), {column}, '')"
    return f"coalesce({column}, '')"
