"""``guiji doctor``: is this installation well?"""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli_console import out, say

STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this check; may be repeated.")] = None,
    connect: Annotated[bool, typer.Option("--connect", help="Call endpoints too; nothing is handed over.")] = False,
) -> None:
    """Look at installation, home, ledger, clocks, calendar, sources, endpoints; say what to do. Changes nothing.

    Exit code 1 when there is a problem; warnings are none.
    """
    import json
    from dataclasses import asdict

    from pipelines.operations.doctor import CHECKS, examine
    from pipelines.operations.doctor_findings import Patient
    from pipelines.settings import Settings

    unknown = set(only or ()) - CHECKS.keys()
    if unknown:
        raise typer.BadParameter(f"unknown check {min(unknown)}; use one of {', '.join(CHECKS)}")
    findings = examine(Patient(Settings(), connect=connect), only or ())
    if as_json:
        # Not through the console: it would break lines in the middle of a text.
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=1))
    else:
        for finding in findings:
            say(f"{finding.state:<8} {finding.check}: {finding.found}", style=STYLES[finding.state])
            if finding.state != "ok":
                say(f"         → {finding.remedy}")
        counts = {state: sum(finding.state == state for finding in findings) for state in STYLES}
        out.print(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['problem']} problems")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
