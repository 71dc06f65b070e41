"""A projection small enough to check by hand: events and credits a user; `-m tests.support.counting` is a worker of it.

An event whose credits are BAD_CREDITS breaks a constraint of its table, as a row that decoding did not foresee.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from projections.batch import Applied, Arrival, DeadLetter
from projections.briefs import Granted
from schemas.process import crash_points

BAD_CREDITS = 666

CREATE = f"""
CREATE TABLE botpulse.counted (
    telegram_id bigint PRIMARY KEY,
    events      bigint NOT NULL,
    credits     bigint NOT NULL
);
CREATE TABLE botpulse.granted (
    telegram_id bigint NOT NULL,
    id          text   NOT NULL,
    credits     bigint NOT NULL CONSTRAINT not_bad CHECK (credits <> {BAD_CREDITS})
);
GRANT SELECT, INSERT, UPDATE ON botpulse.counted, botpulse.granted TO botpulse_projector;
"""


async def apply(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Applied:
    """Count, letters left out; the keys are sorted, so that two writers never deadlock."""
    arrivals = [arrival for arrival in arrivals if not isinstance(arrival.event, DeadLetter)]
    if not arrivals:
        return Applied()
    events: Counter[int] = Counter()
    credits_granted: Counter[int] = Counter()
    for arrival in arrivals:
        event: Any = arrival.event
        events[event.telegram_id] += 1
        if isinstance(event, Granted):
            credits_granted[event.telegram_id] += event.credits
    rows = [(user, events[user], credits_granted[user]) for user in sorted(events)]
    await connection.execute(
        """
        INSERT INTO botpulse.counted AS c (telegram_id, events, credits)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
        ON CONFLICT (telegram_id) DO UPDATE
        SET events = c.events + excluded.events, credits = c.credits + excluded.credits
        """,
        *map(list, zip(*rows, strict=True)),
    )
    await connection.copy_records_to_table("granted", records=_granted(arrivals), schema_name="botpulse")
    return Applied()


def _granted(arrivals: Sequence[Arrival]) -> Iterator[tuple[int, str, int]]:
    for arrival in arrivals:
        crash_points.reached("in_copy")
        if isinstance(arrival.event, Granted):
            yield arrival.event.telegram_id, arrival.event.id, arrival.event.credits


if __name__ == "__main__":
    from projections.service import serve

    serve(apply)
