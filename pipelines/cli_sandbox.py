"""The reference receiver: ``guiji sandbox`` (or ``guiji sandbox serve``), ``misbehave`` and ``behave``."""

# Commands import what they need when they are called: `guiji --help` must answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_console import out
from pipelines.errors import DeliveryError
from pipelines.sandbox.misbehaviour import Kind, Ration

if TYPE_CHECKING:
    from pipelines.catalogue.endpoints import Endpoint
    from pipelines.sandbox.remote import InForce, Remote

Port = Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes any free one.")]
Store = Annotated[Path | None, typer.Option(help="Where it keeps what it accepted; below GUIJI_HOME unless given.")]
SubjectBase = Annotated[Path | None, typer.Option(help="CSV of code and name: the subject base for rule 1001.")]
PortFile = Annotated[Path | None, typer.Option(help="Written with the port once it answers.")]
Variable = Annotated[str, typer.Option(help="Environment variable that holds the token it demands.")]
Certificates = Annotated[
    Path | None,
    typer.Option(help="Speak HTTPS: a folder for new certificates; authority.pem there is the ca_file of senders."),
]
Sftp = Annotated[
    Path | None, typer.Option(help="An endpoint's file of protocol sftp_file: serve its folders, too, below the store.")
]
SftpPort = Annotated[int, typer.Option(help="Port of that SFTP server on 127.0.0.1; the token is the password.")]
Tables = Annotated[
    Path | None,
    typer.Option(help="An endpoint's file of protocol exchange_table: make its tables and consume them, too."),
]
TablesVariable = Annotated[
    str, typer.Option(help="Environment variable with the SQLAlchemy URL of that database, for the upper side.")
]
Url = Annotated[str, typer.Option(help="Where the receiver answers.", envvar="GUIJI_PROVINCE_URL")]
Authority = Annotated[Path | None, typer.Option(help="authority.pem of a receiver that speaks HTTPS.")]
TOKEN = "GUIJI_PROVINCE_TOKEN"  # noqa: S105 - the name of a variable, no secret
TABLES_URL = "GUIJI_SANDBOX_TABLES_URL"
ADDRESS = "http://127.0.0.1:8765"


def register(app: typer.Typer) -> None:
    """Add the group ``sandbox``; without a command it serves."""
    group = typer.Typer(help="The reference receiver: validates, assigns ids, stores what it accepted.")
    group.callback(invoke_without_command=True)(sandbox)
    for command in (serve, misbehave, behave):
        group.command()(command)
    app.add_typer(group, name="sandbox")


def sandbox(
    context: typer.Context,
    port: Port = 8765,
    store: Store = None,
    subjects: SubjectBase = None,
    port_file: PortFile = None,
    variable: Variable = TOKEN,
    certificates: Certificates = None,
    sftp: Sftp = None,
    sftp_port: SftpPort = 0,
    tables: Tables = None,
    tables_variable: TablesVariable = TABLES_URL,
) -> None:
    """The reference receiver. Without a command it serves until it is stopped, like `guiji sandbox serve`."""
    if context.invoked_subcommand is None:
        serve(port, store, subjects, port_file, variable, certificates, sftp, sftp_port, tables, tables_variable)


def serve(
    port: Port = 8765,
    store: Store = None,
    subjects: SubjectBase = None,
    port_file: PortFile = None,
    variable: Variable = TOKEN,
    certificates: Certificates = None,
    sftp: Sftp = None,
    sftp_port: SftpPort = 0,
    tables: Tables = None,
    tables_variable: TablesVariable = TABLES_URL,
) -> None:
    """Serve until stopped: take packages of all protocols, judge them, give receipts, show what is held on a page."""
    from pipelines.sandbox.other_ways import SftpWay, TablesWay
    from pipelines.sandbox.server import serve as run
    from pipelines.settings import Settings

    kept = store or Settings().home_path / "sandbox.sqlite"
    run(
        "127.0.0.1",
        port,
        kept,
        subjects,
        os.environ.get(variable, ""),
        port_file,
        certificates=certificates,
        sftp=SftpWay(_endpoint(sftp), kept.with_name(f"{kept.stem}_sftp"), sftp_port) if sftp else None,
        tables=TablesWay(_endpoint(tables), _needed(tables_variable)) if tables else None,
        ready=lambda line: out.print(line, highlight=False, soft_wrap=True),
    )


def misbehave(
    kind: Annotated[Kind, typer.Argument(help="What to do wrong.")],
    times: Annotated[int | None, typer.Option(min=1, help="How often; without end unless given.")] = None,
    chance: Annotated[float, typer.Option(min=0.0001, max=1.0, help="How likely each time.")] = 1.0,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long (slow, lose_answer), Retry-After (busy), error of wrong_clock.")
    ] = 1.0,
    status: Annotated[int, typer.Option(min=400, max=599, help="HTTP status of busy, fail_before, fail_after.")] = 500,
    url: Url = ADDRESS,
    variable: Variable = TOKEN,
    authority: Authority = None,
) -> None:
    """Make the running receiver misbehave in one way, from now on."""
    _print(_remote(url, variable, authority).misbehave(kind, Ration(times, chance, seconds, status)))


def behave(
    kind: Annotated[Kind | None, typer.Argument(help="Only this kind; all of them unless given.")] = None,
    url: Url = ADDRESS,
    variable: Variable = TOKEN,
    authority: Authority = None,
) -> None:
    """Make the running receiver behave again."""
    _print(_remote(url, variable, authority).behave(kind))


def _endpoint(file: Path) -> Endpoint:
    from pipelines.catalogue.endpoints import Endpoint
    from pipelines.catalogue.yaml_source import parse, read

    return parse(read(file), Endpoint)


def _needed(variable: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise DeliveryError("the sandbox receiver has no address of its front-end database", remedy=f"set {variable}")
    return value


def _remote(url: str, variable: str, authority: Path | None) -> Remote:
    from pipelines.sandbox.remote import Remote

    return Remote(url, os.environ.get(variable, ""), authority)


def _print(in_force: InForce) -> None:
    if not in_force:
        out.print("The receiver behaves.")
    for kind, ration in in_force.items():
        times = "without end" if ration["times"] is None else f"{ration['times']} times"
        out.print(f"{kind}: {times}, chance {ration['chance']:g}, shown {ration['shown']} times", highlight=False)
