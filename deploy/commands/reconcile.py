"""`botpulse reconcile`: a payment provider's own list against the tables."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.console import Json, bar, print_json
from deploy.database import database
from deploy.reconcile.compare import Charge, Finding, Refunded, differences, refunded
from deploy.reconcile.lists import entries, stars, stripe
from deploy.settings import Settings
from projections import sql
from schemas.counting import counted
from schemas.errors import ConfigurationError

_app = typer.Typer(help="Compare a payment provider's own list with the tables.", no_args_is_help=True)
_API: Final = "API"
_List = Annotated[str, typer.Argument(metavar="FILE|API", help="The provider's list as JSON, or API to ask for it.")]
_WORDS: Final = {
    "missing_in_tables": "only the provider has it",
    "missing_at_provider": "only the tables have it",
    "amount": "another amount",
    "refund": "paid back differently",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(_app, name="reconcile")


@_app.command(name="stars")
def stars_command(source: _List, as_json: Json = False) -> None:
    """Compare getStarTransactions with payment_analytics; API asks with BOT_TOKEN.

    A chargeback of Apple or Google is in no update: it shows here alone. Exit status 1 when anything differs.
    """
    from deploy.reconcile.providers import star_transactions  # not above: it brings aiohttp

    _reconcile("telegram_stars", source, stars, star_transactions, as_json=as_json)


@_app.command(name="stripe")
def stripe_command(source: _List, as_json: Json = False) -> None:
    """Compare Stripe's charges with payment_analytics; API asks with STRIPE_API_KEY.

    A file is a list of charges, or of balance transactions with expand[]=data.source. Exit status 1 when anything
    differs.
    """
    from deploy.reconcile.providers import stripe_charges  # not above: it brings aiohttp

    _reconcile("stripe", source, stripe, stripe_charges, as_json=as_json)


def _reconcile(
    provider: str,
    source: str,
    read: Callable[[Iterable[Any]], list[Charge]],
    ask: Callable[[], Coroutine[Any, Any, list[Any]]],
    *,
    as_json: bool,
) -> None:
    with bar("reading the provider's list"):
        listed = read(asyncio.run(ask()) if source == _API else _entries(Path(source)))
    known = asyncio.run(_known(Settings.from_environment().database_url(), provider))
    findings = differences(listed, known)
    if as_json:
        print_json({"provider": provider, "listed": len(listed), "differences": [asdict(found) for found in findings]})
    else:
        _show(findings)
        typer.echo(f"{counted(len(listed), 'charge')} in the provider's list, {counted(len(findings), 'difference')}")
    if findings:
        raise typer.Exit(1)


def _entries(path: Path) -> list[Any]:
    try:
        return list(entries(json.loads(path.read_text("utf-8"))))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is no JSON: {error}") from None


async def _known(url: str, provider: str) -> dict[str, Charge]:
    async with database(url) as connection:
        rows = await connection.fetch(sql.query("reconcile", "charges"), provider)
    return {
        row["charge_id"]: Charge(
            row["charge_id"],
            int(row["amount_minor"]),
            row["currency"],
            row["occurred_at"],
            Refunded.WHOLE if row["is_refunded"] else refunded(row["amount_cents"], row["refunded_cents"]),
        )
        for row in rows
    }


def _show(findings: list[Finding]) -> None:
    if not findings:
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("charge", "what", "provider", "tables"):
        table.add_column(name)
    for found in findings:
        table.add_row(found.charge_id, _WORDS[found.what], found.provider or "–", found.tables or "–")
    Console(width=140).print(table)
