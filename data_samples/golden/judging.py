"""One way for all samples through intake, normalize, keys, rules and settling."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import yaml

from pipelines.catalogue.authorities import load_authorities
from pipelines.catalogue.catalogue import Catalogue, load_catalogue
from pipelines.catalogue.feeds import Feed
from pipelines.catalogue.yaml_source import read
from pipelines.dedupe.keys import add_keys
from pipelines.dedupe.settle import settle_batch
from pipelines.engine.duck import literal
from pipelines.engine.duck import session as open_session
from pipelines.intake.reading import inspect_file
from pipelines.normalize.authorities import fill_authority_codes
from pipelines.normalize.standardise import standardise
from pipelines.quality.compile import judge
from pipelines.quality.reference import Reference, create_reference
from pipelines.quality.suite import load_suite
from pipelines.settings import Settings

SAMPLES = Path(__file__).resolve().parent.parent
BUSINESS_DATE = date(2026, 11, 20)


@dataclass(frozen=True)
class Verdict:
    """What became of one line: its outcome (``rejected`` when it is no row), all its reasons, its standard values."""

    record_key: str | None
    outcome: str
    reasons: frozenset[str]
    values: dict[str, str | None]


def feed_of(code: str) -> Feed:
    """A feed of the catalogue, or one that golden cases bring along: ``data_samples/<code>/feed.yaml``.

    The latter says only what differs from a CSV with the headers of the standard in a folder.
    """
    own = SAMPLES / code / "feed.yaml"
    if not own.exists():
        return load_catalogue(Settings()).feed(code)
    described = yaml.safe_load(own.read_text(encoding="utf-8"))
    source = {"kind": "folder", "path": code, "pattern": "*.csv"}
    return Feed(feed=code, name_zh=code, source=source, **described)


def _reference_of(catalogue: Catalogue, feed: Feed) -> Reference:
    """The dictionary of the city, or the one beside the feed that golden cases bring along."""
    own = SAMPLES / feed.feed / "authorities.yaml"
    if own.exists():
        described = load_authorities(read(own))
        return Reference(described, described.covers)
    regions = catalogue.department_of(feed).regions if feed.department else ()
    return Reference(catalogue.authorities, regions)


def judge_file(feed_code: str, path: Path, folder: Path) -> dict[int, Verdict]:
    """Judge a file as an extract of a feed on the samples' business date; line → verdict. ``folder`` is for scratch."""
    settings = Settings()
    catalogue = load_catalogue(settings)
    feed = feed_of(feed_code)
    category = catalogue.category_of(feed)
    reference = _reference_of(catalogue, feed)
    with open_session(folder) as session:
        intake = inspect_file(session, path, category, folder / "run", feed=feed)
        standardise(session, intake.parts, feed, category, catalogue.code_lists)
        fill_authority_codes(session, category, reference.authorities)
        create_reference(session, reference)
        add_keys(session, category)
        judge(session, load_suite(settings, category, catalogue.code_lists), category, BUSINESS_DATE)
        session.register("tombstones", pa.table({"record_key": pa.array([], pa.string())}))
        settle_batch(session, feed.conflict)
        fields = ", ".join(f's."{code}"' for code in category.field_codes)
        rows = session.rows(
            f"SELECT s.line, t.record_key, t.outcome, t.reasons, {fields} FROM standard s JOIN settled t USING (row_no)"
        )
        rejects = session.rows(f"SELECT line, rule FROM read_parquet({literal(str(intake.rejects_path))})")
    verdicts = {
        int(line): Verdict(key, outcome, frozenset(reasons), dict(zip(category.field_codes, values, strict=True)))
        for line, key, outcome, reasons, *values in rows
    }
    assert len(verdicts) == len(rows), "two rows claim one line"
    verdicts |= {int(line): Verdict(None, "rejected", frozenset({rule}), {}) for line, rule in rejects}
    assert len(verdicts) == len(rows) + len(rejects)
    return verdicts
