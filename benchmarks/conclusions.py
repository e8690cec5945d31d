"""What a benchmark comes to: one sentence per aim, for what was measured."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.audit import CHAIN, FULL, LEDGER, ONE_RUN, RUNS
from benchmarks.clock import ON_POSTGRESQL, ON_SQLITE
from benchmarks.deadlines import DEADLINES, PLAIN
from benchmarks.delivery import BARE, DELIVERY
from benchmarks.intake import CLEAN_FLOOR, CLEAN_UTF8, FLOOR, GB18030, UTF8
from benchmarks.meter import IN_THE_LEDGER
from benchmarks.report_site import NOTHING, ONE_NIGHT
from benchmarks.status import COMMAND

Results = dict[str, dict[str, float]]
"""Measurement → seconds by part."""


def conclusions(results: Results) -> Iterator[str]:
    """One sentence per aim, for what was measured."""
    yield from _batches(results)
    yield from _reports(results)
    yield from _deliveries(results)
    yield from _operations(results)


def _batches(results: Results) -> Iterator[str]:
    if {"floor", "guiji"} <= set(results):
        ratio = results["guiji"]["total"] / results["floor"]["total"]
        yield f"guiji takes {ratio:.2f} × the floor (aim: at most 4)"
    if {"pandas", "guiji"} <= set(results):
        ratio = results["pandas"]["total"] / results["guiji"]["total"]
        yield f"guiji is {ratio:.1f} × faster than the pandas way (aim: at least 10)"
    if parts := results.get("intake"):
        ratio, clean = parts[UTF8] / parts[FLOOR], parts[CLEAN_UTF8] / parts[CLEAN_FLOOR]
        yield f"intake takes {ratio:.2f} × the floor, {clean:.2f} × on a clean file (aim: at most 2)"
        share = parts[UTF8] / parts[GB18030]
        yield f"GB18030 has {share:.0%} of the rows a second of the same data in UTF-8 (aim: at least 70 %)"
    if parts := results.get("quality"):
        for way in ("great expectations on pandas", "the same, naming the rows"):
            yield f"verdicts are {parts[way] / parts['verdicts']:.0f} × faster than {way} (aim: at least 50)"
        ratio = parts["quality step"] / parts["bare scan and writing"]
        yield f"the quality step takes {ratio:.2f} × a bare scan that counts the same (aim: at most 1.5)"
    if parts := results.get("workbooks"):
        ratio = parts["workbook to rows"] / parts["python-calamine alone"]
        yield f"a workbook takes {ratio:.2f} × python-calamine alone (aim: at most 2)"
    for server in ("postgresql", "mariadb"):
        parts = results.get("database", {})
        if f"{server} feed" in parts:
            share = parts[f"{server} bare cursor"] / parts[f"{server} feed"]
            aim = "of the rows a second of a bare cursor loop (aim: at least 60 %)"
            yield f"a database feed on {server} has {share:.0%} {aim}"
    for part, seconds in results.get("ledger_overhead", {}).items():
        if part.endswith(IN_THE_LEDGER):
            share = seconds / results["ledger_overhead"][part.removesuffix(IN_THE_LEDGER)]
            yield f"the ledger takes {share:.1%} of a run, {part.removesuffix(IN_THE_LEDGER)} (aim: at most 5 %)"
    if parts := results.get("memory"):
        yield f"ten times the rows take {parts['growth_mb']:+.0f} MB of memory (aim: at most ± 200)"


def _reports(results: Results) -> Iterator[str]:
    if parts := results.get("report_site"):
        yield f"the report site takes {parts[NOTHING]:.0f} s for 1,000 batches (aim: about a minute)"
        yield f"one more night of 50 feeds takes {parts[ONE_NIGHT]:.0f} s (aim: seconds)"
    if parts := results.get("problem_workbook"):
        ratio = parts["problem workbook"] / parts["xlsxwriter alone"]
        yield f"a department workbook takes {ratio:.2f} × xlsxwriter alone with the same cells (aim: at most 2)"


def _deliveries(results: Results) -> Iterator[str]:
    if parts := results.get("delivery"):
        share = parts[BARE] / parts[DELIVERY]
        yield f"a REST delivery has {share:.0%} of the records a second of a bare httpx loop (aim: at least 70 %)"
    for server in ("postgresql", "sqlite"):
        if f"{server} outbox" in results.get("outbox", {}):
            parts = results["outbox"]
            share = parts[f"{server} bulk load"] / parts[f"{server} outbox"]
            yield f"the outbox on {server} fills at {share:.0%} of its own bulk load (aim: at least 50 %)"
    if parts := results.get("deadlines"):
        ratio = parts[DEADLINES] / parts[PLAIN]
        yield f"deadlines of 10 million records take {ratio:.2f} × a plain date addition (aim: at most 2)"
    for part in (ON_SQLITE, ON_POSTGRESQL):
        if part in results.get("clock", {}):
            yield f"guiji {part} answers after {results['clock'][part]:.1f} s (aim: about 3 for a million open records)"


def _operations(results: Results) -> Iterator[str]:
    for database in ("sqlite", "postgresql"):
        if (part := f"{COMMAND} on {database}") in results.get("status", {}):
            seconds = results["status"][part]
            yield f"{part} answers after {seconds:.1f} s for 200 feeds × 3 years (aim: at most 2)"
    if parts := results.get("audit"):
        yield f"audit verify over {RUNS:,} runs takes {parts[FULL]:.0f} s (aim: at most 30)"
        share, of_chain = parts[LEDGER] / parts[ONE_RUN], parts[CHAIN] / parts[ONE_RUN]
        yield f"the ledger takes {share:.1%} of a run of 5,000 rows, the chain {of_chain:.1%} (aim: at most 5 %)"
    if parts := results.get("night"):
        command, airflow = (parts[f"a feed {way}"] * 200 / 60 for way in ("by guiji run", "through Airflow"))
        yield f"200 feeds would take {command:.0f} minutes by guiji run (aim: about 8)"
        yield f"200 feeds would take {airflow:.0f} minutes through Airflow (aim: about 20)"
