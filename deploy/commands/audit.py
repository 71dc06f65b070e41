"""`botpulse audit`: whether the audit trail is as it was written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import typer

from deploy.console import Json, bar, print_json
from deploy.database import database
from deploy.reading import read_all
from deploy.settings import Settings
from projections.access import AUDITOR
from projections.audit.heads import decode_head
from projections.audit.verify import Proof, prove
from schemas.counting import counted
from schemas.topics import Topic

_app = typer.Typer(help="The audit trail: prove that nobody has changed it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(_app, name="audit")


@_app.callback()
def _audit() -> None:
    """The audit trail."""


@_app.command()
def verify(as_json: Json = False) -> None:
    """Walk the hash chains of the audit log and compare them with the heads that were published to Kafka.

    Exit status 1, and the first broken link of each chain, when a row was changed, removed, or a chain written anew.
    """
    settings = Settings.from_environment()
    url, bootstrap_servers = settings.database_url(), settings.bootstrap_servers()
    with bar("walking the chains") as shown:
        proof = asyncio.run(_prove(url, bootstrap_servers, settings.topics.audit_heads, shown.move))
    if as_json:
        print_json(_content(proof))
    else:
        _tell(proof)
    if proof.breaks:
        raise typer.Exit(1)


async def _prove(url: str, bootstrap_servers: str, topic: Topic, progress: Callable[[float, float], object]) -> Proof:
    # The heads first: what has been published by then is in the tables.
    records = [record async for record in read_all(bootstrap_servers, topic)]
    heads = [head for record in records if (head := decode_head(record.value)) is not None]
    async with database(url, role=AUDITOR) as connection:
        return await prove(connection, heads, progress)


def _content(proof: Proof) -> dict[str, object]:
    return {
        "rows": sum(proof.rows.values()),
        "chains": [
            {"topic": chain.topic, "partition": chain.partition, "rows": rows} for chain, rows in proof.rows.items()
        ],
        "published_heads": proof.published,
        "breaks": [
            {"topic": chain.topic, "partition": chain.partition, "seq": seq, "what": what}
            for chain, seq, what in proof.breaks
        ],
    }


def _tell(proof: Proof) -> None:
    walked = f"{counted(sum(proof.rows.values()), 'row')} in {counted(len(proof.rows), 'chain')}, "
    walked += counted(proof.published, "published head")
    for chain, seq, what in proof.breaks:
        typer.echo(f"{chain}, row {seq}: {what}")
    if proof.breaks:
        typer.echo(f"{len(proof.breaks)} of the chains broken ({walked})")
    else:
        typer.echo(f"every chain is whole ({walked})")
