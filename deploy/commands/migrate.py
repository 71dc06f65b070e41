"""`botpulse migrate`: bring the database up to date."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from deploy.settings import Settings
from projections.migrations import migrate as apply_migrations

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(migrate)


def migrate(as_json: Json = False) -> None:
    """Create the tables of a database or bring them up to date; run again, it changes nothing.

    The database is DATABASE_URL, else that of the local stack. Two runs at once wait for each other. A migration that
    fails leaves the database as it was before it.
    """
    url = Settings.from_environment().database_url()
    with Console(stderr=True).status("connecting") as status:
        applied = asyncio.run(apply_migrations(url, lambda label: status.update(f"applying {label}")))
    if as_json:
        typer.echo(json.dumps({"applied": applied}))
    elif applied:
        for label in applied:
            typer.echo(f"applied {label}")
    else:
        typer.echo("The database is up to date.")
