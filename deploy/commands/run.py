"""`botpulse run streams | projections | exporter`: one process, the same as `python -m streams` and so on."""

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
    EXPORTER = "exporter"


_MODULES = {Service.EXPORTER: "deploy.exporter"}
# Where each looks for Postgres, first to last.
_DATABASE = {
    Service.PROJECTIONS: ("PROJECTIONS_DATABASE_URL", "DATABASE_URL"),
    Service.EXPORTER: ("EXPORTER_DATABASE_URL", "DATABASE_URL"),
}


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(run)


def run(service: Annotated[Service, typer.Argument(help="Which service.")]) -> None:
    """Run one process of a service in the foreground until Ctrl-C or SIGTERM.

    Kafka and Postgres are those of the environment (KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL or the service's own, such as
    PROJECTIONS_DATABASE_URL), else those of the local stack. Exit status 0 after a signal, 1 when it could not go on, 2
    for something that must be changed first.
    """
    settings = Settings.from_environment()
    environment = dict(os.environ)
    if service is not Service.EXPORTER:
        environment["KAFKA_BOOTSTRAP_SERVERS"] = settings.bootstrap_servers()
    names = _DATABASE.get(service, ())
    if names and not any(environment.get(names[0] + ending) for ending in ("", "_FILE")):
        if path := environment.get("DATABASE_URL_FILE"):
            environment[f"{names[-1]}_FILE"] = path
        else:
            environment[names[-1]] = settings.database_url()
    # The service takes this process's place: signals and exit status are its own.
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", _MODULES.get(service, service.value)], environment)  # noqa: S606
