"""`python -m tests.faults`: the fault campaign."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import orjson
import typer

from tests.faults.campaign import Options, run
from tests.faults.mutations import DECKS, MUTATIONS, RATES, SERVICES_OF
from tests.faults.plan import DECK, SERVICES
from tests.faults.report import CampaignError, Report

SOAK_DECK = {"kill": 2, "storm": 1}


def main(
    seed: Annotated[int | None, typer.Option(help="Repeats the fault plan and the load of a run.")] = None,
    faults: Annotated[int, typer.Option(min=0, help="At most so many faults.")] = 300,
    minutes: Annotated[float, typer.Option(min=0.1, help="At most so long, checks apart.")] = 60.0,
    rate: Annotated[float, typer.Option(min=0, help="Records a second; 0 as fast as it goes.")] = 1200.0,
    kinds: Annotated[str, typer.Option(help="Only these kinds of faults, with commas.")] = "",
    streams_only: Annotated[bool, typer.Option("--streams-only", help="Only streams, no tables.")] = False,
    gap: Annotated[float, typer.Option(min=0, help="Mean seconds between two faults.")] = 2.0,
    far: Annotated[bool | None, typer.Option(help="Duplicates up to 72 h late; by default every other seed.")] = None,
    mutate: Annotated[str, typer.Option(help="Take a protection out first: " + ", ".join(MUTATIONS))] = "",
    soak: Annotated[bool, typer.Option(help="streams alone: --events records, --kills kills and rebalances.")] = False,
    events: Annotated[int, typer.Option(min=1, help="With --soak: records in all.")] = 2_000_000,
    kills: Annotated[int, typer.Option(min=1, help="With --soak: kills; half as many rebalance storms beside.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Copy all logs into this folder at the end.")] = None,
) -> None:
    """Break a real installation again and again, and check that every total is exact. Exit status 1 when one is not."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    typer.echo(f"seed {seed}", err=as_json)
    deck = {kind: DECK[kind] for kind in kinds.split(",")} if kinds else None
    options = Options(
        seed=seed,
        count=faults,
        minutes=minutes,
        rate=rate,
        gap_seconds=gap,
        far=far,
        deck=deck,
        mutate=mutate,
        keep=keep,
        services=("streams",) if streams_only else SERVICES,
    )
    if mutate:
        options = replace(
            options,
            deck=deck or DECKS[mutate],
            services=SERVICES_OF.get(mutate, SERVICES),
            rate=RATES.get(mutate, rate),
            far=False if far is None else far,
        )
    if soak:
        options = Options(
            seed=seed, count=kills * 3 // 2, minutes=600, rate=0 if rate == 1200.0 else rate, users=20_000,
            gap_seconds=gap, far=False,
            deck=SOAK_DECK, services=("streams",), records=events, mutate=mutate, keep=keep,
        )  # fmt: skip
    before = time.monotonic()

    def say(line: str) -> None:
        typer.echo(f"[{time.monotonic() - before:6.1f}] {line}", err=True)

    try:
        report = asyncio.run(run(options, say))
    except CampaignError as error:
        typer.echo(f"the campaign could not go on: {error} (seed {seed})", err=True)
        sys.exit(2)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    else:
        tell(report)
    sys.exit(1 if report.errors else 0)


def tell(report: Report) -> None:
    """The report for people."""
    content = report.as_json()
    typer.echo(
        f"{report.injected} faults: " + ", ".join(f"{count} {kind}" for kind, count in content["faults"].items())
    )
    for name in ("notes", "exits", "last_words", "figures"):
        typer.echo(f"{name}:")
        for key, value in content[name].items():
            typer.echo(f"  {key}: {value}")
    for error in report.errors:
        typer.echo(f"ERROR {error}")
    typer.echo(f"seed {report.seed}: " + (f"{len(report.errors)} errors" if report.errors else "every total is exact"))


if __name__ == "__main__":
    typer.run(main)
