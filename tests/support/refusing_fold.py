"""The product with a fold that the database refuses for one event: number 3 of user 7."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from projections import registry
from projections.batch import Applied, Arrival
from projections.service import serve

_apply = registry.apply


async def apply(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Applied:
    """The registry's apply, and a division by zero with that event."""
    if any(getattr(arrival.event, "id", None) == "7-3" for arrival in arrivals):  # letters have none
        await connection.execute("SELECT 1 / 0")
    return await _apply(connection, arrivals)


def main() -> None:
    """The command line with this fold."""
    from deploy.cli import main as command

    registry.apply = apply
    command()


if __name__ == "__main__":
    serve(apply)
