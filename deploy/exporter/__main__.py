"""`python -m deploy.exporter`: the exporter, until SIGTERM or SIGINT."""

from __future__ import annotations

import sys

import uvloop

from deploy.exporter.service import serve
from deploy.exporter.settings import Settings
from schemas.errors import BotpulseError
from schemas.process.arguments import refuse_arguments


def main() -> None:
    """Run the exporter. Exit status 0 after a signal, 2 for a wrong setting."""
    refuse_arguments("python -m deploy.exporter, without arguments; its settings: botpulse settings exporter")
    try:
        uvloop.run(serve(Settings.from_environment()))
    except BotpulseError as error:
        print(f"botpulse exporter: {error}", file=sys.stderr, flush=True)  # noqa: T201
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
