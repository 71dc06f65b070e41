"""`botpulse verify`: whether the tables are what the log says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from deploy.console import Json, bar, print_json
from deploy.settings import Settings
from projections.sources.broker import BrokerAddress
from projections.sources.exported import ExportAddress
from projections.sources.source import LogAddress
from projections.verify.differences import Difference
from projections.verify.partition import Selection
from projections.verify.record import record
from projections.verify.run import Outcome, verify
from schemas.counting import counted
from schemas.errors import ConfigurationError

_SHOWN: Final = 20
_PERSONAL: Final = frozenset(
    {"username", "first_name", "last_name", "preferred_language", "referral_code", "before", "after"}
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(name="verify")(command)


def command(
    sample: Annotated[
        str, typer.Option(metavar="SHARE", help="Only a share of the users, as 1%; the same ones every time.")
    ] = "100%",
    user: Annotated[int | None, typer.Option(min=1, metavar="TELEGRAM_ID", help="Only this user.")] = None,
    from_export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Read what is exported from there, and only what came later from the broker."),
    ] = None,
    offline: Annotated[bool, typer.Option(help="With --from-export: ask no broker at all.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is as many as pay.")] = 0,
    show_personal: Annotated[bool, typer.Option(help="Show differing personal data too.")] = False,
    as_json: Json = False,
) -> None:
    """Fold the log a second time, the simple way, and compare every table, and what streams has folded, with it.

    Compares at one consistent position, whatever goes on meanwhile, and changes no table; what a comparison of
    everything came to is kept in `verifications`. Exit status 1 when anything differs.
    """
    selection = Selection(user, _share(sample))
    settings = Settings.from_environment()
    database_url, log = settings.database_url(), log_address(settings, from_export, offline=offline)
    before = time.monotonic()
    with bar("verifying") as shown:
        outcome = asyncio.run(
            verify(
                database_url,
                log,
                settings.topics,
                selection=selection,
                aggregates=from_export is None,
                workers=workers or None,
                progress=watcher(shown.move),
            )
        )
    seconds = time.monotonic() - before
    if selection.is_all:
        differences = outcome.differences.total
        asyncio.run(record(database_url, seconds=seconds, records=outcome.records, differences=differences))
    if as_json:
        print_json(_content(outcome, selection, seconds, show_personal=show_personal))
    else:
        _tell(outcome, selection, seconds, show_personal=show_personal)
    if outcome.differences.total:
        raise typer.Exit(1)


def log_address(settings: Settings, from_export: Path | None, *, offline: bool) -> LogAddress:
    """Return where a replay reads the log."""
    if from_export is None:
        if offline:
            raise ConfigurationError("--offline is for --from-export DIR: without an export the log is the broker's")
        return BrokerAddress(settings.bootstrap_servers())
    return ExportAddress(from_export, None if offline else BrokerAddress(settings.bootstrap_servers()))


def watcher(move: Callable[[float, float | None, str | None], object]) -> Callable[[int, int], None]:
    """A progress that moves a bar and tells the events a second."""
    began = time.monotonic()

    def report(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - began, 0.001)
        move(done, total, f"folding, {rate:,.0f} events/s" if done < total else "comparing")

    return report


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigurationError(f"--sample {text}: a share of the users is more than 0% and at most 100%")
    return share


def plain(value: Any) -> Any:
    """A value of a row as JSON takes it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _values(difference: Difference, *, show_personal: bool) -> tuple[Any, Any]:
    if difference.column in _PERSONAL and not show_personal:
        return "(personal)", "(personal)"
    return plain(difference.stored), plain(difference.folded)


def _content(outcome: Outcome, selection: Selection, seconds: float, *, show_personal: bool) -> dict[str, Any]:
    differences = []
    for difference in outcome.differences.kept:
        stored, folded = _values(difference, show_personal=show_personal)
        differences.append({
            "table": difference.table,
            "key": {name: plain(value) for name, value in difference.key.items()},
            "column": difference.column,
            "stored": stored,
            "folded": folded,
            "events": [event._asdict() for event in difference.events],
        })  # fmt: skip
    return {
        "agree": not outcome.differences.total,
        "whole": selection.is_all,
        "positions": outcome.positions,
        "records": outcome.records,
        "verdicts": dict(outcome.verdicts),
        "users": outcome.users,
        "rows": dict(outcome.rows),
        "aggregates": {"compared": outcome.aggregates, "elsewhere": outcome.aggregates_elsewhere},
        "difference_counts": outcome.differences.counts,
        "differences": differences,
        "seconds": round(seconds, 3),
    }


def _tell(outcome: Outcome, selection: Selection, seconds: float, *, show_personal: bool) -> None:
    verdicts = ", ".join(f"{count:,} {name}" for name, count in sorted(outcome.verdicts.items()))
    typer.echo(
        f"{counted(outcome.records, 'record')} folded in {seconds:.1f} s "
        f"({outcome.records / max(seconds, 0.001):,.0f} a second): {verdicts or 'none'}"
    )
    elsewhere = f"; streams stands elsewhere with {outcome.aggregates_elsewhere:,}"
    typer.echo(
        f"{counted(outcome.users, 'user')} with {counted(sum(outcome.rows.values()), 'row')}, and "
        f"{counted(outcome.aggregates, 'aggregate')} "
        f"of streams, compared{elsewhere if outcome.aggregates_elsewhere else ''}"
    )
    if not selection.is_all:
        typer.echo("sums over all users (days, counts of events) were left out: only some users were folded")
    if not outcome.differences.total:
        typer.echo("no difference")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("where", "row", "column", "stored", "folded", "by"):
        table.add_column(heading, overflow="fold")
    for difference in outcome.differences.kept[:_SHOWN]:
        stored, folded = _values(difference, show_personal=show_personal)
        events = "\n".join(f"{event.partition}/{event.offset} {event.what}" for event in difference.events)
        table.add_row(
            difference.table, difference.subject, difference.column or "", _short(stored), _short(folded), events
        )
    Console(width=None if Console().is_terminal else 160).print(table)
    counts = ", ".join(f"{count:,} in {name}" for name, count in sorted(outcome.differences.counts.items()))
    typer.echo(f"{counted(outcome.differences.total, 'difference')}: {counts}")


def _short(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
