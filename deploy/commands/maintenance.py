"""`botpulse maintenance run`: what a database needs every day, for cron."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from deploy.console import Bar, Json, bar, print_json
from deploy.database import database
from deploy.settings import Settings
from projections import sql
from projections.access import OWNER

maintenance_app = typer.Typer(invoke_without_command=True)

_LOCK_TIMEOUT_MS = 10_000
_STYLES = {"ok": "green", "warn": "yellow", "alert": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(maintenance_app, name="maintenance")


@maintenance_app.callback()
def maintenance(context: typer.Context, as_json: Json = False) -> None:
    """What a database needs every day; without a command the same as `run`."""
    if context.invoked_subcommand is None:
        run(as_json)


@maintenance_app.command()
def run(as_json: Json = False) -> None:
    """Repair the latest days' figures, remove old rows, vacuum every table, note how large they are, and say how the
    database is; once a day is enough.

    What is old, and when health warns, is in the table maintenance_settings. Safe beside the services and another
    run. Exit status 1 when health raises an alert.
    """
    url = Settings.from_environment().database_url()
    with bar("cleaning up") as shown:
        done = asyncio.run(_maintain(url, shown))
    if as_json:
        print_json(done)
    else:
        _tell(done)
    if any(row["status"] == "alert" for row in done["health"]):
        raise typer.Exit(1)


async def _maintain(url: str, shown: Bar) -> dict[str, Any]:
    async with database(
        url,
        role=OWNER,
        application_name="botpulse-maintenance",
        lock_timeout_ms=_LOCK_TIMEOUT_MS,
        command_seconds=None,
    ) as connection:
        repaired = await connection.fetchval(sql.query("maintenance", "daily_metrics"))
        removed = await _clean_up(connection)
        tables = [row[0] for row in await connection.fetch(sql.query("maintenance", "tables"))]
        vacuum = sql.query("maintenance", "vacuum")
        for number, table in enumerate(tables):
            shown.move(number, len(tables), f"vacuuming {table}")
            await connection.execute(vacuum.format(table='"' + table.replace('"', '""') + '"'))
        await connection.execute(sql.query("maintenance", "sample"))
        health = await connection.fetch(sql.query("maintenance", "health"))
        return {
            "repaired_days": repaired,
            "removed": removed,
            "vacuumed": tables,
            "health": [dict(row) for row in health],
        }


async def _clean_up(connection: asyncpg.Connection) -> dict[str, int]:
    """Call until nothing older is left, each time in a transaction of its own, so that the projector gets its turns."""
    removed: Counter[str] = Counter()
    while True:
        rows = await connection.fetch(sql.query("maintenance", "clean_up"))
        removed.update({row["table_name"]: row["removed_rows"] for row in rows})
        # A partition in use is left for the next day: then nothing is removed, and nothing finished.
        if all(row["is_finished"] for row in rows) or not any(row["removed_rows"] for row in rows):
            return dict(removed)


def _tell(done: dict[str, Any]) -> None:
    removed = [f"{rows:,} of {table}" for table, rows in done["removed"].items() if rows]
    typer.echo(
        f"days repaired: {done['repaired_days'] or 'none'}; old rows removed: {', '.join(removed) or 'none'}; "
        f"{len(done['vacuumed'])} tables vacuumed"
    )
    table = Table("check", "status", "value", "advice")
    for row in done["health"]:
        advice = "" if row["status"] == "ok" else row["advice"]
        table.add_row(row["check"], f"[{_STYLES[row['status']]}]{row['status']}[/]", row["value"], advice)
    Console().print(table)
