"""All tables of a whole log: what tests compare the projections' tables with."""

from __future__ import annotations

from collections.abc import Iterable

from projections.batch import Arrival, DeadLetter
from projections.verify.rows import KEYS, Rows
from projections.verify.shared import Shared
from projections.verify.user import User
from schemas.envelope import ContentEvent, UserEvent
from schemas.events import TierChanged
from schemas.plain import plain


def fold(arrivals: Iterable[Arrival]) -> tuple[Rows, int]:
    """Return every row of every table that these events, each seen for the first time, amount to; and how many of
    them are conflicts."""
    users: dict[int, User] = {}
    shared = Shared()
    conflicts = 0
    for arrival in arrivals:
        if isinstance(arrival.event, UserEvent):
            telegram_id = int(arrival.event.subject)
            user = users.setdefault(telegram_id, User(telegram_id))
            if isinstance(arrival.event, TierChanged):
                user.take_tier_change(arrival.event, arrival.partition, arrival.offset)
            else:
                conflicts += user.apply(plain(arrival.event), arrival.appended_at) is not None
        elif isinstance(arrival.event, DeadLetter):
            shared.refused(arrival)
        elif isinstance(arrival.event, ContentEvent):
            shared.describe(plain(arrival.event))
    for user in users.values():
        shared.add(user)
    for stub in shared.referrers - users.keys():
        users[stub] = User(stub)
    tables: Rows = {table: {} for table in KEYS}
    for rows in (*(user.rows() for user in users.values()), shared.rows()):
        for table, found in rows.items():
            tables[table].update(found)
    return tables, conflicts
