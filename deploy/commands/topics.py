"""`botpulse topics apply`: the topics as the contract wants them."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.console import Json, print_json
from deploy.kafka import Outcome, create_topics
from deploy.settings import Settings

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


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.name,
        "partitions": outcome.partitions,
        "result": outcome.result,
        "changed": {name: {"from": old, "to": new} for name, (old, new) in outcome.changed.items()},
    }
