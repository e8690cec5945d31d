"""What is known of a row only by looking at the other rows of its batch, and at what its feed reported before.

Each question is one aggregate over the batch that keeps the few groups that stand out; only their rows are looked at
again. Hashes stand for texts in the aggregates: that two names differ is all that counts.
"""

from __future__ import annotations

from pipelines.catalogue.categories import Category
from pipelines.engine.duck import Session, identifier

SET_FACTS = "set_facts"
KEYED = "keyed"
PAST = "past"
REKEYING = "rekeying"
# A batch of fewer rows may well have one date.
FEWEST_OF_A_DAY = 20
MARKS = (
    "several_names",
    "other_name_before",
    "several_codes",
    "several_dates",
    "several_subjects",
    "several_decisions",
    "several_documents",
)
SAME_DAY = "same_day"
_IDENTIFYING = "('valid', 'issued_nonstandard')"
_ORGANISATION = "法人及非法人组织"


def create_set_facts(session: Session, category: Category, relation: str) -> None:
    """Make the tables ``set_facts`` and ``rekeying`` from ``relation``, ``keyed`` and, where there is one, ``past``.

    ``set_facts`` has one line for each row that stands out: row_no and, TRUE or FALSE, the :data:`MARKS`.

    * ``several_names``: its code stands in the batch with several names
    * ``other_name_before``: the feed reported its code before, never with this name
    * ``several_codes``: its name, of an organisation, stands in the batch with several codes
    * ``several_dates``: its document number and subject stand in the batch with several dates of decision
    * ``several_subjects``: its document number stands for several subjects on the same day with the same content, as a
      decision against several parties does
    * ``several_decisions``: its document number stands for several subjects on different days
    * ``several_documents``: the same subject, day and content stand in the batch under another document number

    ``rekeying`` has one line: ``known`` BIGINT, the decisions of the batch that the feed reported before, and
    ``rekeyed`` BIGINT, those of them that it now reports under another record key.

    Without ``keyed`` (nobody made keys) nothing stands out.
    """
    session.execute("CREATE OR REPLACE TEMP TABLE marked (row_no BIGINT, mark VARCHAR)")
    session.execute(f"CREATE OR REPLACE TABLE {REKEYING} AS SELECT 0::BIGINT AS known, 0::BIGINT AS rekeyed")
    if has_keys(session):
        _mark_names(session, category, relation)
        _mark_documents(session, category, relation)
        _mark_twins(session, category, relation)
        if _exists(session, PAST):
            _mark_past(session, category, relation)
            _count_rekeyed(session, category, relation)
    marks = ", ".join(f"bool_or(mark = '{mark}') AS {mark}" for mark in MARKS)
    session.execute(f"CREATE OR REPLACE TEMP TABLE {SET_FACTS} AS SELECT row_no, {marks} FROM marked GROUP BY row_no")
    session.execute("DROP TABLE marked")


def has_keys(session: Session) -> bool:
    """Whether the rows have keys, so that they can be compared with each other."""
    return _exists(session, KEYED)


def is_of_one_day(session: Session, category: Category, relation: str) -> bool:
    """Whether all rows, at least twenty, have the same date of decision."""
    day = identifier(category.roles.decision_date)
    rows, filled, first, last = session.one(
        f"SELECT count(*), count({day}), min({day}), max({day}) FROM {identifier(relation)} "
        "WHERE excluded_reason IS NULL"
    )
    return int(rows) >= FEWEST_OF_A_DAY and rows == filled and first == last


def _mark_names(session: Session, category: Category, relation: str) -> None:
    roles = category.roles
    name, code, kind = (identifier(role) for role in (roles.subject_name, roles.subject_code, roles.subject_kind))
    table = identifier(relation)
    # The placeholder and wrong codes stand for nobody; there are few codes left to be judged.
    session.execute(
        f"""
        INSERT INTO marked
        WITH suspects AS (
            SELECT code FROM (
                SELECT {code} AS code FROM {table} WHERE {code} IS NOT NULL AND excluded_reason IS NULL
                GROUP BY 1 HAVING min(hash({name})) <> max(hash({name}))
            ) WHERE uscc_verdict(code) IN {_IDENTIFYING}
        ), told AS (
            SELECT {code} AS code, name_key({name}) AS name, row_no
            FROM {table} SEMI JOIN suspects ON suspects.code = {code} WHERE excluded_reason IS NULL
        )
        SELECT row_no, 'several_names' FROM told
        SEMI JOIN (SELECT code FROM told GROUP BY code HAVING count(DISTINCT name) > 1) USING (code)
        """
    )
    session.execute(
        f"""
        INSERT INTO marked
        WITH suspects AS (
            SELECT {name} AS name FROM {table}
            WHERE {name} IS NOT NULL AND {code} IS NOT NULL AND {kind} = '{_ORGANISATION}' AND excluded_reason IS NULL
            GROUP BY 1 HAVING min(hash({code})) <> max(hash({code}))
        ), told AS (
            SELECT {name} AS name, {code} AS code, row_no FROM {table} SEMI JOIN suspects ON suspects.name = {name}
            WHERE {kind} = '{_ORGANISATION}' AND excluded_reason IS NULL AND uscc_verdict({code}) IN {_IDENTIFYING}
        )
        SELECT row_no, 'several_codes' FROM told
        SEMI JOIN (SELECT name FROM told GROUP BY name HAVING count(DISTINCT code) > 1) USING (name)
        """
    )


def _mark_documents(session: Session, category: Category, relation: str) -> None:
    day = identifier(category.roles.decision_date)
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE shared_documents AS
        WITH shared AS (
            SELECT document_key FROM {KEYED} WHERE document_key IS NOT NULL GROUP BY 1 HAVING count(*) > 1
        )
        SELECT row_no, document_key, subject_key, s.{day} AS day, {_content(category)} AS content
        FROM {KEYED} SEMI JOIN shared USING (document_key) JOIN {identifier(relation)} s USING (row_no)
        WHERE s.excluded_reason IS NULL AND subject_key IS NOT NULL AND s.{day} IS NOT NULL
        """
    )
    for mark, group, condition in (
        ("several_dates", "document_key, subject_key", "count(DISTINCT day) > 1"),
        ("several_subjects", "document_key, day, content", "count(DISTINCT subject_key) > 1"),
        ("several_decisions", "document_key", "count(DISTINCT subject_key) > 1 AND count(DISTINCT day) > 1"),
    ):
        session.execute(
            f"INSERT INTO marked SELECT row_no, '{mark}' FROM shared_documents "
            f"SEMI JOIN (SELECT {group} FROM shared_documents GROUP BY {group} HAVING {condition}) USING ({group})"
        )
    session.execute("DROP TABLE shared_documents")


def _mark_twins(session: Session, category: Category, relation: str) -> None:
    day, table = identifier(category.roles.decision_date), identifier(relation)
    session.execute(
        f"""
        INSERT INTO marked
        WITH days AS (
            SELECT row_no, hash(subject_key, s.{day}) AS subject_and_day
            FROM {KEYED} JOIN {table} s USING (row_no)
            WHERE subject_key IS NOT NULL AND document_key IS NOT NULL AND s.{day} IS NOT NULL
            AND s.excluded_reason IS NULL
        ), suspects AS (
            SELECT row_no FROM days SEMI JOIN (
                SELECT subject_and_day FROM days GROUP BY 1 HAVING count(*) > 1
            ) USING (subject_and_day)
        ), told AS (
            SELECT row_no, subject_key, document_key, s.{day} AS day, {_content(category)} AS content
            FROM {KEYED} SEMI JOIN suspects USING (row_no) JOIN {table} s USING (row_no)
        )
        SELECT row_no, 'several_documents' FROM told SEMI JOIN (
            SELECT subject_key, day, content FROM told GROUP BY ALL HAVING count(DISTINCT document_key) > 1
        ) USING (subject_key, day, content)
        """
    )


def _mark_past(session: Session, category: Category, relation: str) -> None:
    name = identifier(category.roles.subject_name)
    session.execute(
        f"""
        INSERT INTO marked
        WITH called AS (
            SELECT subject_key, list(DISTINCT name_key(subject_name)) AS names FROM {PAST}
            WHERE starts_with(subject_key, 'code:') AND subject_name IS NOT NULL GROUP BY 1
        )
        SELECT row_no, 'other_name_before'
        FROM {KEYED} JOIN called USING (subject_key) JOIN {identifier(relation)} s USING (row_no)
        WHERE s.{name} IS NOT NULL AND NOT list_contains(names, name_key(s.{name})) AND s.excluded_reason IS NULL
        """
    )


def _count_rekeyed(session: Session, category: Category, relation: str) -> None:
    """A decision is recognised by two of document number, subject and day; a past record still sent is not re-keyed."""
    day, name = identifier(category.roles.decision_date), identifier(category.roles.subject_name)
    session.execute(
        f"""
        CREATE OR REPLACE TABLE {REKEYING} AS
        WITH now AS (
            SELECT DISTINCT ON (record_key) record_key, document_key, subject_key, s.{name} AS subject_name,
                   rule_date(s.{day}) AS decision_date
            FROM {KEYED} JOIN {identifier(relation)} s USING (row_no)
            WHERE record_key IS NOT NULL AND s.excluded_reason IS NULL
        ), gone AS (
            SELECT * FROM {PAST} ANTI JOIN now USING (record_key)
        ), fresh AS (
            SELECT * FROM now ANTI JOIN {PAST} USING (record_key)
        ), rekeyed AS (
            SELECT record_key FROM fresh SEMI JOIN gone USING (document_key, subject_key)
            UNION SELECT record_key FROM fresh SEMI JOIN gone USING (document_key, subject_name)
            UNION SELECT record_key FROM fresh SEMI JOIN gone USING (subject_key, decision_date)
        )
        SELECT (SELECT count(*) FROM now SEMI JOIN {PAST} USING (record_key)) + count(*) AS known, count(*) AS rekeyed
        FROM rekeyed
        """
    )


def _content(category: Category) -> str:
    """One number for what a row says beside whom, when and under which number: its texts and amounts."""
    told = [field.code for field in category.fields if field.type == "amount"]
    told += [field.code for field in category.fields if field.type == "text" and field.required == "always"]
    return f"hash({', '.join(f's.{identifier(code)}' for code in told)})"


def _exists(session: Session, table: str) -> bool:
    (found,) = session.one("SELECT count(*) FROM duckdb_tables() WHERE table_name = $name", {"name": table})
    return bool(found)
