"""`botpulse dead-letters`: what to do about input that was refused."""

from __future__ import annotations

import asyncio
import getpass
from datetime import datetime
from typing import Annotated

import typer

from deploy.console import Json, print_json
from deploy.database import database
from deploy.settings import Settings
from projections.checkpoints import Place
from projections.refusals import accept as accept_refusal
from schemas.errors import ConfigurationError

_app = typer.Typer(help="Input that was refused, and what to do about it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(_app, name="dead-letters")


@_app.command()
def accept(
    record: Annotated[str, typer.Argument(help="The refused record: topic/partition/offset.")],
    note: Annotated[str, typer.Option(help="Why it may stay out of the tables. Kept for ever.")],
    by: Annotated[str, typer.Option(help="Who decides. Default: the user of this login.", show_default=False)] = "",
    as_json: Json = False,
) -> None:
    """Decide that an event whose rows the database refused stays out of the tables, for ever.

    The projections are ready again when every such event is accepted, or was redriven.
    """
    place, offset = _parse(record)
    if not note.strip():
        raise ConfigurationError("--note: say why the event may stay out of the tables")
    person = by.strip() or getpass.getuser()
    settings = Settings.from_environment()
    decided_at = asyncio.run(_accept(settings.database_url(), place, offset, person, note.strip()))
    if as_json:
        content = {"topic": place.topic, "partition": place.partition, "offset": offset, "state": "accepted"}
        print_json({**content, "decided_by": person, "decided_at": decided_at, "note": note.strip()})
    else:
        typer.echo(f"{record} stays out of the tables, decided by {person}")


def _parse(record: str) -> tuple[Place, int]:
    topic, _, rest = record.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise ConfigurationError(f"{record!r} names no record; it is topic/partition/offset, as in bot.events/3/1042")
    return Place(topic, int(partition)), int(offset)


async def _accept(database_url: str, place: Place, offset: int, by: str, note: str) -> datetime:
    async with database(database_url) as connection:
        return await accept_refusal(connection, place, offset, by=by, note=note)
