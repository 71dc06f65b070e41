"""The two passes: a preview that counts and sums, and the publishing of the same events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from deploy.backfill.events import RefusedRow, event_of
from deploy.backfill.mapping import Facts, Mapping
from deploy.backfill.sources import Row, Source
from deploy.publishing import publisher
from schemas.codec import CONTENT_TYPE_HEADER, key_of
from schemas.errors import ConfigurationError
from schemas.topics import Topic

REFUSALS_KEPT: Final = 1000
"""Of each facts' rows: the rest is only counted."""
_ROWS_AN_ACKNOWLEDGEMENT: Final = 5000

Progress = Callable[[int, int], None]


@dataclass
class Tally:
    """What the rows of some facts are; money is the sum of `amount_cents`."""

    facts: str
    event: str
    rows: int = 0
    events: int = 0
    left_out: int = 0
    refused: int = 0
    cents: int = 0
    first: datetime | None = None
    last: datetime | None = None
    refusals: list[tuple[str, str]] = field(default_factory=list)
    """The key of the row and the reason."""

    def add(self, event: Any) -> None:
        """Count an event."""
        self.events += 1
        self.cents += getattr(event.data, "amount_cents", None) or 0
        self.first = event.time if self.first is None else min(self.first, event.time)
        self.last = event.time if self.last is None else max(self.last, event.time)

    def refuse(self, key: str, reason: str) -> None:
        """Count a row that is no event."""
        self.refused += 1
        if len(self.refusals) < REFUSALS_KEPT:
            self.refusals.append((key, reason))


async def total_rows(source: Source, mapping: Mapping) -> int:
    """How many rows all facts have. Raises ConfigurationError for a table, file or column that is not there."""
    return sum([await source.count(facts) for facts in mapping.facts])


async def preview(source: Source, mapping: Mapping, total: int, progress: Progress) -> list[Tally]:
    """Read all rows and say what they are; nothing is published. Raises ConfigurationError."""
    done, tallies = 0, []
    for facts in mapping.facts:
        tally = Tally(facts.name, facts.event_type)
        async for row in source.rows(facts, 0):
            _read(row, facts, mapping, tally)
            done += 1
            if done % 1000 == 0:
                progress(done, total)
        tallies.append(tally)
    return tallies


async def publish(
    source: Source, mapping: Mapping, servers: str, topic: Topic, state: State, total: int, progress: Progress
) -> int:
    """Publish the events of all rows; returns how many are acknowledged. What `state` has as done is not read again.

    Raises ConfigurationError, or BotpulseError when Kafka doesn't take a batch: then a next call goes on.
    """
    done = 0
    async with publisher(servers, topic) as sender:
        for facts in mapping.facts:
            tally = Tally(facts.name, facts.event_type)
            read = await state.done(source, facts)
            done += read
            async for row in source.rows(facts, read):
                made = _read(row, facts, mapping, tally)
                if made is not None:
                    event, value = made
                    await sender.add(key_of(event), value, [CONTENT_TYPE_HEADER])
                read, done = read + 1, done + 1
                if read % _ROWS_AN_ACKNOWLEDGEMENT == 0:
                    await sender.flush()
                    state.advance(facts, read, row)
                    progress(done, total)
        await sender.flush()
        state.finish()
        return sender.acknowledged


class State:
    """How far an earlier run came, in a file. Without it everything is sent again, and counts once."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        self._path = path
        self._mapping = hashlib.sha256(mapping.model_dump_json().encode()).hexdigest()
        self._done: dict[str, Any] = {}
        try:
            content = json.loads(path.read_text("utf-8")) if path.exists() else {}
            if content.get("mapping") == self._mapping:
                self._done = dict(content["done"])
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            raise ConfigurationError(
                f"{path} can't be read: remove it, and all is sent again (and counts once)"
            ) from None

    async def done(self, source: Source, facts: Facts) -> int:
        """How many rows are acknowledged; 0 where the row that was the last of them is another one now."""
        known = self._done.get(facts.name)
        if known is None:
            return 0
        async for row in source.rows(facts, known["rows"] - 1):
            return int(known["rows"]) if str(row[facts.key]) == known["key"] else 0
        return 0

    def advance(self, facts: Facts, rows: int, last: Row) -> None:
        """These rows are acknowledged."""
        self._done[facts.name] = {"rows": rows, "key": str(last[facts.key])}
        content = json.dumps({"mapping": self._mapping, "done": self._done})
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_text(content, "utf-8")
        beside.replace(self._path)

    def finish(self) -> None:
        """All is acknowledged."""
        self._path.unlink(missing_ok=True)


def _read(row: Row, facts: Facts, mapping: Mapping, tally: Tally) -> tuple[Any, bytes] | None:
    tally.rows += 1
    try:
        made = event_of(row, facts, mapping)
    except RefusedRow as refusal:
        tally.refuse(str(row.get(facts.key)), str(refusal))
        return None
    if made is None:
        tally.left_out += 1
        return None
    tally.add(made[0])
    return made
