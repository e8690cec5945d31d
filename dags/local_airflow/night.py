"""One night through the DAGs: all feeds side by side, then delivery, then clock and reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_service import AirflowService
from processes import Processes

POLL_SECONDS = 0.3
# Someone waits at the screen: what has failed so often is left to the scheduler's later attempts.
PATIENCE = 2


@dataclass
class Night:
    """The run of all DAGs for one business date.

    ``seconds`` is what the feeds may take together; delivery and reports may take half of it each.
    ``say`` prints one line of progress.
    """

    airflow: AirflowService
    processes: Processes
    business_date: str
    seconds: float
    say: Callable[[str], None]
    started: float = field(default_factory=time.monotonic)
    failures: list[str] = field(default_factory=list)
    runs: list[tuple[str, str]] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        return f"night__{self.business_date}__{int(time.time())}"

    def run(self, feeds: list[str]) -> list[str]:
        """Run everything; what failed is returned, one line each, and has not stopped the rest."""
        self.run_together(feeds, self.seconds)
        self.run_together(["deliver"], self.seconds / 2)
        self.run_together(["clock_watch", "steward_reports"], self.seconds / 2)
        return self.failures

    def report(self) -> str:
        """Where the reports of this night are; says so when there are none."""
        runs = [run for dag_id, run in self.runs if dag_id == "steward_reports"]
        found = self.airflow.result("steward_reports", runs[-1], "build") if runs else None
        return found or "none was built"

    def run_together(self, dag_ids: list[str], seconds: float) -> None:
        """Start these DAGs at the same time and wait for all of them; what is late counts as failed."""
        deadline = time.monotonic() + seconds
        waiting = dict.fromkeys(dag_ids, self.run_id)
        for dag_id, run_id in waiting.items():
            if self.airflow.close_unfinished(dag_id):
                self._tell(dag_id, "closed what an interrupted session had left")
            named = {} if dag_id == "clock_watch" else {"business_date": self.business_date}
            self.airflow.trigger(dag_id, run_id, named)
            self.runs.append((dag_id, run_id))
        told: set[tuple[str, str, int]] = set()
        while waiting:
            time.sleep(POLL_SECONDS)
            self.processes.check()
            for dag_id, run_id in list(waiting.items()):
                if self._is_settled(dag_id, run_id, told):
                    del waiting[dag_id]
            if time.monotonic() > deadline:
                self.failures += [f"{dag_id}: not finished after {seconds:.0f} s" for dag_id in sorted(waiting)]
                return

    def _is_settled(self, dag_id: str, run_id: str, told: set[tuple[str, str, int]]) -> bool:
        """Whether a run has ended, or has failed so often that the night does not wait for it."""
        state = self.airflow.run_state(dag_id, run_id)
        if state == "success":
            self._tell(dag_id, state)
            return True
        stuck = [task for task in self.airflow.tasks(dag_id, run_id) if task["state"] in ("failed", "up_for_retry")]
        problems = []
        for task in stuck:
            complaint = self.airflow.complaint(dag_id, run_id, task["task_id"], task["try_number"])
            problems.append(f"{task['task_id']}: {complaint}")
            attempt = (dag_id, task["task_id"], task["try_number"])
            if attempt not in told:
                told.add(attempt)
                self._tell(dag_id, problems[-1])
        if state == "failed" or any(task["try_number"] >= PATIENCE for task in stuck):
            self.failures += [f"{dag_id}, {problem}" for problem in problems] or [f"{dag_id}: failed"]
            return True
        return False

    def _tell(self, dag_id: str, text: str) -> None:
        self.say(f"{time.monotonic() - self.started:6.1f} s  {dag_id}: {text}")
