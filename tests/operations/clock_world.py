"""A ledger with departments, endpoints and records on their way, written row by row: no batch is run for it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import update

from pipelines.catalogue import catalogue
from pipelines.deadlines.calendar import WorkingCalendar, load_calendar
from pipelines.deadlines.clock import BEIJING_TIME, deadline
from pipelines.deadlines.policies import DeadlinePolicy, load_policies
from pipelines.ledger.models import Attempt, Batch, ConsolidatedRun, Outbox, Package, Run
from pipelines.operations.context import Context, open_context
from pipelines.settings import PROJECT_ROOT, Settings

CATEGORY = "administrative_penalty"
FEEDS = {"market": "market_penalties", "ecology": "ecology_penalties", "housing": "housing_penalties"}
PROVINCE, PUBLIC = "province_sandbox", "public_site"


def beijing(day: date, hour: int = 12, minute: int = 0) -> datetime:
    """An instant in Beijing as the ledger stores it."""
    return datetime.combine(day, time(hour, minute), BEIJING_TIME).astimezone(UTC).replace(tzinfo=None)


def key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass
class World:
    """An installation of three departments with one feed each, and two endpoints: a platform and a public site."""

    folder: Path
    ledger_url: str | None = None
    public: dict[str, Any] = field(default_factory=dict)
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        root = self.folder / "root"
        for part in ("schemas", "expectations"):
            shutil.copytree(PROJECT_ROOT / part, root / part)
        departments = root / "schemas" / "departments"
        shutil.rmtree(departments)
        for department, feed in FEEDS.items():
            (departments / department).mkdir(parents=True)
            about = {"department": department, "name_zh": f"示例{department}局", "uscc": "11119900MA990001XH"}
            self._write(departments / department / "department.yaml", about)
            endpoints = [PROVINCE, PUBLIC]
            source = {"kind": "folder", "path": f"{department}/{{date}}", "pattern": "*"}
            described = {"feed": feed, "name_zh": "行政处罚", "category": CATEGORY, "edition": 2018}
            self._write(
                departments / department / "penalties.yaml", {**described, "endpoints": endpoints, "source": source}
            )
        endpoints_folder = root / "schemas" / "endpoints"
        site = yaml.safe_load((endpoints_folder / f"{PROVINCE}.yaml").read_text(encoding="utf-8"))
        site |= {"endpoint": PUBLIC, "audience": "public", "restricted_fields": "drop", **self.public}
        self._write(endpoints_folder / f"{PUBLIC}.yaml", site)
        self.reload()

    @cached_property
    def calendar(self) -> WorkingCalendar:
        return load_calendar(self.context.settings)

    @cached_property
    def policy(self) -> DeadlinePolicy:
        return load_policies(self.context.settings).default

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    def reload(self) -> None:
        """Read the configuration as a new process would."""
        catalogue._load.cache_clear()
        settings = Settings(root=self.folder / "root", home=self.folder / "home", ledger_url=self.ledger_url)
        self.context = open_context(settings)

    def policies(self, change: dict[str, Any]) -> None:
        """Lay settings over the default policy."""
        path = self.folder / "root" / "schemas" / "calendars" / "policies.yaml"
        file = yaml.safe_load(path.read_text(encoding="utf-8"))
        file["policies"][0] |= change
        self._write(path, file)

    def run(self, department: str, day: date, at: datetime, *, state: str = "published", attempt: int = 1) -> str:
        """A batch of a department's feed, of a business date, that began at an instant; its run."""
        feed = FEEDS[department]
        name = f"{feed}-{day}-{attempt}"
        with self.context.ledger.write() as session:
            batch = session.query(Batch).filter_by(feed=feed, business_date=day).one_or_none()
            if batch is None:
                batch = Batch(feed=feed, business_date=day)
                session.add(batch)
                session.flush()
            run = Run(id=name, batch_id=batch.id, feed=feed, category=CATEGORY, business_date=day, attempt=attempt)
            run.state, run.stage, run.started_at, run.finished_at = state, state, at, at
            session.add(run)
        return name

    def queue(self, run: str, name: str, decided: date, at: datetime, **values: Any) -> int:
        """One record version for one endpoint (the platform unless said), consolidated unless said; its row."""
        consolidated = values.pop("consolidated", True)
        endpoint = values.pop("endpoint", PROVINCE)
        identity = values.pop("idempotency_key", key(f"{endpoint} {run} {name} {values.get('act')}"))
        last = deadline(self.calendar, self.policy, decided)
        with self.context.ledger.write() as session:
            of_run = session.get_one(Run, run)
            if consolidated and session.get(ConsolidatedRun, run) is None:
                session.add(ConsolidatedRun(run=run, at=at))
            row = Outbox(
                endpoint=endpoint,
                category=CATEGORY,
                feed=of_run.feed,
                run=run,
                record_key=key(name),
                version=values.pop("version", 1),
                content_hash=key(f"{name} {values}"),
                operation="new",
                business_date=of_run.business_date,
                decision_date=decided,
                deadline=last.date,
                deadline_provisional=last.provisional,
                idempotency_key=identity,
                queued_at=at,
                **values,
            )
            session.add(row)
            session.flush()
            return row.id

    def change(self, row: int, **values: Any) -> None:
        """Set columns of a row of the outbox."""
        with self.context.ledger.write() as session:
            session.execute(update(Outbox).where(Outbox.id == row).values(values))

    def package(self, rows: list[int], at: datetime, *, sent: bool = True, endpoint: str = PROVINCE) -> str:
        """Put rows into a package that is taken at once, or not."""
        name = key(f"package {rows} {at}")
        with self.context.ledger.write() as session:
            package = Package(id=name, endpoint=endpoint, category=CATEGORY, records=len(rows), created_at=at)
            package.reference, package.offers, package.offered_at = name, 1, at
            package.sent_at = at if sent else None
            session.add(package)
            session.flush()
            values = {"package": name, "packaged_at": at, "sent_at": at if sent else None}
            session.execute(update(Outbox).where(Outbox.id.in_(rows)).values(values))
        return name

    def call(self, package: str, at: datetime, outcome: str) -> None:
        """A call to the endpoint of a package, and what came of it."""
        with self.context.ledger.write() as session:
            session.add(Attempt(package=package, at=at, action="submit", outcome=outcome))
