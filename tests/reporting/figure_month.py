"""Two departments in November 2026: a re-run, late records, a duplicate, an excluded row, a line that is no row.

What the figures have to be is counted by hand in the tests. What was sent:

* dept_penalty, Monday 16: numbers 1-5 in order; 1 again; 6 with a wrong code; 7 decided on 8 October; 8 by summary
  procedure, which the feed declares not reportable; and a line that is no row. Run again with 6 corrected.
* dept_penalty, Tuesday 17: 1 and 2 as before, 3 changed, 9 new, decided on Monday 16.
* other_penalty, Monday 16: 21-23 in order, 24 with a class that nobody knows.
"""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime

import time_machine
import yaml
from sqlalchemy import select, update

from pipelines.ledger.models import Outbox, Run
from pipelines.operations.attempts import published_run
from pipelines.operations.context import Context
from pipelines.operations.night import run_night
from pipelines.records.reading import record_history
from pipelines.settings import PROJECT_ROOT
from tests.operations.small_feed import COLUMNS, FEED, MONDAY, TUESDAY, Installation, Rows, row, rows

OTHER = "other_penalty"
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
WRONG = "91119900MA9000061X"
ENDPOINT = "province_sandbox"
EXCLUDED = {"column": "处罚内容", "values": ["简易程序"], "match": "contains", "reason_zh": "简易程序"}


def beijing(day: int, hour: int = 9) -> datetime:
    """An instant of November 2026 as the clock shows it in China, in UTC."""
    return datetime(2026, 11, day, hour - 8 if hour >= 8 else 0, tzinfo=UTC)


@dataclass
class Month(Installation):
    """The two feeds and what they sent."""

    def __post_init__(self) -> None:
        self.settings = {"exclude": [EXCLUDED], "endpoints": [ENDPOINT], **self.settings}
        super().__post_init__()
        schemas = self.folder / "root" / "schemas"
        (schemas / "endpoints").mkdir(exist_ok=True)
        shutil.copy(PROJECT_ROOT / "schemas" / "endpoints" / f"{ENDPOINT}.yaml", schemas / "endpoints")
        other = schemas / "departments" / "other"
        other.mkdir(exist_ok=True)
        about = {"department": "other", "name_zh": "示例二局", "uscc": "11119900MA990002XF"}
        feed = {
            "feed": OTHER,
            "name_zh": "示例二局行政处罚",
            "category": "administrative_penalty",
            "edition": 2018,
            "source": {"kind": "folder", "path": "other/{date}", "pattern": "*"},
        }
        (other / "department.yaml").write_text(yaml.safe_dump(about, allow_unicode=True), encoding="utf-8")
        (other / "penalty.yaml").write_text(yaml.safe_dump(feed, allow_unicode=True), encoding="utf-8")
        self.describe(**self.settings)

    def batch(self, feed: str, day: date, sent: Rows, *, bad_lines: str = "") -> Run:
        """Send rows for a feed and run its batch, which has to be published."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(sent)
        target = self.folder / "inbox" / feed.removesuffix("_penalty") / day.isoformat()
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "penalty.csv").write_text(text.getvalue() + bad_lines, encoding="utf-8", newline="")
        (result,) = run_night(self.context, day, [feed])
        assert result.problem is None, result.problem
        with self.context.ledger.read() as session:
            run = published_run(session, feed, day)
        assert run is not None
        return run

    def live_through(self) -> Context:
        """Everything that was sent, at the time at which it was."""
        broken = "短行,只有两格\r\n"
        monday = [
            *rows(range(1, 6)),
            row(1),
            row(6, 统一社会信用代码=WRONG),
            row(7, 处罚决定日期="2026/10/08"),
            row(8, 处罚内容="简易程序"),
        ]
        with time_machine.travel(beijing(17)):
            self.batch(FEED, MONDAY, monday, bad_lines=broken)
            self.batch(OTHER, MONDAY, [*rows((21, 22, 23)), row(24, 处罚类别="无此类别")])
        with time_machine.travel(beijing(18)):
            self.batch(FEED, MONDAY, [*monday[:6], row(6), *monday[7:]], bad_lines=broken)
            changed = row(3, 处罚内容="给予警告，责令改正。")
            self.batch(FEED, TUESDAY, [*rows((1, 2)), changed, row(9, 处罚决定日期="2026/11/16")])
        return self.context

    def accept(self, numbers: set[int], at: datetime) -> None:
        """The receiver takes the first versions of these decisions at an instant."""
        context = self.context
        with context.session() as session, context.ledger.write() as ledger:
            for outbox in ledger.scalars(select(Outbox).where(Outbox.version == 1)):
                store = context.stores[outbox.category]
                (version, *_) = record_history(session, store, context.ledger, outbox.record_key)
                if int(version["document_key"].split("〕")[1].removesuffix("号")) in numbers:
                    ledger.execute(
                        update(Outbox).where(Outbox.id == outbox.id).values(accepted_at=at.replace(tzinfo=None))
                    )
