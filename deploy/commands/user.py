"""`botpulse user`: what streams knows of one user right now."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.console import Json, print_json
from deploy.reading import read_all
from deploy.settings import Settings
from schemas.errors import BotpulseError
from schemas.topics import Topics
from streams.aggregate import UserAggregate, decode
from streams.windows import Window, windows


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(user)


def user(
    telegram_id: Annotated[int, typer.Argument(min=1, metavar="TELEGRAM_ID", help="The user.")],
    as_json: Json = False,
) -> None:
    """Show a user's aggregate and rolling windows as of now, read from the topic bot.user-aggregates.

    Exit status 1 when no event of the user was folded yet.
    """
    settings = Settings.from_environment()
    aggregate = asyncio.run(newest(settings.bootstrap_servers(), settings.topics, telegram_id))
    if aggregate is None:
        raise BotpulseError(
            f"no event of user {telegram_id} was folded yet (topic {settings.topics.user_aggregates.name})"
        )
    seen = windows(aggregate, int(time.time() * 1000))
    if as_json:
        print_json(_content(telegram_id, aggregate, seen))
    else:
        _show(_content(telegram_id, aggregate, seen), seen)


async def newest(bootstrap_servers: str, topics: Topics, telegram_id: int) -> UserAggregate | None:
    """The user's aggregate: of its records the one that has applied most; None where there is none."""
    key = str(telegram_id).encode()
    found: UserAggregate | None = None
    async for record in read_all(bootstrap_servers, topics.user_aggregates, key):
        if record.key == key:
            aggregate = decode(record.value)
            if found is None or aggregate.applied >= found.applied:
                found = aggregate
    return found


def _content(telegram_id: int, aggregate: UserAggregate, seen: dict[str, Window]) -> dict[str, Any]:
    last = aggregate.last_active_us
    return {
        "telegram_id": telegram_id,
        "tier": aggregate.tier,
        "rules_version": aggregate.rules,
        "purchases": aggregate.purchases,
        "spent_cents": aggregate.spent_cents,
        "refunds": aggregate.refunds,
        "refunded_cents": aggregate.refunded_cents,
        "messages": aggregate.messages,
        "credits": aggregate.credits,
        "credits_spent": aggregate.credits_spent,
        "unlocks": aggregate.unlocks,
        "last_active": None if last is None else datetime.fromtimestamp(last // 1_000_000, UTC).isoformat(),
        "applied_offset": aggregate.applied,
        "windows": {name: window._asdict() for name, window in seen.items()},
    }


def _show(content: dict[str, Any], seen: dict[str, Window]) -> None:
    console = Console()
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in content.items():
        if name != "windows":
            facts.add_row(name, "never" if value is None else str(value))
    console.print(facts)
    table = Table(box=box.SIMPLE_HEAD, title="as of now", title_justify="left")
    for heading in ("window", *Window._fields):
        table.add_column(heading, justify="left" if heading == "window" else "right")
    for name, window in seen.items():
        table.add_row(name, *(f"{count:,}" for count in window))
    console.print(table)
