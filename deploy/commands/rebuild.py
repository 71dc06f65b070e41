"""`botpulse rebuild`: the tables folded anew beside the live ones, compared with them, put in their place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.commands.rebuild_streams import rebuild_streams
from deploy.console import Bar, Json, bar, interruptible, print_json, say
from deploy.settings import Settings
from deploy.times import moment_of
from projections import registry
from projections.generations import layout, swap
from projections.generations.compare import Difference, Span
from projections.generations.parts import rebuild_user
from projections.generations.plan import WAIT_SECONDS, Outcome, Plan
from projections.generations.rebuild import rebuild as rebuild_tables
from projections.generations.turn import take_turn
from projections.settings import Settings as ProjectionSettings
from projections.sources.broker import BrokerAddress
from projections.sources.exported import ExportAddress
from projections.sources.source import LogAddress
from schemas.counting import counted
from schemas.fields import EARLIEST

_WAIT = WAIT_SECONDS
_NO_BROKER = "offline:0"
"""Stands for the address of a broker where none is asked."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(rebuild)


def rebuild(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that fold the log.")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare and stop; nothing is swapped.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Swap also where there are differences, without asking.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that the swap waits for whoever is in its way.")] = _WAIT,
    projection: Annotated[str | None, typer.Option(help="Correct the rows of this projection alone.")] = None,
    user: Annotated[int | None, typer.Option(min=1, help="Correct the rows of this user alone.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the previous tables.")] = False,
    drop_previous: Annotated[bool, typer.Option("--drop-previous", help="Drop the previous tables.")] = False,
    streams: Annotated[
        bool, typer.Option("--streams", help="The streams' aggregates and ledger instead of the tables.")
    ] = False,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Only look, at rows from this UTC day or time on.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only look, at rows before this UTC day or time.")
    ] = None,
    from_export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Read what is exported from there, and only what came later from the broker."),
    ] = None,
    offline: Annotated[bool, typer.Option(help="With --from-export: ask no broker at all.")] = False,
    as_json: Json = False,
) -> None:
    """Fold all tables anew from the beginning of the log, beside the live ones, and put them in their place.

    Live processing goes on. With --streams it is the stream service's state that is folded anew and, where it differs,
    mended: its workers must be stopped, and only net tier changes go out. Exit status 1 when there are differences that
    were not put right, or another rebuild is running.
    """
    if sum((rollback, drop_previous, dry_run)) > 1:
        raise typer.BadParameter("--rollback, --drop-previous and --dry-run exclude each other")
    if sum((rollback, drop_previous, projection is not None, user is not None, streams)) > 1:
        raise typer.BadParameter("--rollback, --drop-previous, --projection, --user and --streams exclude each other")
    span = _span(begin, to)
    if span is not None and (rollback or drop_previous or user is not None or streams):
        raise typer.BadParameter("--from and --to are for a rebuild of all tables, or of one projection's")
    if from_export is not None and (rollback or drop_previous or streams):
        raise typer.BadParameter("--from-export is for a rebuild of tables")
    if offline and from_export is None:
        raise typer.BadParameter("--offline is for --from-export DIR: without an export the log is the broker's")
    if streams:
        rebuild_streams(dry_run=dry_run, yes=yes, as_json=as_json)
        return
    settings = _projection_settings(offline=offline)
    with interruptible("interrupted: the live tables are as they were") as interrupts:
        if rollback:
            interrupts.run(_roll_back(settings, wait))
            _tell(
                as_json,
                {"rolled_back": True},
                "the previous tables are live, and those that were live until now are the previous ones: another "
                "--rollback exchanges them again; the projections catch up by themselves",
            )
        elif drop_previous:
            dropped = interrupts.run(_drop_previous(settings))
            _tell(as_json, {"dropped": dropped}, "dropped" if dropped else "there are no previous tables")
        else:
            with _watching() as watcher:
                plan = Plan(
                    workers,
                    dry_run or span is not None,
                    lambda found: _agree(watcher, found, yes, as_json),
                    projection,
                    wait,
                    span,
                    _log(settings, from_export, offline=offline),
                )
                if user is None:
                    outcome = interrupts.run(rebuild_tables(settings, registry.apply, plan, watcher))
                else:
                    outcome = interrupts.run(rebuild_user(settings, registry.apply, user, plan, watcher))
            _report(outcome, plan.dry_run, whole=projection is None and user is None, as_json=as_json)
            if outcome.differences and not outcome.applied:
                raise typer.Exit(1)


def _span(begin: str | None, to: str | None) -> Span | None:
    if begin is None and to is None:
        return None
    start = moment_of("--from", begin) if begin is not None else EARLIEST
    end = moment_of("--to", to) if to is not None else datetime.max.replace(tzinfo=UTC)
    if start >= end:
        raise typer.BadParameter("--from must be before --to")
    return Span(start, end)


def _log(settings: ProjectionSettings, folder: Path | None, *, offline: bool) -> LogAddress | None:
    if folder is None:
        return None
    return ExportAddress(folder, None if offline else BrokerAddress(settings.bootstrap_servers))


def _projection_settings(*, offline: bool) -> ProjectionSettings:
    settings = Settings.from_environment()
    # The rebuild makes tables: it is the installer's business.
    return ProjectionSettings.from_environment(
        KAFKA_BOOTSTRAP_SERVERS=_NO_BROKER if offline else settings.bootstrap_servers(),
        DATABASE_URL=settings.database_url(),
        PROJECTIONS_DATABASE_URL=None,
    )


def _tell(as_json: bool, content: dict[str, Any], line: str) -> None:
    if as_json:
        print_json(content)
    else:
        typer.echo(line)


async def _roll_back(settings: ProjectionSettings, wait_seconds: float) -> None:
    connection = await take_turn(settings)
    try:
        await swap.roll_back(connection, wait_seconds=wait_seconds, tell=say)
    finally:
        connection.terminate()


async def _drop_previous(settings: ProjectionSettings) -> bool:
    connection = await take_turn(settings)
    try:
        found = await layout.exists(connection, layout.PREVIOUS)
        await layout.drop(connection, layout.PREVIOUS)
        return found
    finally:
        connection.terminate()


class _Shown:
    """A rebuild's steps on one bar."""

    def __init__(self, shown: Bar) -> None:
        self._bar = shown
        self._title = ""
        self._done = self._total = 0
        self._began = time.monotonic()

    def step(self, title: str, total: int) -> None:
        self._title, self._total, self._done, self._began = title, total, 0, time.monotonic()
        self._bar.move(0, total or None, title)

    def moved(self, units: int) -> None:
        self._done += units
        seconds = time.monotonic() - self._began
        rate = f" {self._done / seconds:,.0f}/s" if seconds > 1 and self._total > 1000 else ""
        self._bar.move(self._done, max(self._total, self._done) or None, self._title + rate)

    def tell(self, line: str) -> None:
        say(line)


@contextmanager
def _watching() -> Iterator[_Shown]:
    with bar("rebuild") as shown:
        yield _Shown(shown)


def _agree(watcher: _Shown, differences: Sequence[Difference], yes: bool, as_json: bool) -> bool:
    if yes:
        return True
    if as_json or not sys.stdin.isatty():
        return False
    _show(differences)
    return typer.confirm("Put the new rows in place?", default=False)


def _show(differences: Sequence[Difference]) -> None:
    console = Console()
    table = Table(box=box.SIMPLE_HEAD, title="Where the new rows differ", title_justify="left")
    for heading in ("table", "rows gone", "rows new", "rows changed"):
        table.add_column(heading, justify="left" if heading == "table" else "right")
    for difference in differences:
        table.add_row(difference.table, *(f"{n:,}" for n in (difference.gone, difference.new, difference.changed)))
    console.print(table)
    for difference in differences:
        for row in difference.rows:
            key = ", ".join(f"{name} {value}" for name, value in row.key.items())
            columns = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in row.columns.items())
            event = f" (event {row.event})" if row.event else ""
            console.print(
                f"{difference.table}: {row.kind}: {key}{': ' if columns else ''}{columns}{event}", highlight=False
            )
        if difference.total > len(difference.rows):
            console.print(f"{difference.table}: and {counted(difference.total - len(difference.rows), 'row')} more")


def _report(outcome: Outcome, dry_run: bool, *, whole: bool, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(outcome), "records_per_second": round(outcome.records_per_second, 1)})
        return
    if outcome.differences:
        _show(outcome.differences)
    else:
        typer.echo("the new rows agree with the live ones, every one of them")
    if outcome.moved:
        places = ", ".join(f"{one.topic}/{one.partition}/{one.copy} for {one.original}" for one in outcome.moved[:5])
        entries = "1 entry stays" if len(outcome.moved) == 1 else f"{len(outcome.moved):,} entries stay"
        typer.echo(
            f"audit_log: {entries} where a redriven copy came ({places}"
            f"{', ...' if len(outcome.moved) > 5 else ''}), which is no difference"
        )
    typer.echo(
        f"{counted(outcome.records, 'record')} in {outcome.fold_seconds:.1f} s ({outcome.records_per_second:,.0f}/s), "
        f"indexes {outcome.complete_seconds:.1f} s, comparison {outcome.compare_seconds:.1f} s"
    )
    if outcome.applied and whole:
        typer.echo("the new tables are live; `botpulse rebuild --rollback` goes back until `--drop-previous`")
    elif outcome.applied:
        typer.echo("the rows that differed are corrected")
    elif dry_run:
        typer.echo("nothing was changed (--dry-run)")
    elif outcome.differences:
        typer.echo("nothing was changed: run again with --yes to put the new rows in place")
