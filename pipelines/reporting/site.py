"""The report site: every batch has its page, and pages that gather batches stand above them.

A batch's page and workbook are written once, and again only when what they were made from has changed; pages that
gather batches come from grouped queries over the ledger. So a night costs what the night brought, however many batches
are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from pipelines.catalogue.catalogue import Catalogue
from pipelines.catalogue.repair_rules import load_repair_rules
from pipelines.engine.drafts import workplace
from pipelines.engine.duck import Session
from pipelines.ledger.database import Ledger
from pipelines.ledger.models import Run
from pipelines.reporting import site_ledger, site_pages
from pipelines.reporting.details import batch_details
from pipelines.reporting.file_findings import file_findings
from pipelines.reporting.languages import LANGUAGES, Place
from pipelines.reporting.metrics import FeedFigures
from pipelines.reporting.reasons import ReasonCount, reason_counts
from pipelines.reporting.run_files import run_files
from pipelines.reporting.scorecard import batch_page, batch_path, gates_of, workbook_path
from pipelines.reporting.site_files import BatchEntry, Manifest, SiteFiles, fingerprint, templates_hash
from pipelines.reporting.site_ledger import BatchLine, Delivery
from pipelines.reporting.site_model import SiteModel
from pipelines.reporting.site_pages import RECENT_DAYS, SiteData
from pipelines.reporting.site_words import PageRules, page_rule
from pipelines.reporting.withdrawals import Withdrawal
from pipelines.reporting.workbook import write_workbook
from pipelines.settings import Settings

Progress = Callable[[int, int, str], None]
"""Steps done, steps in all, what comes next."""
Withdrawals = Callable[[date], Sequence[Withdrawal]]
"""The proposals of all feeds as they stand on a business date."""
OPEN_MONTHS = 3
# Reasons are kept in the manifest a little longer than pages add them up.
_REASONS_KEPT = timedelta(days=RECENT_DAYS + 15)


@dataclass(frozen=True)
class ReportPaths:
    """What there is after a build: the first page, the page of the night, every page that was looked at, and the
    workbooks of the night by feed."""

    index: Path
    night: Path
    pages: tuple[Path, ...]
    workbooks: dict[str, Path]
    figures: tuple[FeedFigures, ...]


def build(
    session: Session,
    settings: Settings,
    catalogue: Catalogue,
    ledger: Ledger,
    rules: PageRules,
    business_date: date,
    progress: Progress | None = None,
    withdrawals: Withdrawals = lambda _day: (),
) -> ReportPaths:
    """Bring the site below ``settings.reports`` up to date after the night of ``business_date``.

    Both languages are written: Chinese pages in the folder itself, English ones under the same names below ``en/``.
    The site stands as of the newest business date of the ledger or ``business_date``, whichever is later. Each file
    appears whole or not at all. The same published batches give the same bytes, built night by night or in one go. The
    page of a batch whose run folder was cleared stays as it was. Raises :class:`StorageError` when the disk refuses or
    single files of a run are missing.
    """
    # Drafts of pages and workbooks; their names begin with a point and have another one.
    with workplace(settings.reports, "**/.*.*"):
        return _Build(session, settings, catalogue, ledger, rules, business_date, progress, withdrawals).run()


class _Build:
    def __init__(
        self,
        session: Session,
        settings: Settings,
        catalogue: Catalogue,
        ledger: Ledger,
        rules: PageRules,
        business_date: date,
        progress: Progress | None,
        withdrawals: Withdrawals,
    ) -> None:
        self.session, self.settings, self.catalogue, self.ledger = session, settings, catalogue, ledger
        self.rules, self.business_date = rules, business_date
        self.progress = progress or (lambda _done, _total, _what: None)
        self.withdrawals = withdrawals
        self.proposals: dict[date, Sequence[Withdrawal]] = {}
        self.endpoint_names = {endpoint.endpoint: endpoint.name_zh for endpoint in catalogue.endpoints.values()}
        self.repair_rules = load_repair_rules(settings.schemas)
        self.files = SiteFiles(settings.reports)
        self.manifest = Manifest.read(settings.reports)
        self.texts: dict[str, str] = {}

    def run(self) -> ReportPaths:
        endpoints = sorted(self.catalogue.endpoints)
        with self.ledger.read() as ledger_session:
            # Before the deliveries are read: what settles meanwhile is looked at again the next time.
            settled_until = site_ledger.settled_until(ledger_session, endpoints)
            lines = site_ledger.batch_lines(ledger_session)
            touched = site_ledger.touched_batches(ledger_session, endpoints, self.manifest.settled_until)
            deliveries = self._deliveries(lines, touched)
            as_of = max([self.business_date, *(line.day for line in lines if line.feed in self.catalogue.feeds)])
            overdue = site_ledger.overdue(ledger_session, endpoints, as_of)
        model = SiteModel(self.settings, self.catalogue, lines, deliveries, overdue, as_of)
        before = _first_days(self.manifest)
        changed = [line for line in self._reported(model) if self._is_stale(model, line)]
        gathered = self._gathering_pages(model, changed, before)
        steps = len(changed) + len(gathered) + 1
        for done, line in enumerate(changed):
            self.progress(done, steps, f"{line.feed} {line.day.isoformat()}")
            self._write_batch(model, line)
        data = self._data(model, changed)
        for done, (what, write) in enumerate(gathered, start=len(changed)):
            self.progress(done, steps, what)
            write(data)
        self.progress(steps - 1, steps, "manifest")
        self.files.assets()
        self._write_manifest(model, settled_until)
        self.progress(steps, steps, "done")
        return self._paths(model, data)

    def _deliveries(self, lines: Sequence[BatchLine], touched: set[int] | None) -> dict[int, Delivery]:
        """Deliveries of every batch: as the last build found them, and anew where anything may have changed."""
        known: dict[int, Delivery] = {}
        if touched is not None:
            for line in lines:
                entry = self.manifest.batches.get(_key(line))
                if entry is None or entry.run != line.run:
                    touched.add(line.batch)
                elif line.batch not in touched and entry.delivery:
                    counts, earliest, stamp = entry.delivery
                    day = None if earliest is None else date.fromisoformat(earliest)
                    known[line.batch] = Delivery(tuple(counts), day, stamp)
        wanted = None if touched is None else sorted(touched)
        with self.ledger.read() as ledger_session:
            found = site_ledger.deliveries(ledger_session, wanted)
            rejected = [batch for batch, delivery in found.items() if delivery.has_rejections]
            stamps = site_ledger.rejection_stamps(ledger_session, rejected)
        for batch, delivery in found.items():
            known[batch] = delivery._replace(stamp=f"{delivery.stamp} {stamps.get(batch, '')}")
        return known

    def _reported(self, model: SiteModel) -> Iterator[BatchLine]:
        """Batches that can be shown: those of feeds whose description is right."""
        for feed, lines in model.lines.items():
            if feed in self.catalogue.feeds:
                yield from lines

    def _is_stale(self, model: SiteModel, line: BatchLine) -> bool:
        """Whether the page of a batch is missing or was made from something else."""
        entry = self.manifest.batches.get(_key(line))
        if entry is None:
            return True
        expected = [Place(f"batches/{_key(line)}.html", language).file for language in LANGUAGES]
        if entry.lines:
            expected.append(f"batches/{_key(line)}.xlsx")
        return (
            entry.inputs != self._inputs(model, line)
            or entry.templates != templates_hash()
            or entry.texts != self._texts(entry.rules)
            or (line.day == self.business_date and entry.proposals != fingerprint(*self._proposed(line)))
            or not self.files.has(expected)
        )

    def _inputs(self, model: SiteModel, line: BatchLine) -> str:
        # How long a feed has been silent stands only on the page of a batch that was not published.
        silent_since = None if line.is_published else model.last_published(line.feed, line.day)
        delivery = model.delivery(line)
        return fingerprint(line[3:], tuple(delivery), silent_since, tuple(vars(model.feeds[line.feed]).values()))

    def _texts(self, codes: Sequence[str]) -> str:
        for code in codes:
            if code not in self.texts:
                rule = page_rule(self.rules, code)
                texts = (rule.severity, rule.owner, rule.message_zh, rule.fix_zh, rule.message_en, rule.fix_en)
                self.texts[code] = fingerprint(code, *texts)
        return fingerprint(*(self.texts[code] for code in codes))

    def _proposed(self, line: BatchLine) -> list[Withdrawal]:
        if line.day not in self.proposals:
            self.proposals[line.day] = self.withdrawals(line.day)
        return [one for one in self.proposals[line.day] if one.feed == line.feed]

    def _write_batch(self, model: SiteModel, line: BatchLine) -> None:
        """Write the page of a batch in both languages and its workbook, and remember what they were made from."""
        figures = model.figures(line.feed, line.day)
        with self.ledger.read() as ledger_session:
            run = ledger_session.scalars(select(Run).where(Run.id == line.run)).one()
            gates = gates_of(ledger_session, line.run)
        files = run_files(self.settings, run)
        figures = replace(figures, file_findings=file_findings(run))
        entry = self.manifest.batches.get(_key(line))
        if line.is_published and not files.is_kept and entry is not None and self._still_stands(line, entry):
            self.manifest.batches[_key(line)] = self._entry(model, line, entry.rules, entry.reasons, entry.lines)
            return
        proposed = self._proposed(line)
        details, lines = None, 0
        feed = self.catalogue.feed(line.feed)
        category = self.catalogue.category_of(feed)
        if line.is_published:
            reasons = reason_counts(self.session, files) if files.is_kept else None
            figures = replace(figures, reasons=reasons)
            details = batch_details(
                self.session, self.settings, self.ledger, feed, category, line.run, self.repair_rules
            )
            if reasons is not None:
                lines = write_workbook(
                    self.session,
                    self.settings,
                    self.ledger,
                    feed,
                    category,
                    figures,
                    self.rules,
                    self.endpoint_names,
                    self.catalogue.department_of(feed).contact,
                    self.files.folder / workbook_path(figures),
                    withdrawals=proposed,
                )
        if not lines:
            (self.files.folder / workbook_path(figures)).unlink(missing_ok=True)
        for language in LANGUAGES:
            text = batch_page(
                language,
                figures,
                details,
                self.rules,
                category_en=category.name_en,
                endpoint_names=self.endpoint_names,
                gates=gates,
                has_workbook=bool(lines),
                withdrawals=proposed,
            )
            self.files.page(Place(batch_path(figures), language).file, text)
        shown = {reason.code for reason in figures.reasons or ()} | {one.rule for one in figures.file_findings}
        counted = None if figures.reasons is None else [(r.code, r.severity, r.rows, r.sole) for r in figures.reasons]
        self.manifest.batches[_key(line)] = self._entry(model, line, sorted(shown), counted, lines)

    def _still_stands(self, line: BatchLine, entry: BatchEntry) -> bool:
        """Whether the page of a batch without its run's rows is worth more than one made without them."""
        pages = [Place(f"batches/{_key(line)}.html", language).file for language in LANGUAGES]
        return entry.run == line.run and self.files.has(pages)

    def _entry(
        self,
        model: SiteModel,
        line: BatchLine,
        rules: list[str],
        reasons: list[tuple[str, str, int, int]] | None,
        lines: int,
    ) -> BatchEntry:
        counts, earliest, stamp = model.delivery(line)
        return BatchEntry(
            run=line.run,
            inputs=self._inputs(model, line),
            texts=self._texts(rules),
            templates=templates_hash(),
            proposals=fingerprint(*self._proposed(line)),
            rules=rules,
            reasons=reasons,
            lines=lines,
            delivery=[list(counts), None if earliest is None else earliest.isoformat(), stamp],
        )

    def _gathering_pages(
        self, model: SiteModel, changed: Sequence[BatchLine], before: dict[str, date]
    ) -> list[tuple[str, Callable[[SiteData], None]]]:
        """What is written beside the pages of batches: (what it is, how to write it)."""
        days = self._changed_days(model, changed, before)
        # Figures of the last months may still change without their batches: receipts come, deadlines pass.
        months = {f"{day:%Y-%m}" for day in days} | set(sorted({f"{day:%Y-%m}" for day in model.nights})[-OPEN_MONTHS:])
        named: list[tuple[str, Callable[..., tuple[str, str]], tuple[object, ...]]] = [
            ("overview", site_pages.overview, ()),
            ("months", site_pages.months_page, ()),
            ("rules", site_pages.rules_page, ()),
        ]
        named += [(code, site_pages.department_page, (code,)) for code in model.departments]
        named += [(feed, site_pages.feed_page, (feed,)) for feed in model.feeds]
        named += [(day.isoformat(), site_pages.night_page, (day,)) for day in sorted(days)]
        named += [(month, site_pages.month_page, (month,)) for month in sorted(months)]
        named += [(code, site_pages.rule_page, (code,)) for code in sorted(self.rules)]

        def writer(make: Callable[..., tuple[str, str]], about: tuple[object, ...]) -> Callable[[SiteData], None]:
            def write(data: SiteData) -> None:
                for language in LANGUAGES:
                    self.files.page(*make(data, *about, language))

            return write

        return [(what, writer(make, about)) for what, make, about in named]

    def _changed_days(self, model: SiteModel, changed: Sequence[BatchLine], before: dict[str, date]) -> set[date]:
        """Business dates whose night and month pages may say something else than they do."""
        if self.manifest.templates != self._standing(model):
            return set(model.nights)
        days = {line.day for line in changed} | {self.business_date, model.as_of}
        first_changed: dict[str, date] = {}
        for line in changed:
            first_changed[line.feed] = min(line.day, first_changed.get(line.feed, line.day))
        for feed, day in first_changed.items():
            # Days on which nothing was expected of the feed have become days that it missed.
            days |= {night for night in model.nights if day <= night < before.get(feed, model.as_of)}
        return days | {night for night in model.nights if not self._has_night(night)}

    def _has_night(self, day: date) -> bool:
        return self.files.has(Place(f"batches/{day.isoformat()}/index.html", language).file for language in LANGUAGES)

    def _standing(self, model: SiteModel) -> str:
        """What every night and month page stands on: templates, and what departments and feeds are called."""
        return fingerprint(templates_hash(), *(tuple(vars(name).values()) for name in model.feeds.values()))

    def _data(self, model: SiteModel, changed: Sequence[BatchLine]) -> SiteData:
        first = min([model.as_of - timedelta(days=400), *(line.day for line in changed)]).replace(day=1)
        recent = model.as_of - timedelta(days=RECENT_DAYS - 1)
        with self.ledger.read() as ledger_session:
            tasks = site_ledger.open_tasks(ledger_session)
            facts = site_ledger.month_facts(ledger_session, first)
            by_feed = site_ledger.rule_days(ledger_session, recent, model.as_of, "feed")
            by_day = site_ledger.rule_days(ledger_session, recent, model.as_of, "day")
        grouped: dict[tuple[str, str], list[site_ledger.MonthFact]] = defaultdict(list)
        for fact in facts:
            grouped[fact.month, fact.feed].append(fact)
        reasons = {}
        for line in model.window(model.feeds, RECENT_DAYS):
            entry = self.manifest.batches.get(_key(line))
            if entry is not None and entry.reasons:
                reasons[line.batch] = [ReasonCount(*reason) for reason in entry.reasons]
        workbooks = frozenset(key for key, entry in self.manifest.batches.items() if entry.lines)
        return SiteData(model, self.rules, tasks, grouped, _by_rule(by_feed), _by_rule(by_day), reasons, workbooks)

    def _write_manifest(self, model: SiteModel, settled_until: datetime | None) -> None:
        known = {_key(line) for line in self._reported(model)}
        oldest = (model.as_of - _REASONS_KEPT).isoformat()
        for key in [key for key in self.manifest.batches if key not in known]:
            del self.manifest.batches[key]
        for key, entry in self.manifest.batches.items():
            if key < oldest and entry.reasons:
                entry.reasons = []
        self.manifest.settled_until = settled_until
        self.manifest.templates = self._standing(model)
        self.manifest.write(self.settings.reports)

    def _paths(self, model: SiteModel, data: SiteData) -> ReportPaths:
        day = self.business_date.isoformat()
        workbooks = {
            feed: self.files.folder / "batches" / day / f"{feed}.xlsx"
            for feed in model.feeds
            if f"{day}/{feed}" in data.workbooks
        }
        return ReportPaths(
            self.files.folder / "index.html",
            self.files.folder / "batches" / day / "index.html",
            tuple(self.files.pages),
            workbooks,
            tuple(model.figures(feed, self.business_date) for feed in model.feeds),
        )


def _by_rule(days: Sequence[site_ledger.RuleDay]) -> dict[str, list[site_ledger.RuleDay]]:
    found: dict[str, list[site_ledger.RuleDay]] = defaultdict(list)
    for one in days:
        found[one.rule].append(one)
    return found


def _key(line: BatchLine) -> str:
    return f"{line.day.isoformat()}/{line.feed}"


def _first_days(manifest: Manifest) -> dict[str, date]:
    """Feed → the first business date that the last build knew of."""
    found: dict[str, date] = {}
    for key in sorted(manifest.batches):
        day, _, feed = key.partition("/")
        if feed not in found:
            found[feed] = date.fromisoformat(day)
    return found
