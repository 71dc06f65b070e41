"""`botpulse acls`: what the bot, the services and their operators may do on a Kafka that checks rights."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.acls import Grant, Role, grants, put_in_force
from deploy.console import Json, print_json
from deploy.kafka import admin
from deploy.settings import Settings

acls_app = typer.Typer(help="Rights on Kafka, by principal.", no_args_is_help=True)

_Users = Annotated[
    str, typer.Option("--users", help="The five principals; {} is bot, streams, projections, operator, installer.")
]
_BotGroup = Annotated[
    list[str] | None, typer.Option("--bot-group", help="A group in which the bot reads tier changes; repeatable.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(acls_app, name="acls")


@acls_app.command()
def show(users: _Users = "User:botpulse-{}", bot_group: _BotGroup = None, as_json: Json = False) -> None:
    """What `apply` would grant. Asks no broker."""
    _tell(list(grants(Settings.from_environment().topics, bot_group or ())), _principals(users), as_json=as_json)


@acls_app.command()
def apply(users: _Users = "User:botpulse-{}", bot_group: _BotGroup = None, as_json: Json = False) -> None:
    """Grant it, as one of the broker's super.users. Idempotent; takes no right away that was granted otherwise."""
    settings, principals = Settings.from_environment(), _principals(users)
    wanted = list(grants(settings.topics, bot_group or ()))
    asyncio.run(_apply(settings.bootstrap_servers(), wanted, principals))
    _tell(wanted, principals, as_json=as_json)


async def _apply(bootstrap_servers: str, wanted: Sequence[Grant], principals: Mapping[Role, str]) -> None:
    async with admin(bootstrap_servers) as client:
        await put_in_force(client, wanted, principals)


def _principals(users: str) -> dict[Role, str]:
    if users.count("{}") != 1 or ":" not in users:
        raise typer.BadParameter("a pattern such as User:botpulse-{}", param_hint="--users")
    return {role: users.replace("{}", role) for role in Role}


def _tell(wanted: Sequence[Grant], principals: Mapping[Role, str], *, as_json: bool) -> None:
    rows = [(principals[g.role], g.operation.name, g.resource.name.lower(), g.name) for g in wanted]
    if as_json:
        names = ("principal", "operation", "resource", "name")
        print_json({"acls": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    table = Table("principal", "may", "on", "named")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
