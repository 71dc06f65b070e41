"""`botpulse publish`: CloudEvents from a file or a pipe onto the log."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from deploy.console import Json, print_json, say
from deploy.lines import publish_lines
from deploy.settings import Settings
from schemas.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(publish)


def publish(
    file: Annotated[str, typer.Argument(help="CloudEvents, one JSON object a line; - is standard input.")],
    as_json: Json = False,
) -> None:
    """Check events against the contract and publish those that it accepts.

    Every refusal is named by its line, with the reason; all others are acknowledged by Kafka on return. Exit status 1
    when any was refused.
    """
    settings = Settings.from_environment()
    with _opened(file) as lines:
        outcome = asyncio.run(
            publish_lines(
                lines,
                settings.bootstrap_servers(),
                settings.topics.events,
                refused=lambda refusal: say(f"line {refusal.line}: {refusal.reason}: {refusal.detail}"),
            )
        )
    if as_json:
        refusals = [{"line": r.line, "reason": r.reason, "detail": r.detail} for r in outcome.refusals]
        print_json({"published": outcome.published, "refused": refusals})
    else:
        refused = f", {len(outcome.refusals):,} refused" if outcome.refusals else ""
        typer.echo(f"{outcome.published:,} published and acknowledged{refused}")
    if outcome.refusals:
        raise typer.Exit(1)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise ConfigurationError(f"{file} can't be read: {error.strerror}") from None
        yield opened
