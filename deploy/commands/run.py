"""`botpulse run streams | projections`: one worker of a service, the same as `python -m streams` and so on."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from deploy.settings import Settings


class Service(StrEnum):
    """What can be run."""

    STREAMS = "streams"
    PROJECTIONS = "projections"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(run)


def run(service: Annotated[Service, typer.Argument(help="Which service.")]) -> None:
    """Run one worker of a service in the foreground until Ctrl-C or SIGTERM.

    Kafka and Postgres are those of the environment (KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL or PROJECTIONS_DATABASE_URL),
    else those of the local stack. Exit status 0 after a signal, 1 when the worker could not go on, 2 for something that
    must be changed first.
    """
    settings = Settings.from_environment()
    environment = dict(os.environ)
    environment["KAFKA_BOOTSTRAP_SERVERS"] = settings.bootstrap_servers()
    if service is Service.PROJECTIONS and not environment.get("PROJECTIONS_DATABASE_URL"):
        environment["DATABASE_URL"] = settings.database_url()
    # The service takes this process's place: signals and exit status are its own.
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", service.value], environment)  # noqa: S606
