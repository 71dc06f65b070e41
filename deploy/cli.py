"""The command `botpulse`: one command line over everything.

Exit status 0 is fine, 1 a finding or a difference, 2 wrong use or configuration.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from typing import Final

import typer

from schemas.errors import BotpulseError

MODULES: Final = (
    "stack",
    "status",
    "migrate",
    "maintenance",
    "run",
    "settings",
    "topics",
    "acls",
    "simulate",
    "publish",
    "wait",
    "demo",
    "bench",
    "user",
    "tiers",
    "backfill",
    "reconcile",
    "schemas",
    "verify",
    "audit",
    "dead_letters",
    "explain",
    "rebuild",
    "export",
)
"""Those of deploy.commands, in the order of the help. All but the first have one command, or group, of their name."""
OF_THE_STACK: Final = ("up", "down", "env")
"""The commands of the first."""


def command_line(modules: Iterable[str] = MODULES) -> typer.Typer:
    """Return `botpulse` with the commands of these modules."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    # With a callback, one command alone is asked for by its name too.
    app.callback(help="Botpulse: a paid Telegram bot's events become tiers, dashboards and an audit trail.")(_nothing)
    for name in modules:
        importlib.import_module(f"deploy.commands.{name}").register(app)
    return app


def _nothing() -> None:
    return None


def main() -> None:
    """Run the command line; errors meant for people end in one line and their exit status."""
    named = "".join(sys.argv[1:2]).replace("-", "_")
    if named in OF_THE_STACK:
        named = MODULES[0]
    # What only other commands need takes longer to import than many a command takes.
    app = command_line([named] if named in MODULES else MODULES)
    try:
        app(prog_name="botpulse")
    except BotpulseError as error:
        print(f"botpulse: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_status)
