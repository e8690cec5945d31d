"""Commands that keep the clock alive: ``guiji watch`` and ``guiji watchdog``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pipelines.cli_console import err, out
from pipelines.errors import ClockStalledError


def watch() -> None:
    """Look at every open deadline once, leave a heartbeat and send what is to be told, as the DAG clock_watch does."""
    from pipelines.operations.clock_watch import watch_clock, watch_result
    from pipelines.operations.context import open_context

    watched = watch_clock(open_context())
    for problem in watched.problems:
        err.print(problem, style="red", highlight=False, soft_wrap=True)
    for name, count in watch_result(watched).items():
        out.print(f"{name}: {count}", highlight=False)


def watchdog() -> None:
    """Check from outside that the clock is being watched; shout when it is not. Exit code 13 then.

    Start it by other means than the watch itself, for example by cron every quarter of an hour.
    """
    from pipelines.operations.context import open_context
    from pipelines.operations.watchdog import check_heart, shout

    context = open_context()
    heart = check_heart(context)
    for failure in shout(context, heart):
        err.print(failure, style="red", highlight=False, soft_wrap=True)
    if heart.problems:
        raise ClockStalledError(
            "; ".join(heart.problems), remedy="start the DAG clock_watch again and look at its last runs"
        )
    out.print(f"The clock was watched at {heart.at:%Y-%m-%d %H:%M} UTC: {heart.examined} open records.")
