"""`python -m deploy.exporter`: the exporter, until SIGTERM or SIGINT."""

from __future__ import annotations

import sys

import uvloop

from deploy.exporter.service import serve
from deploy.exporter.settings import Settings
from schemas.errors import BotpulseError


def main() -> None:
    """Run the exporter. Exit status 0 after a signal, 2 for a wrong setting."""
    try:
        uvloop.run(serve(Settings.from_environment()))
    except BotpulseError as error:
        print(f"botpulse exporter: {error}", file=sys.stderr, flush=True)  # noqa: T201
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
