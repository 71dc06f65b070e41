"""`botpulse status`: whether the servers answer, and how far the services are."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.commands.stack import Home
from deploy.console import Json, bar, print_json
from deploy.local import LocalStack, ServiceStatus, StackStatus
from deploy.settings import Settings
from deploy.status import Partition, Progress, look
from schemas.counting import counted

_WIDTH = 140
_LOOK_SECONDS = 2.0


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(status)


def status(
    home: Home = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=60, help="Between the two looks that rates are worked out from.")
    ] = _LOOK_SECONDS,
    as_json: Json = False,
) -> None:
    """Say whether the servers answer, and for every partition of the projections how far it is applied.

    Looks at KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL where they are set (and no --home is given), else at the local
    stack. Exit status 1 when a server of the local stack doesn't answer, topics are missing, the database is not
    migrated, a partition stands still with records waiting, or the database has refused events that nobody has dealt
    with.
    """
    settings = Settings.from_environment()
    stack = LocalStack(home or settings.home)
    local = None
    if home is None and (settings.kafka is not None or settings.database is not None):
        servers, database_url = settings.bootstrap_servers(), settings.database_url()
    else:
        local = stack.status()
        info = stack.find() if local.up else None
        servers, database_url = (info.bootstrap_servers, info.database_url) if info is not None else ("", "")
    progress = None
    if servers:
        with bar("looking"):
            progress = asyncio.run(look(servers, database_url, settings.topics, seconds=seconds))
    findings = [] if progress is None else progress.findings()
    if as_json:
        print_json(_as_json(local, progress, findings))
    else:
        _tell(local, progress, findings)
    if findings or (progress is not None and progress.not_ready) or (local is not None and not local.up):
        raise typer.Exit(1)


def _as_json(local: StackStatus | None, progress: Progress | None, findings: list[str]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if local is not None:
        content |= {"home": str(local.home), "up": local.up}
        content |= {one.name: _server_as_json(one) for one in (local.kafka, local.postgres)}
    if progress is not None:
        content |= progress.as_json()
    return {**content, "findings": findings}


def _server_as_json(server: ServiceStatus) -> dict[str, object]:
    return {
        "running": server.running,
        "answers": server.answers,
        "address": server.address,
        "pid": server.pid,
        "resident_bytes": server.resident_bytes,
        "log": str(server.log),
    }


def _tell(local: StackStatus | None, progress: Progress | None, findings: list[str]) -> None:
    if local is not None:
        typer.echo(f"The local stack under {local.home}")
        for one in (local.kafka, local.postgres):
            typer.echo(f"  {one.name:9} {_in_words(one)}")
    if progress is None:
        return
    if progress.not_ready:
        typer.echo(progress.not_ready)
        return
    _show(progress)
    typer.echo(
        f"streams is {counted(progress.streams_lag_records, 'record')} behind; "
        f"refused events open: {progress.open_refusals}"
    )
    for finding in findings:
        typer.echo(f"! {finding}")


def _in_words(server: ServiceStatus) -> str:
    if not server.running:
        return "is down"
    state = "answers" if server.answers else f"RUNS BUT DOES NOT ANSWER (log: {server.log})"
    return f"{state} on {server.address}, process {server.pid}, {server.resident_bytes / 1_000_000:.0f} MB"


def _show(progress: Progress) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="The projections", title_justify="left")
    headings = ("partition", "checkpoint", "end of log", "lag", "lag seconds", "records/s", "epoch", "owner")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("partition", "owner") else "right", overflow="fold")
    for one in progress.partitions:
        table.add_row(
            f"{one.topic}/{one.partition}",
            f"{one.checkpoint:,}",
            f"{one.end:,}",
            f"{one.lag_records:,}",
            f"{one.lag_seconds:,.1f}",
            f"{one.records_per_second:,.1f}",
            str(one.epoch),
            _owner(one),
        )
    console = Console()
    (console if console.is_terminal else Console(width=_WIDTH)).print(table)


def _owner(one: Partition) -> str:
    if one.owner is None:
        return "nobody yet"
    return one.owner if one.connected else f"{one.owner} (gone)"
