"""A projection small enough to check by hand: events and message counts a user. Also a process: `-m tests.support.counting`.

An event whose credits are BAD_CREDITS breaks a constraint of its table, as a row that decoding did not foresee.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import asyncpg

from projections.batch import Applied, Arrival
from schemas.events import CreditsGranted

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
"""


async def apply(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Applied:
    """Count; the keys are sorted, so that two writers never deadlock."""
    events: Counter[int] = Counter()
    credits_granted: Counter[int] = Counter()
    for arrival in arrivals:
        telegram_id = int(arrival.event.subject)
        events[telegram_id] += 1
        if isinstance(arrival.event, CreditsGranted):
            credits_granted[telegram_id] += arrival.event.data.credits
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
    granted = [
        (int(a.event.subject), a.event.id, a.event.data.credits)
        for a in arrivals
        if isinstance(a.event, CreditsGranted)
    ]
    await connection.copy_records_to_table("granted", records=granted, schema_name="botpulse")
    return Applied()


if __name__ == "__main__":
    from projections.service import serve

    serve(apply)
