"""`botpulse backfill`: an existing bot's history onto the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.backfill.mapping import Mapping, read_mapping
from deploy.backfill.run import State, Tally, preview, publish, total_rows
from deploy.backfill.sources import Files, Source, database
from deploy.console import Json, bar, print_json, say
from deploy.settings import Settings
from schemas.errors import ConfigurationError
from schemas.process.secret_files import secret

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(backfill)


def backfill(
    mapping: Annotated[Path, typer.Option(help="TOML: which rows are which events.")],
    from_database: Annotated[
        str | None, typer.Option(envvar="BACKFILL_DATABASE_URL", help="postgresql://…: the bot's own database.")
    ] = None,
    from_csv: Annotated[Path | None, typer.Option(help="A folder of CSV files, one a table.")] = None,
    from_ndjson: Annotated[Path | None, typer.Option(help="A folder of NDJSON files, one a table.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Publish; without it only the preview is shown.")] = False,
    state: Annotated[Path | None, typer.Option(help="Where progress is kept. Default: beside the mapping.")] = None,
    as_json: Json = False,
) -> None:
    """Publish an existing bot's tables as events; first a preview of what they are, with counts and sums.

    Ids follow from the rows: run again, it repeats the same events, which count once; interrupted, it goes on where it
    was. Exit status 1 when rows are refused: they are named, and all others are published.
    """
    read = read_mapping(mapping)
    if from_database is None and from_csv is None and from_ndjson is None:
        from_database = secret("BACKFILL_DATABASE_URL")
    tallies, published = asyncio.run(
        _run(read, from_database, from_csv, from_ndjson, state or mapping.with_suffix(".progress.json"), yes)
    )
    if as_json:
        print_json({"facts": [_object(tally) for tally in tallies], "published": published})
    else:
        _show(tallies)
        typer.echo(
            f"{published:,} published and acknowledged" if published is not None else "nothing is published: add --yes"
        )
    if any(tally.refused for tally in tallies):
        raise typer.Exit(1)


async def _run(
    mapping: Mapping, url: str | None, csv: Path | None, ndjson: Path | None, state: Path, yes: bool
) -> tuple[list[Tally], int | None]:
    async with _source(url, csv, ndjson) as source:
        total = await total_rows(source, mapping)
        with bar("reading", total) as shown:
            tallies = await preview(source, mapping, total, shown.move)
        if not yes:
            return tallies, None
        settings = Settings.from_environment()
        with bar("publishing", total) as shown:
            published = await publish(
                source,
                mapping,
                settings.bootstrap_servers(),
                settings.topics.events,
                State(state, mapping),
                total,
                shown.move,
            )
        return tallies, published


@asynccontextmanager
async def _source(url: str | None, csv: Path | None, ndjson: Path | None) -> AsyncIterator[Source]:
    if sum(place is not None for place in (url, csv, ndjson)) != 1:
        raise ConfigurationError("say one of --from-database, --from-csv and --from-ndjson")
    if url is not None:
        async with database(url) as source:
            yield source
    elif csv is not None:
        yield Files(csv, "csv")
    else:
        assert ndjson is not None
        yield Files(ndjson, "ndjson")


def _show(tallies: list[Tally]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("rows", "events", "left out", "refused", "$", "from", "to"):
        if name == "rows":
            table.add_column("facts")
        table.add_column(name, justify="right")
    for tally in tallies:
        days = [f"{moment:%Y-%m-%d}" if moment else "" for moment in (tally.first, tally.last)]
        numbers = [f"{number:,}" for number in (tally.rows, tally.events, tally.left_out, tally.refused)]
        table.add_row(tally.facts, *numbers, f"{tally.cents / 100:,.2f}" if tally.cents else "", *days)
        for key, reason in tally.refusals[:_SHOWN]:
            say(f"{tally.facts}: row {key}: {reason}")
        if tally.refused > _SHOWN:
            say(f"{tally.facts}: {tally.refused - _SHOWN:,} more refused (--json names {len(tally.refusals):,})")
    Console(width=120).print(table)


def _object(tally: Tally) -> dict[str, Any]:
    return {
        "facts": tally.facts,
        "event": tally.event,
        "rows": tally.rows,
        "events": tally.events,
        "left_out": tally.left_out,
        "refused": tally.refused,
        "amount_cents": tally.cents,
        "first": tally.first,
        "last": tally.last,
        "refusals": [{"row": key, "reason": reason} for key, reason in tally.refusals],
    }
