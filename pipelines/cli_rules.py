"""The rule book: ``guiji rules``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli_console import err, out

NOT_CURRENT = 11

app = typer.Typer(help="The rule book: what is checked, why, and what to do.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The rule book: what is checked, why, and what to do."""


@app.command(name="list")
def list_rules(
    category: Annotated[str | None, typer.Option(help="Only rules of this category.")] = None,
    family: Annotated[str | None, typer.Option(help="Only this family, e.g. organisation_code.")] = None,
    severity: Annotated[str | None, typer.Option(help="block, warn or info.")] = None,
    owner: Annotated[str | None, typer.Option(help="department, us or upper.")] = None,
    dimension: Annotated[str | None, typer.Option(help="Quality dimension, e.g. completeness.")] = None,
    text: Annotated[str | None, typer.Option(help="A word in the code, the texts, the field or the source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per rule, for other programs.")] = False,
) -> None:
    """List the rules, all of them or those that are asked for."""
    from pipelines.operations.rule_book import RuleFilter, chosen, rule_book
    from pipelines.operations.rule_view import rule_json, rules_table
    from pipelines.settings import Settings

    wanted = RuleFilter(category, family, severity, owner, dimension, text)
    rules = chosen(rule_book(Settings()), wanted)
    if as_json:
        for rule in rules:
            typer.echo(rule_json(rule))
        return
    out.print(rules_table(rules))


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="Code of the rule, e.g. CF-C07a.")],
    english: Annotated[bool, typer.Option("--en", help="In English.")] = False,
) -> None:
    """Say everything about one rule: what it checks, when it applies, why, and which golden case breaks it."""
    from pipelines.operations.rule_book import whole_book
    from pipelines.operations.rule_view import explanation
    from pipelines.settings import Settings

    out.print(explanation(whole_book(Settings()), code, english=english), markup=False, highlight=False, soft_wrap=True)


@app.command()
def book(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 11 when the page is out of date.")
    ] = False,
) -> None:
    """Write docs/rules.md, the rule book as a page."""
    from pipelines.operations.rule_book import page_is_current, page_of, write_page
    from pipelines.settings import Settings

    settings = Settings()
    if not check:
        out.print(f"Wrote {write_page(settings)}", soft_wrap=True)
        return
    if page_is_current(settings):
        out.print(f"{page_of(settings)} says what the rules say.", soft_wrap=True)
        return
    err.print(f"{page_of(settings)} is out of date: run `guiji rules book`", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(NOT_CURRENT)
