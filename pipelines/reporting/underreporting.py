"""An estimate of what was decided and never reported (瞒报): gaps between document numbers, volume below the season.

An estimate and nothing else: a missing number may have been withdrawn, may be another kind of decision in the same
series, or may not have to be reported at all. The share that assessments speak of is found by sampling decisions at
the department (domain reference 5.3); these figures only say where to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.engine.duck import Session, literal
from pipelines.reporting.underreporting_volume import VolumeEstimate, volume_estimate

NUMBERS = "reported_numbers"
SEEN = "seen_numbers"
# A series is judged when it has this many numbers, at least this share of all between its first and its last.
LEAST_NUMBERS = 10
LEAST_DENSITY = 0.5
# A wider gap is the start of another block of numbers (a district's own), or a mistyped number.
WIDEST_GAP = 20
EXAMPLES = 5
# Word and year, then the number; "12-1" and "12之一" are parts of number 12. Longer numbers are dates or counters.
_PATTERN = r"^(.*〔(?:19|20)[0-9]{2}〕[^0-9第]*)第?0*([0-9]{1,6})(?:-[0-9]+|之[一二三四五六七八九十]+)?号?$"
CAVEATS_ZH = (
    "本节为估计，不是事实，不计入考核指标；用于确定抽查对象。",
    "文号不连续也可能因为作废、撤案、不予处罚、涉密、简易程序或多类文书共用一个编号序列。",
    "已报送但未通过校验、重复、被拦截或声明不报送的文号视为已报送；无法解析的行看不到文号。",
    "只统计每段编号中首个与末个已报文号之间的空号，末号之后尚未报送的无法看出。",
)


@dataclass(frozen=True)
class SeriesEstimate:
    """Missing numbers of one series (authority, word and year) whose neighbours were decided in the period.

    ``seen`` counts the numbers of the series that came in the period, whatever became of their rows; ``missing`` those
    between them that never came at all; ``examples`` are the first missing ranges.
    """

    feed: str
    authority: str
    series: str
    seen: int
    missing: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class UnreportedEstimate:
    """The estimate of a period for some feeds.

    ``unsuitable`` are series with decisions in the period whose numbers are too few or too sparse to say anything.
    """

    since: date
    until: date
    series: tuple[SeriesEstimate, ...]
    unsuitable: int
    volumes: tuple[VolumeEstimate, ...]
    caveats: tuple[str, ...] = CAVEATS_ZH

    @property
    def missing(self) -> int:
        return sum(one.missing for one in self.series)

    @property
    def seen(self) -> int:
        return sum(one.seen for one in self.series)


def create_numbers(session: Session) -> None:
    """Create the empty tables ``reported_numbers`` and ``seen_numbers``, to be filled feed by feed."""
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE {NUMBERS} "
        "(feed VARCHAR, authority VARCHAR, series VARCHAR, serial INTEGER, decision_date DATE, record_key VARCHAR);"
        f"CREATE OR REPLACE TEMP TABLE {SEEN} (feed VARCHAR, series VARCHAR, serial INTEGER)"
    )


def add_numbers(session: Session, feed: str, versions: str, authority: str, outcomes: str | None) -> None:
    """Add a feed: ``versions`` has document_key, decision_date, record_key; ``authority`` is SQL over it.

    ``outcomes`` is SQL for a relation with the document_key of every row that ever came, if there is one: what was not
    accepted was reported all the same.
    """
    pattern, named = literal(_PATTERN), literal(feed)
    series = f"regexp_extract(document_key, {pattern}, 1)"
    serial = f"try_cast(regexp_extract(document_key, {pattern}, 2) AS INTEGER)"
    session.execute(
        f"""
        INSERT INTO {NUMBERS}
        SELECT {named}, any_value({authority}), series, serial, min(decision_date), record_key FROM (
            SELECT *, {series} AS series, {serial} AS serial FROM {versions}
        ) GROUP BY series, serial, record_key
        """
    )
    relations = [f"SELECT DISTINCT document_key FROM {relation}" for relation in (versions, outcomes) if relation]
    session.execute(
        f"""
        INSERT INTO {SEEN}
        SELECT DISTINCT {named}, {series}, {serial}
        FROM ({" UNION ".join(relations)}) WHERE regexp_matches(document_key, {pattern})
        """
    )


def estimate_unreported(
    session: Session, feeds: Sequence[str], since: date, until: date, last_due: date
) -> UnreportedEstimate:
    """The estimate for decisions of ``since``..``until``, from the tables that :func:`add_numbers` filled.

    What was decided after ``last_due`` may still come in time and is left out.
    """
    end = min(until, last_due)
    _create_gaps(session)
    series = [
        SeriesEstimate(str(feed), str(authority), str(name), int(seen), int(missing), tuple(examples))
        for feed, authority, name, seen, missing, examples in session.rows(
            f"""
            WITH judged AS (
                SELECT feed, authority, series, count(*) FILTER (decision_date BETWEEN $since AND $until) AS seen
                FROM numbered GROUP BY ALL HAVING count(*) >= {LEAST_NUMBERS} AND seen > 0
                   AND count(*) >= {LEAST_DENSITY} * (count(*) + sum(gap))
            )
            SELECT feed, authority, series, any_value(seen), coalesce(sum(g.missing), 0),
                   coalesce(list(g.places ORDER BY g.serial) FILTER (g.missing > 0), [])[:{EXAMPLES}]
            FROM judged LEFT JOIN (FROM gaps WHERE decision_date BETWEEN $since AND $until) g
              USING (feed, authority, series)
            GROUP BY feed, authority, series ORDER BY coalesce(sum(g.missing), 0) DESC, feed, authority, series
            """,
            {"since": since, "until": end},
        )
    ]
    (named,) = session.one(
        "SELECT count(DISTINCT (feed, authority, series)) FROM numbered WHERE decision_date BETWEEN $since AND $until",
        {"since": since, "until": end},
    )
    volumes = [volume_estimate(session, NUMBERS, feed, since, end) for feed in feeds] if since <= end else []
    return UnreportedEstimate(
        since, end, tuple(series), int(named) - len(series), tuple(one for one in volumes if one is not None)
    )


def _create_gaps(session: Session) -> None:
    """``numbered``: each number of a series once, with the gap before it; ``gaps``: what is missing in each."""
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE numbered AS
        SELECT *, CASE WHEN serial - before - 1 BETWEEN 1 AND {WIDEST_GAP} THEN serial - before - 1 ELSE 0 END AS gap
        FROM (
            SELECT *, lag(serial) OVER (PARTITION BY feed, authority, series ORDER BY serial) AS before FROM (
                SELECT feed, coalesce(authority, '') AS authority, series, serial, min(decision_date) AS decision_date
                FROM {NUMBERS} WHERE series <> '' AND serial IS NOT NULL GROUP BY ALL
            )
        );
        CREATE OR REPLACE TEMP TABLE gaps AS
        SELECT feed, authority, series, serial, any_value(decision_date) AS decision_date, count(*) AS missing,
               CASE WHEN count(*) = 1 THEN min(number)::VARCHAR
                    ELSE min(number) || '–' || max(number) || '（' || count(*) || '个）' END AS places
        FROM (SELECT *, unnest(range(before + 1, serial)) AS number FROM numbered WHERE gap > 0) g
        WHERE NOT EXISTS (FROM {SEEN} s WHERE s.feed = g.feed AND s.series = g.series AND s.serial = g.number)
        GROUP BY feed, authority, series, serial
        """
    )
