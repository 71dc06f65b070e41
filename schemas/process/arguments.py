"""For programs that take no arguments: their settings are in the environment."""

from __future__ import annotations

import sys


def refuse_arguments(usage: str) -> None:
    """End the program where it was given any: for --help with `usage` and status 0, for all else with status 2."""
    given = sys.argv[1:]
    if not given:
        return
    asked = given in (["--help"], ["-h"])
    print(f"usage: {usage}", file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 2)
