"""The events behind a user's numbers: what each contributed, and where it left the total."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Literal, NamedTuple

from projections.migrations import check_migrated
from projections.sources.source import LogAddress, check_reach
from projections.sql import query
from projections.verify.history import Entry, History, Verdict, broker_time
from projections.verify.money import SPENDING
from projections.verify.reasons import Reasons
from projections.verify.rows import kind_of
from projections.verify.run import refused_offsets
from projections.verify.session import snapshot
from projections.verify.user import tier_now
from schemas.codec import Decoder
from schemas.partitioner import partition_of
from schemas.records import LogRecord
from schemas.tiers import CURRENT_RULES
from schemas.topics import Topics

Question = Literal["tier", "spend", "credits"]

_KINDS: Final[dict[Question, frozenset[str]]] = {
    "tier": SPENDING,
    "spend": SPENDING,
    "credits": frozenset({"credits.granted", "credits.spent"}),
}


class Totals(NamedTuple):
    """A user's numbers at one point of the log."""

    purchases: int = 0
    spent_cents: int = 0
    credits: int = 0
    tier: str = tier_now(0, 0)


class Step(NamedTuple):
    """One record of the user's, and the totals before and after it."""

    entry: Entry
    before: Totals
    after: Totals
    note: str = ""
    """Why it has moved the spend by another amount than its own, where it counts and did; see `Reasons`."""

    @property
    def moved_tier(self) -> bool:
        """Whether this record changed the tier."""
        return self.before.tier != self.after.tier


class Explanation(NamedTuple):
    """What a question about a user comes to."""

    steps: list[Step]
    totals: Totals
    stored: Totals | None
    """What the tables say at the same position; None for an earlier moment, or where the user has no row."""
    rules_version: int


async def explain(
    database_url: str,
    log: LogAddress,
    topics: Topics,
    user: int,
    question: Question,
    *,
    as_of: datetime | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Explanation:
    """Return the user's records that the question is about, in the order of the log.

    The log is read up to where the tables are, in one snapshot with their row; with `as_of` up to that moment by the
    broker's clock. Reads one partition, the one of the user's key. Raises ConfigurationError where log or database
    can't be read.
    """
    key = b"%d" % user
    async with snapshot(database_url) as (connection, _), log.open() as source:
        await check_migrated(connection)
        name = topics.events.name
        bounds = await source.bounds(name)
        partitions = len(bounds)
        partition = partition_of(key, partitions)
        rows = await connection.fetch(query("verify", "checkpoints"), [name])
        checkpoints = {row["partition"]: row for row in rows}
        end = checkpoints[partition]["next_offset"] if partition in checkpoints else 0
        check_reach(name, {partition: end}, bounds)
        refused = (await refused_offsets(connection, topics, checkpoints)).get(partition, frozenset())
        found = await connection.fetch(query("verify", "users"), [user])
        records: list[LogRecord] = []
        done = 0

        def passed(offsets: int) -> None:
            nonlocal done
            done += offsets
            progress(done, end)

        async for _, chunk in source.read(name, {}, {partition: end}, key, passed):
            records += [record for record in chunk if as_of is None or broker_time(record.timestamp) <= as_of]
    steps = steps_of(records, History(Decoder(partitions).decode_plain, refused))
    stored = None
    if as_of is None and found:
        row = found[0]
        columns = ("purchase_count", "total_spent_cents", "message_credits", "current_tier")
        stored = Totals(*(row[column] for column in columns))
    totals = steps[-1].after if steps else Totals()
    return Explanation([s for s in steps if _asked(s.entry, question)], totals, stored, CURRENT_RULES.version)


def steps_of(records: Iterable[LogRecord], history: History) -> list[Step]:
    """Fold a user's records one by one, and note what each did. Pure."""
    steps, totals, reasons = [], Totals(), Reasons()
    for record in records:
        entry = history.read(record)
        before, user, note = totals, history.user, ""
        if user is not None:
            totals = Totals(user.money.purchases, user.money.spent_cents, user.credits, user.tier)
            note = reasons.of(entry, user.money, totals.spent_cents - before.spent_cents)
        steps.append(Step(entry, before, totals, note))
    return steps


def _asked(entry: Entry, question: Question) -> bool:
    # Of a record that is no event nobody can say what it was about.
    return entry.verdict is Verdict.INVALID or (entry.event is not None and kind_of(entry.event) in _KINDS[question])
