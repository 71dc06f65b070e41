"""`botpulse tiers`: the rules as they are, and a new version applied to everybody at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Annotated

import typer
from aiokafka import TopicPartition
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.console import Json, bar, print_json
from deploy.kafka import consumer, partitions_of, producer
from deploy.settings import Settings
from schemas.counting import counted
from schemas.errors import BotpulseError
from schemas.tiers import CURRENT_RULES
from schemas.topics import Topics

_app = typer.Typer(help="The tier rules: show them, apply a new version at once.", no_args_is_help=True)
_DEFAULT_SECONDS = 600.0


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(_app, name="tiers")


@_app.command()
def show(as_json: Json = False) -> None:
    """Show the current rules and the benefits of every tier."""
    if as_json:
        tiers = [
            {
                "tier": tier.name,
                "min_purchases": tier.min_purchases,
                "min_spent_cents": tier.min_spent_cents,
                "benefits": tier.benefits,
            }
            for tier in CURRENT_RULES.tiers
        ]
        print_json({"version": CURRENT_RULES.version, "tiers": tiers})
        return
    table = Table(box=box.SIMPLE_HEAD, title=f"Tier rules, version {CURRENT_RULES.version}", title_justify="left")
    benefits = list(CURRENT_RULES.tiers[0].benefits)
    for heading in ("tier", "purchases from", "or spent $ from", *benefits):
        table.add_column(heading.replace("_", " "), justify="left" if heading == "tier" else "right")
    for tier in CURRENT_RULES.tiers:
        numbers = (tier.min_purchases, f"{tier.min_spent_cents / 100:,.2f}", *(tier.benefits[b] for b in benefits))
        table.add_row(tier.name, *map(str, numbers))
    Console().print(table)


@_app.command()
def apply(
    timeout: Annotated[float, typer.Option(min=0, help="Give up waiting after so many seconds.")] = _DEFAULT_SECONDS,
    as_json: Json = False,
) -> None:
    """Decide everybody's tier by the current rules, at once; without it a user is decided anew at the next event.

    Streams sends the tier changes. Exit status 1 when that is not done within --timeout: it goes on all the same.
    """
    settings = Settings.from_environment()
    with bar(f"rules version {CURRENT_RULES.version}") as shown:
        users = asyncio.run(_apply(settings.bootstrap_servers(), settings.topics, timeout, shown.move))
    if as_json:
        print_json({"version": CURRENT_RULES.version, "users": users})
    else:
        typer.echo(
            f"{counted(users, 'user is', 'users are')} measured by version {CURRENT_RULES.version} of the rules: all"
        )


async def _apply(
    bootstrap_servers: str, topics: Topics, timeout_seconds: float, progress: Callable[[float, float], None]
) -> int:
    count = await partitions_of(bootstrap_servers, topics.tier_rules)
    assert count == topics.tier_rules.partitions
    async with producer(bootstrap_servers) as client:
        request = json.dumps({"v": 1, "version": CURRENT_RULES.version}).encode()
        await client.send_and_wait(topics.tier_rules.name, request, key=b"apply", partition=0)
    return await _applied(bootstrap_servers, topics, timeout_seconds, progress)


async def _applied(
    bootstrap_servers: str, topics: Topics, timeout_seconds: float, progress: Callable[[float, float], None]
) -> int:
    """Follow the aggregates until everybody's newest is of this version; returns how many users there are."""
    places = [
        TopicPartition(topics.user_aggregates.name, number)
        for number in range(await partitions_of(bootstrap_servers, topics.user_aggregates))
    ]
    rules: dict[bytes, int] = {}
    deadline = time.monotonic() + timeout_seconds
    async with consumer(bootstrap_servers) as client:
        client.assign(places)
        await client.seek_to_beginning(*places)
        ends = await client.end_offsets(places)
        while True:
            for records in (await client.getmany(timeout_ms=200, max_records=20_000)).values():
                rules.update((record.key, json.loads(record.value)["rules"]) for record in records)
            left = sum(version != CURRENT_RULES.version for version in rules.values())
            progress(len(rules) - left, len(rules))
            if not left and all([await client.position(place) >= ends[place] for place in places]):
                return len(rules)
            if time.monotonic() > deadline:
                raise BotpulseError(
                    f"{left:,} of {len(rules):,} users are not yet measured by version {CURRENT_RULES.version} after "
                    f"{timeout_seconds:g} s: is streams running, and with this version of the rules?"
                )
