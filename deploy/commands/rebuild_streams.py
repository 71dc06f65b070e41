"""`botpulse rebuild --streams`: the aggregates and the ledger folded anew, compared with the live ones, mended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.console import Bar, Interrupts, bar, interruptible, print_json, say
from deploy.settings import Settings
from streams.settings import Settings as StreamsSettings

if TYPE_CHECKING:
    from streams.rebuild import Rebuild, Rebuilt

SHOWN: Final = 20
"""Differences that are printed."""


def rebuild_streams(*, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Fold the streams' state anew, show how the live one differs, and mend it after confirmation.

    Exit status 1 when it differs and was not mended.
    """
    from streams.rebuild import Rebuild  # not above: it brings Faust, which no other command has to wait for

    settings = Settings.from_environment()
    servers: dict[str, Any] = {"KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers()}
    streams = StreamsSettings(**servers)
    with interruptible("interrupted: what was written so far is right, the next rebuild goes on") as interrupts:
        rebuild = interrupts.run(Rebuild.of(streams))
        interrupts.run(rebuild.check_alone())
        with bar("folding the log anew") as shown:
            found = [_compare(interrupts, rebuild, partition, shown) for partition in rebuild.partitions]
        differing = [rebuilt for rebuilt in found if rebuilt.differs]
        if not as_json:
            _show(found)
        written = bool(differing) and not dry_run and (yes or _agreed(differing, as_json))
        if written:
            interrupts.run(rebuild.check_alone())
            with bar("writing", len(differing)) as shown:
                for number, rebuilt in enumerate(differing, 1):
                    interrupts.run(rebuild.write(rebuilt))
                    shown.move(number)
    if as_json:
        print_json(_content(found, written))
    elif written:
        say("the live state is the rebuilt one; the workers can be started")
    if differing and not written:
        raise typer.Exit(1)


def _compare(interrupts: Interrupts, rebuild: Rebuild, partition: int, shown: Bar) -> Rebuilt:
    title = f"partition {partition + 1} of {len(rebuild.partitions)}"
    return interrupts.run(rebuild.compare(partition, lambda done, total: shown.move(done, total, title)))


def _agreed(differing: Sequence[Rebuilt], as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        return False
    changes = sum(len(rebuilt.tier_changes) for rebuilt in differing)
    told = f", and tell the bot {changes} tier changes" if changes else ""
    return typer.confirm(f"Write the rebuilt state{told}?", default=False)


def _show(found: Sequence[Rebuilt]) -> None:
    differences = [difference for rebuilt in found for difference in rebuilt.differences]
    if differences:
        table = Table(box=box.SIMPLE_HEAD, title="What the log says otherwise", title_justify="left")
        for heading in ("topic", "key", "live", "rebuilt"):
            table.add_column(heading)
        for difference in differences[:SHOWN]:
            table.add_row(difference.topic, difference.key, _text(difference.live), _text(difference.rebuilt))
        Console().print(table)
    totals = _totals(found)
    typer.echo(
        f"{totals['users']:,} aggregates and {totals['entries']:,} ledger entries compared with the log: "
        f"{totals['aggregates_differing']:,} and {totals['entries_differing']:,} differ, "
        f"{totals['tier_changes']:,} tier changes are owed to the bot"
    )


def _text(members: dict[str, Any]) -> str:
    text = ", ".join(f"{name} {value}" for name, value in members.items())
    return text if len(text) <= 60 else text[:59] + "…"


def _totals(found: Sequence[Rebuilt]) -> dict[str, int]:
    return {
        "users": sum(rebuilt.users for rebuilt in found),
        "entries": sum(rebuilt.entries for rebuilt in found),
        "aggregates_differing": sum(len(rebuilt.aggregates) for rebuilt in found),
        "entries_differing": sum(len(rebuilt.ledger) for rebuilt in found),
        "tier_changes": sum(len(rebuilt.tier_changes) for rebuilt in found),
    }


def _content(found: Sequence[Rebuilt], written: bool) -> dict[str, Any]:
    differences = [difference._asdict() for rebuilt in found for difference in rebuilt.differences]
    return {**_totals(found), "written": written, "differences": differences[:SHOWN]}
