"""`botpulse wait`: until what is on the log now is applied."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from deploy.console import Json, bar, print_json
from deploy.settings import Settings
from deploy.waiting import NotAppliedError, wait_applied, watcher

_DEFAULT_SECONDS = 600.0


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(wait)


def wait(
    timeout: Annotated[float, typer.Option(min=0, help="Give up after so many seconds.")] = _DEFAULT_SECONDS,
    as_json: Json = False,
) -> None:
    """Wait until all that is on the log now is applied by both services, tier changes included.

    Exit status 1 when that takes longer than --timeout.
    """
    settings = Settings.from_environment()
    servers, database_url = settings.bootstrap_servers(), settings.database_url()
    before = time.monotonic()
    try:
        with bar("waiting") as shown:
            report = watcher(shown.move)
            asyncio.run(wait_applied(servers, database_url, settings.topics, timeout_seconds=timeout, report=report))
    except NotAppliedError as error:
        if as_json:
            print_json({"applied": False, "lag": error.progress.lag, "seconds": timeout})
        raise
    seconds = round(time.monotonic() - before, 1)
    if as_json:
        print_json({"applied": True, "lag": {"streams": 0, "projections": 0}, "seconds": seconds})
    else:
        typer.echo(f"everything on the log is applied (waited {seconds} s)")
