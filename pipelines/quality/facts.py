"""The facts of a batch: standard columns plus what several rules ask of them, computed once per row.

DuckDB takes no common subexpressions out of CASE and AND (they may be skipped), so a code verdict that six rules
read has to be a column of its own.
"""

from __future__ import annotations

from pipelines.catalogue.categories import Category, Field
from pipelines.engine.duck import Session, identifier, literal
from pipelines.quality.organ_facts import ORGANS, create_organs, organ_join
from pipelines.quality.set_facts import MARKS, SAME_DAY, SET_FACTS, create_set_facts, has_keys, is_of_one_day

FACTS = "facts"
DERIVED = "derived_facts"
ROW_NUMBER = "row_no"
RESIDENT_IDENTITY_CARD = "身份证"
WRITTEN_TYPES = frozenset({"text", "name", "document_number"})
_VERDICTS = {
    "uscc": "uscc_verdict",
    "organisation_code": "organisation_code_verdict",
    "registration_number": "registration_number_verdict",
    "tax_registration": "tax_registration_verdict",
    "institution_certificate": "institution_certificate_verdict",
}


def create_facts(session: Session, category: Category, relation: str) -> None:
    """Make the view ``facts``: the rows of ``relation`` that are to be judged, all fields and the derived columns.

    Rows that their feed declares not reportable are left out. Derived columns of a field X: ``X_date`` DATE,
    ``X_amount`` DECIMAL(18, 6) in 万元, ``X_year`` INTEGER of a document number, ``X_joined`` VARCHAR of
    several classes with a semicolon around each, ``X_verdict`` VARCHAR (for a resident identity number only where
    the type of document says so). Derived columns of a row: ``text_suspect`` and ``name_suspect`` BOOLEAN, FALSE
    where no writing of the row can hold what the rules about garbled text, special characters, telling words and
    personal data, or about masked and lost names, look for; ``stamped_on`` DATE of the source's own time stamp;
    ``stated_fine`` DECIMAL, the fine in yuan that the text of the decision names, NULL unless it names exactly one;
    ``authority_standing``, ``authority_former_until`` and ``authority_outside``, see
    :func:`~pipelines.quality.organ_facts.create_organs`; the marks of
    :func:`~pipelines.quality.set_facts.create_set_facts` and ``same_day`` BOOLEAN, whether all rows of the batch, at
    least twenty, have one date of decision, all NULL where the rows have no keys.

    The derived columns are kept in a table, because the scan and Great Expectations both read them.
    """
    create_organs(session, category, relation)
    create_set_facts(session, category, relation)
    derivations = _derivations(category, relation, _set_columns(session, category, relation))
    session.execute(f"CREATE OR REPLACE TEMP TABLE {DERIVED} AS {derivations}")
    fields = ", ".join(f"standard.{identifier(code)}" for code in category.field_codes)
    session.execute(
        f"CREATE OR REPLACE TEMP VIEW {FACTS} AS SELECT {fields}, {DERIVED}.* "
        f"FROM {identifier(relation)} AS standard JOIN {DERIVED} USING ({ROW_NUMBER})"
    )


def has_facts(session: Session) -> bool:
    """Whether :func:`create_facts` was called in this session."""
    return bool(session.one("SELECT count(*) FROM duckdb_views() WHERE view_name = $name", {"name": FACTS})[0])


def _set_columns(session: Session, category: Category, relation: str) -> list[str]:
    if not has_keys(session):
        return [f"CAST(NULL AS BOOLEAN) AS {name}" for name in (*MARKS, SAME_DAY)]
    of_one_day = is_of_one_day(session, category, relation)
    return [*(f"coalesce({SET_FACTS}.{mark}, FALSE) AS {mark}" for mark in MARKS), f"{of_one_day} AS {SAME_DAY}"]


def _derivations(category: Category, relation: str, set_columns: list[str]) -> str:
    columns = [f"standard.{ROW_NUMBER}"]
    joins = [organ_join(category), f"LEFT JOIN {SET_FACTS} ON {SET_FACTS}.row_no = standard.row_no"]
    for field in category.fields:
        name = derived_column(category, field)
        if name is None:
            continue
        if field.code == category.roles.authority_code:
            expression = f"{ORGANS}.verdict"
        elif field.code == category.roles.source_unit_code:
            joins.append(_verdict_per_value(relation, field.code))
            expression = f"{identifier('of_' + field.code)}.verdict"
        else:
            expression = _derivation(category, field, f"standard.{identifier(field.code)}")
        columns.append(f"{expression} AS {identifier(name)}")
    columns.append(f"is_suspect_text({_joined(category, WRITTEN_TYPES)}) AS text_suspect")
    columns.append(f"is_suspect_name({_joined(category, {'name'})}) AS name_suspect")
    columns.append("try_cast(left(standard.source_timestamp, 10) AS DATE) AS stamped_on")
    columns += [f"{ORGANS}.{name} AS authority_{name}" for name in ("standing", "former_until", "outside")]
    columns += set_columns
    if category.roles.fine is not None and category.roles.content is not None:
        columns.append(f"stated_fine(standard.{identifier(category.roles.content)}) AS stated_fine")
    return (
        f"SELECT {', '.join(columns)} FROM {identifier(relation)} AS standard {' '.join(joins)} "
        f"WHERE standard.excluded_reason IS NULL"
    )


def derived_column(category: Category, field: Field) -> str | None:
    """Name of the column that is derived from a field, if any."""
    if field.type == "date":
        return f"{field.code}_date"
    if field.type == "amount":
        return f"{field.code}_amount"
    if field.type == "document_number":
        return f"{field.code}_year"
    if field.type == "enum_multi":
        return f"{field.code}_joined"
    if field.code_system in _VERDICTS:
        return f"{field.code}_verdict"
    if field.code_system == "identity_document" and document_type_field(category, field.code) is not None:
        return f"{field.code}_verdict"
    return None


def document_type_field(category: Category, code: str) -> str | None:
    """The field that says of what type the identity document in ``code`` is."""
    roles = category.roles
    return {roles.representative_id: roles.representative_id_type, roles.person_id: roles.person_id_type}.get(code)


def _derivation(category: Category, field: Field, column: str) -> str:
    if field.type == "date":
        return f"rule_date({column})"
    if field.type == "amount":
        return f"rule_amount({column})"
    if field.type == "document_number":
        return f"document_year({column})"
    if field.type == "enum_multi":
        return f"';' || {column} || ';'"
    if field.code_system in _VERDICTS:
        return f"{_VERDICTS[field.code_system]}({column})"
    type_field = identifier(document_type_field(category, field.code) or "")
    is_resident = f"standard.{type_field} = {literal(RESIDENT_IDENTITY_CARD)}"
    return f"CASE WHEN {is_resident} THEN resident_id_verdict({column}) END"


def _verdict_per_value(relation: str, code: str) -> str:
    """A batch names few source units: each code is judged once and joined."""
    column, alias = identifier(code), identifier("of_" + code)
    values = f"SELECT DISTINCT {column} AS code FROM {identifier(relation)}"
    verdicts = f"SELECT code, uscc_verdict(code) AS verdict FROM ({values})"
    return f"LEFT JOIN ({verdicts}) AS {alias} ON {alias}.code = standard.{column}"


def _joined(category: Category, types: frozenset[str] | set[str]) -> str:
    columns = ", ".join(f"standard.{identifier(field.code)}" for field in category.fields if field.type in types)
    return f"concat_ws(chr(10), {columns})"
