"""The stream service on a log of a test: what was published, what it must come to, the workers."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support import log
from tests.support.services import service

USERS = 40
NOW = datetime.now(UTC)


class Bench:
    """One test's topics, the events published to them, and what they must come to."""

    def __init__(self, stack: StackInfo, topics: Topics, folder: Path) -> None:
        self.bootstrap = stack.bootstrap_servers
        self.topics = topics
        self.folder = folder
        self.expected: dict[str, Counter[str]] = {}
        self._number = 0

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "BOTPULSE_TOPIC_PREFIX": self.topics.prefix,
            "STREAMS_SESSION_TIMEOUT_SECONDS": "3",
            **more,
        }

    def worker(self, code: Path | None = None, **more: str) -> Any:
        """A worker, of the packages in `code` where given."""
        self._number += 1
        return service("streams", self.environment(**more), self.folder / f"streams-{self._number}.log", code)

    def events(self, count: int) -> list[dict[str, Any]]:
        """Three messages, then a payment of 400 cents: everybody becomes regular and vip at known events."""
        made = []
        for _ in range(count):
            self._number += 1
            user, paid = str(1 + self._number % USERS), self._number // USERS % 4 == 3
            data: dict[str, Any] = {"kind": "text"}
            if paid:
                data = {"charge_id": f"ch{self._number}", "provider": "stripe", "method": "card", "amount_cents": 400}
            totals = self.expected.setdefault(user, Counter())
            totals.update({"purchases": 1, "spent_cents": 400} if paid else {"messages": 1})
            made.append(
                {
                    "specversion": "1.0",
                    "id": f"e{self._number}",
                    "source": "/bots/test",
                    "type": f"botpulse.{'payment.succeeded' if paid else 'message.received'}.v1",
                    "subject": user,
                    "time": (NOW - timedelta(seconds=100_000 - self._number)).isoformat().replace("+00:00", "Z"),
                    "data": data,
                }
            )
        return made

    async def publish(self, count: int, **options: Any) -> None:
        await log.publish(self.bootstrap, self.topics, self.events(count), **options)

    async def folded(self) -> bool:
        return await log.folded(self.bootstrap, self.topics)

    async def check(self) -> None:
        """Every user's totals are exact, and every tier change was sent with one content an id."""
        found = await log.aggregates(self.bootstrap, self.topics)
        totals = {
            user: Counter({k: a[k] for k in ("messages", "purchases", "spent_cents") if a[k]})
            for user, a in found.items()
        }
        assert totals == self.expected
        changes: dict[str, bytes] = {}
        for record in await log.read_all(self.bootstrap, self.topics.tier_changes.name):
            assert changes.setdefault(json.loads(record.value)["id"], record.value) == record.value
        moves = Counter(
            (change["subject"], change["data"]["previous"], change["data"]["current"])
            for change in map(json.loads, changes.values())
        )
        assert moves == Counter(move for user, totals in self.expected.items() for move in _moves(user, totals))


def _moves(user: str, totals: Counter[str]) -> list[tuple[str, str, str]]:
    steps = [("new", "regular", 3), ("regular", "vip", 10), ("vip", "premium", 20)]
    return [(user, before, after) for before, after, needed in steps if totals["purchases"] >= needed]
