"""`botpulse topics apply`: the topics as the contract wants them; `botpulse topics grow`: more partitions."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy import growth
from deploy.console import Json, bar, print_json
from deploy.kafka import Outcome, create_topics
from deploy.settings import Settings
from schemas.counting import counted
from schemas.errors import ConfigurationError
from schemas.topics import Topics, legal_prefix

topics_app = typer.Typer(help="The topics on Kafka.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(topics_app, name="topics")


@topics_app.command()
def apply(
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Of the topics keyed by user. Default: what exists, else 8."),
    ] = None,
    replication_factor: Annotated[
        int, typer.Option(min=-1, max=100, help="Copies of new topics; -1 is the broker's default.")
    ] = -1,
    as_json: Json = False,
) -> None:
    """Create the topics or bring their settings up to date. A topic's partition count never changes."""
    settings = Settings.from_environment()
    outcomes = asyncio.run(create_topics(settings.bootstrap_servers(), settings.topics, partitions, replication_factor))
    if as_json:
        print_json({"topics": [_as_json(outcome) for outcome in outcomes]})
        return
    for outcome in outcomes:
        changes = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in outcome.changed.items())
        count = f"{outcome.partitions} partition{'s' if outcome.partitions > 1 else ''}"
        typer.echo(f"{outcome.name}: {outcome.result}, {count}{f' ({changes})' if changes else ''}")


@topics_app.command()
def grow(
    partitions: Annotated[int, typer.Option(min=2, max=10_000, help="How many the new topics have.")],
    to: Annotated[str, typer.Option(help="The new topics' prefix: their BOTPULSE_TOPIC_PREFIX.")],
    cut_over: Annotated[
        bool,
        typer.Option("--cut-over", help="The bot is stopped: copy its last records, and open the new topics for it."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy the log to topics with more partitions, every user's events in their order.

    Run it beside everything else, as often as you like: each run copies what has come since, and can be killed at any
    moment. Before the last one, with --cut-over, the bot is stopped; docs/operations.md has the whole procedure.
    """
    settings = Settings.from_environment()
    try:
        old, new = settings.topics, Topics(legal_prefix(to))
    except ValueError as error:
        raise ConfigurationError(f"--to: {error}") from None
    if new.prefix == old.prefix:
        raise typer.BadParameter("is the present prefix: the new topics need another one", param_hint="--to")
    with bar("copying") as shown:
        grown = asyncio.run(
            growth.grow(settings.bootstrap_servers(), old, new, partitions, cut_over=cut_over, move=shown.move)
        )
    if as_json:
        print_json({"copied": grown.copied, "records": grown.records, "cut_over": cut_over})
        return
    typer.echo(f"{counted(grown.copied, 'record')} copied; {new.events.name} has all of {old.events.name}'s up to now")
    if cut_over:
        typer.echo(f"Now start the bot with BOTPULSE_TOPIC_PREFIX={to}: its next events go to the new log")


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.name,
        "partitions": outcome.partitions,
        "result": outcome.result,
        "changed": {name: {"from": old, "to": new} for name, (old, new) in outcome.changed.items()},
    }
