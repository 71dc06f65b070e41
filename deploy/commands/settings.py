"""`botpulse settings`: what each process would run with, secrets masked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import typer
from pydantic import SecretStr
from pydantic_settings import BaseSettings
from rich.console import Console
from rich.table import Table

from deploy.commands.run import Service
from deploy.console import Json, print_json
from deploy.exporter.settings import Settings as ExporterSettings
from deploy.settings import Settings
from projections.settings import Settings as ProjectionsSettings
from schemas.kafka.connection import SETTINGS, KafkaSecurity
from schemas.process.secret_files import MASK, masked_url
from streams.settings import Settings as StreamsSettings


class Shown(NamedTuple):
    """A setting as it is shown: no secret in it. `origin` is environment, the name of a file's setting, or default."""

    name: str
    value: str | None
    origin: str


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(settings)


def settings(
    service: Annotated[Service | None, typer.Argument(help="A service; without one, those of the commands.")] = None,
    as_json: Json = False,
) -> None:
    """Print every setting with its value and where that comes from; passwords are masked, databases not asked.

    Exit status 2, naming it, for a setting that is wrong or missing.
    """
    found = list(_of(_read(service)))
    if service is not Service.EXPORTER:
        found += _of_kafka(KafkaSecurity.from_environment())
    if as_json:
        print_json({"settings": [shown._asdict() for shown in found]})
        return
    table = Table("setting", "value", "from")
    for name, value, origin in found:
        table.add_row(name, "-" if value is None else value, origin)
    Console().print(table)


def _read(service: Service | None) -> BaseSettings:
    match service:
        case Service.STREAMS:
            return StreamsSettings.from_environment()
        case Service.PROJECTIONS:
            return ProjectionsSettings.from_environment()
        case Service.EXPORTER:
            return ExporterSettings.from_environment()
        case None:
            return Settings.from_environment()


def _of(read: BaseSettings) -> Iterator[Shown]:
    for field, meaning in type(read).model_fields.items():
        name, value = str(meaning.validation_alias), getattr(read, field)
        if isinstance(value, SecretStr):  # all of these are URLs of databases
            value = masked_url(value.get_secret_value())
        yield Shown(name, None if value is None else str(value), _origin(name))


def _of_kafka(security: KafkaSecurity) -> Iterator[Shown]:
    for name, field in SETTINGS.items():
        value = getattr(security, field)
        yield Shown(name, MASK if value and field.endswith("password") else value, _origin(name))


def _origin(name: str) -> str:
    if os.environ.get(f"{name}_FILE"):
        return f"{name}_FILE"
    return "environment" if os.environ.get(name) else "default"
