"""The command `botpulse`: one command line over everything.

Exit status 0 is fine, 1 a finding or a difference, 2 wrong use or configuration.
"""

from __future__ import annotations

import sys

import typer

from deploy.commands import (
    acls,
    audit,
    backfill,
    bench,
    dead_letters,
    demo,
    explain,
    export,
    maintenance,
    migrate,
    publish,
    rebuild,
    reconcile,
    run,
    schemas,
    settings,
    simulate,
    stack,
    status,
    tiers,
    topics,
    user,
    verify,
    wait,
)
from schemas.errors import BotpulseError

app = typer.Typer(
    name="botpulse",
    help="Botpulse: a paid Telegram bot's events become tiers, dashboards and an audit trail.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
stack.register(app)
status.register(app)
migrate.register(app)
maintenance.register(app)
run.register(app)
settings.register(app)
topics.register(app)
acls.register(app)
simulate.register(app)
publish.register(app)
wait.register(app)
demo.register(app)
bench.register(app)
user.register(app)
tiers.register(app)
backfill.register(app)
reconcile.register(app)
schemas.register(app)
verify.register(app)
audit.register(app)
dead_letters.register(app)
explain.register(app)
rebuild.register(app)
export.register(app)


def main() -> None:
    """Run the command line; errors meant for people end in one line and their exit status."""
    try:
        app()
    except BotpulseError as error:
        print(f"botpulse: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_status)
