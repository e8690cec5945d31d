"""``guiji withdraw``, ``guiji reinstate``, ``guiji objection``: acts on one published record."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import say
from pipelines.cli_options import By, Note, Yes

if TYPE_CHECKING:
    from pipelines.operations.record_states import Kind

objection = typer.Typer(help="Mark records whose subject has objected to them (异议标注).", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A document number, a record key (8+ characters) or an upper-level id.")]
Effective = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"], help="Day on which it takes effect, YYYY-MM-DD; today in Shanghai if not given."
    ),
]


def withdraw(
    name: Name,
    reason: Annotated[str, typer.Option(help="revoked, repaired, expired or error (误报).")],
    note: Note,
    by: By,
    effective: Effective = None,
    yes: Yes = False,
) -> None:
    """Withdraw a published record everywhere, for good: no later dump of its department brings it back."""
    _act(name, "withdraw", note, by, effective, yes, reason)


def reinstate(name: Name, note: Note, by: By, effective: Effective = None, yes: Yes = False) -> None:
    """Undo a withdrawal that was wrong: the record is sent again, and its department may report it again."""
    _act(name, "reinstate", note, by, effective, yes)


@objection.command()
def on(name: Name, note: Note, by: By, effective: Effective = None, yes: Yes = False) -> None:
    """Mark a record as objected to: endpoints are told, and it is on no list of punishments while this is open."""
    _act(name, "objection_on", note, by, effective, yes)


@objection.command()
def off(name: Name, note: Note, by: By, effective: Effective = None, yes: Yes = False) -> None:
    """Take the mark off: the objection was answered."""
    _act(name, "objection_off", note, by, effective, yes)


def _act(
    name: str, kind: Kind, note: str, by: str, effective: datetime | None, yes: bool, reason: str | None = None
) -> None:
    from pipelines.operations.clock import today_in_shanghai
    from pipelines.operations.context import open_context
    from pipelines.operations.record_acts import expect, store_act
    from pipelines.operations.record_states import Decision
    from pipelines.operations.record_words import words_of
    from pipelines.operations.trace import find_record

    context = open_context()
    category, record_key = find_record(context, name)
    day = effective.date() if effective else today_in_shanghai()
    decision = Decision(kind, day, by, note, reason)
    expected = expect(context, category, record_key, decision)
    words = words_of(context, category, record_key)
    say(f"{kind} {category} {record_key[:12]}, effective {day}")
    say(f"  {words.document_number}, {words.subject_name}, decided {words.decision_date} by {words.authority}")
    for one in expected:
        taken = "" if one.takes_it else "; it does not take this operation: a person has to see to it there"
        say(f"  {one.endpoint}: {one.shows}{taken}")
    if not expected:
        say("  no endpoint was ever owed it")
    if not yes:
        say("Nothing was stored; repeat it with --yes.")
        return
    stored = store_act(context, category, record_key, decision)
    say(
        f"Stored as act {stored.act.id}; queued for {len(stored.endpoints)} endpoints, "
        f"{stored.set_aside} unsent versions set aside. It leaves with the next 'guiji deliver'."
    )
