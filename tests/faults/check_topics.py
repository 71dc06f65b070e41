"""What streams has written: aggregates, tier changes and dead letters, against the books and the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from deploy.demo.agreement import Difference, compare
from deploy.reading import read_all
from schemas.dead_letters import split_headers
from schemas.topics import Topics
from tests.faults.load import Fingerprint

Report = Mapping[str, Any]
_MONEY = {"spent_cents": 0, "purchases": 0, "tier": "new"}
_ALL = {**_MONEY, "messages": 0, "credits": 0}


async def fingerprint_of_log(servers: str, topics: Topics) -> str:
    """Of all records on the event log: the same as the load's, if the log holds what was published, each once."""
    fingerprint = Fingerprint()
    async for record in read_all(servers, topics.events):
        fingerprint.add(record.key, record.value)
    return str(fingerprint)


async def aggregates(servers: str, topics: Topics, report: Report, *, money_only: bool) -> list[Difference]:
    """Every figure of an aggregate that is not as the books have it; the newest aggregate is the one that has applied
    most. With `money_only` not messages and credits, which streams counts once only near their first arrival."""
    values: dict[str, Any] = {}
    async for record in read_all(servers, topics.user_aggregates):
        value = orjson.loads(record.value)
        known = values.get(record.key.decode())
        if known is None or value["applied"] >= known["applied"]:
            values[record.key.decode()] = value
    return compare(topics.user_aggregates.name, report["users"], values, _MONEY if money_only else _ALL)


async def write_histories(servers: str, topics: Topics, users: Sequence[str], path: Path) -> None:
    """All that the topics hold of some users, for whoever looks for the cause of a difference."""
    lines = []
    for topic in (topics.events, topics.user_ledger, topics.user_aggregates, topics.tier_changes):
        async for record in read_all(servers, topic):
            if (record.key or b"").decode(errors="replace").partition(":")[0] in users:
                place = {"topic": topic.name, "partition": record.partition, "offset": record.offset}
                value = (record.value or b"").decode(errors="replace")[:4000]
                lines.append({**place, "ms": record.timestamp, "key": record.key.decode(), "value": value})
    await asyncio.to_thread(path.write_bytes, b"\n".join(map(orjson.dumps, lines)))


async def tier_changes(
    servers: str, topics: Topics, report: Report, connection: asyncpg.Connection
) -> tuple[dict[str, int], list[str]]:
    """Each id has one content, every user's changes form a chain that ends at the books' tier, and tier_history
    holds exactly these."""
    errors: list[str] = []
    first: dict[str, tuple[dict[str, Any], int, int]] = {}
    sent = 0
    async for record in read_all(servers, topics.tier_changes):
        sent += 1
        change = orjson.loads(record.value)
        known = first.setdefault(change["id"], (change, record.partition, record.offset))
        if known[0] != change:
            errors.append(f"tier change {change['id']} has two contents: {known[0]} and {change}")
    tiers: dict[str, str] = {}
    for change, _, _ in first.values():
        data = change["data"]
        if tiers.get(change["subject"], "new") != data["previous"]:
            errors.append(
                f"tier change {change['id']} of {change['subject']} is from {data['previous']}, "
                f"the one before led to {tiers.get(change['subject'], 'new')}"
            )
        tiers[change["subject"]] = data["current"]
    wrong = [u for u in {*report["users"], *tiers} if report["users"].get(u, _MONEY)["tier"] != tiers.get(u, "new")]
    errors += [f"the tier changes of {user} end at {tiers.get(user, 'new')}, not at its tier" for user in wrong]

    rows = await connection.fetch(
        "SELECT id, telegram_id, previous, current, purchases, spent_cents, rules_version, caused_by, log_partition, "
        "log_offset FROM botpulse.tier_history"
    )
    history = {row["id"]: row for row in rows}
    for name in {*history} ^ {*first}:
        errors.append(f"tier change {name} is {'only in tier_history' if name in history else 'not in tier_history'}")
    for name, row in history.items():
        if name in first:
            change, partition, offset = first[name]
            data = change["data"]
            caused_by = orjson.loads(row["caused_by"]) if isinstance(row["caused_by"], str) else row["caused_by"]
            same = (
                str(row["telegram_id"]) == change["subject"]
                and all(row[c] == data[c] for c in ("previous", "current", "purchases", "spent_cents", "rules_version"))
                and caused_by == data["caused_by"]
                and (row["log_partition"], row["log_offset"]) == (partition, offset)
            )
            if not same:
                errors.append(f"tier_history has {dict(row)}, the topic {change} at {partition}/{offset}")
    return {"sent": sent, "distinct": len(first)}, errors


async def dead_letters(servers: str, topics: Topics, report: Report) -> tuple[dict[str, int], list[str]]:
    """Collapsed by identity they are exactly what the books refused, reason by reason."""
    errors: list[str] = []
    sent = 0
    letters: dict[tuple[bytes, bytes, bytes, bytes], bytes] = {}
    async for record in read_all(servers, topics.dead_letters):
        sent += 1
        _, ours = split_headers(record.headers)
        identity = (ours["dl-topic"], ours["dl-partition"], ours["dl-offset"], ours["dl-stage"])
        if letters.setdefault(identity, ours["dl-reason"]) != ours["dl-reason"]:
            errors.append(f"the dead letters of {identity} have two reasons")
    if other := [identity for identity in letters if identity[3] != b"streams"]:
        errors.append(f"{len(other)} dead letters are not of streams, {other[0]} first")
    found = Counter(reason.decode() for identity, reason in letters.items() if identity[3] == b"streams")
    expected = Counter(report["counts"]["refused_by_reason"])
    expected["conflict"] += report["counts"]["conflicts"]
    errors += [
        f"dead letters of reason {reason}: {expected[reason]} expected, {found[reason]} found"
        for reason in _either(expected, found)
        if expected[reason] != found[reason]
    ]
    return {"sent": sent, "distinct": len(letters)}, errors


def _either(one: Counter[str], other: Counter[str]) -> Iterator[str]:
    return iter(sorted({*one, *other}))
