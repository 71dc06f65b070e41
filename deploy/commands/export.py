"""`botpulse export`: closed days of the log as compressed files, to be read in place of the broker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from deploy.console import Bar, Json, bar, print_json, say
from deploy.settings import Settings
from projections.sources.archive import Day
from projections.sources.broker import BrokerAddress
from projections.sources.export import check, export_topic
from schemas.counting import counted


class _WritesByDefault(TyperGroup):
    """`botpulse export DIR` is `botpulse export write DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not self.commands.keys() & set(args) and "--help" not in args:
            args = ["write", *args]
        return super().parse_args(ctx, args)


_app = typer.Typer(cls=_WritesByDefault, help="Days of the log as compressed files.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(_app, name="export")


@_app.command()
def write(
    folder: Annotated[Path, typer.Argument(help="Where the files go; what is there and whole stays as it is.")],
    with_today: Annotated[
        bool, typer.Option("--with-today", help="Also the day that is not over; the next export writes it anew.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write every closed day (by the broker's clock, UTC) of the topics that are kept for ever, and a manifest a day.

    A day appears at once and whole; days that are there already are passed over.
    """
    settings = Settings.from_environment()
    with bar("exporting") as shown:
        days = asyncio.run(_export(settings, folder, shown, with_today=with_today))
    if as_json:
        content = [{"topic": d.topic, "day": d.day.isoformat(), "closed": d.closed, "records": d.records} for d in days]
        print_json({"folder": str(folder), "written": content})
        return
    for day in days:
        open_day = "" if day.closed else " (not over: the next export writes it anew)"
        typer.echo(f"{day.topic}  {day.day}  {day.records:>12,} records{open_day}")
    records = counted(sum(day.records for day in days), "record")
    typer.echo(f"{records} of {counted(len(days), 'day')} written to {folder}")


@_app.command(name="verify")
def verify_export(
    folder: Annotated[Path, typer.Argument(help="An export.")],
    as_json: Json = False,
) -> None:
    """Read every file of an export and compare it with its manifest; exit status 1 names each file that is damaged."""
    topics = [topic.name for topic in Settings.from_environment().topics if topic.is_kept_for_ever]
    with bar("reading") as shown:
        whole, damages = check(folder, topics, shown.move)
    if as_json:
        print_json({"folder": str(folder), "records": whole, "damaged": damages})
    else:
        for damage in damages:
            say(damage)
        damaged = f", {counted(len(damages), 'file is', 'files are')} damaged" if damages else ""
        typer.echo(f"{counted(whole, 'record is', 'records are')} whole{damaged}")
    if damages:
        raise typer.Exit(1)


async def _export(settings: Settings, folder: Path, shown: Bar, *, with_today: bool) -> list[Day]:
    days: list[Day] = []
    now = datetime.now(UTC)
    async with BrokerAddress(settings.bootstrap_servers()).open() as source:
        for topic in settings.topics:
            if topic.is_kept_for_ever:
                days += await export_topic(
                    source, topic.name, folder, now=now, with_open_day=with_today, progress=shown.move
                )
    return days
