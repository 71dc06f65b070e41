"""Dead letters go back onto the log: bad code, redrive, fixed code, rebuild; every event counts once."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg

import schemas
from projections.audit.chain import Head, Row, relinked
from projections.sources.broker import BrokerAddress
from projections.verify.rows import KEYS, stored_row
from projections.verify.run import verify
from schemas.codec import Decoder
from schemas.records import Place
from schemas.redrive import originals_of
from streams import aggregate
from streams.batch import fold_batch
from streams.state import PartitionState
from tests.conftest import TEST_PARTITIONS
from tests.support import log
from tests.support.databases import execute, fresh_database
from tests.support.installation import Installation
from tests.support.services import Service, service
from tests.unit.streams.records import event

STRICTER = """

def _too_strict(right):
    def decode(self, record, *place):
        event = right(self, record, *place)
        data = event["data"] if isinstance(event, dict) else vars(event.data)
        if data.get("kind") == "sticker" or data.get("method") == "bank":
            raise InvalidEvent(Reason.DATA, "refused by a rule that is too strict")
        return event

    return decode


Decoder.decode_at, Decoder.decode_plain = map(_too_strict, (Decoder.decode_at, Decoder.decode_plain))
"""


TAMPERING = (
    "UPDATE botpulse.audit_log SET after = '{\"amount_cents\": 1}' WHERE kind = 'payment.succeeded'",
    None,
    "UPDATE botpulse.audit_log SET hash = sha256('x') WHERE kind = 'payment.succeeded'",
    "UPDATE botpulse.audit_chains SET hash = sha256('x')",
    "UPDATE botpulse.audit_log SET log_offset = 1000000000000 WHERE kind = 'payment.succeeded'",
    "UPDATE botpulse.audit_log SET log_offset = {end} WHERE kind = 'payment.succeeded'",
    "DELETE FROM botpulse.audit_chains WHERE (topic, log_partition) = "
    "(SELECT topic, log_partition FROM botpulse.audit_log WHERE kind = 'payment.succeeded')",
)
"""Changes of an entry that stands where a redriven copy came, or of its chain; None: by `forge`; {end}: the log's."""
KEEP = "CREATE TABLE kept_log AS TABLE botpulse.audit_log; CREATE TABLE kept_chains AS TABLE botpulse.audit_chains"
UNDO = (
    "DELETE FROM botpulse.audit_log; INSERT INTO botpulse.audit_log TABLE kept_log;"
    "DELETE FROM botpulse.audit_chains; INSERT INTO botpulse.audit_chains TABLE kept_chains"
)


async def forge(database_url: str, topic: str, partition: int, offset: int) -> None:
    """Put an entry at the record after its own, by somebody who chains anew what he changes."""
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "botpulse"})
    try:
        rows = await connection.fetch(
            "SELECT topic, log_partition, seq, format, log_offset, occurred_at, kind, telegram_id, source, event_id, "
            "outcome, before, after, hash FROM audit_log WHERE topic = $1 AND log_partition = $2 ORDER BY seq",
            topic,
            partition,
        )
        entries = [Row(*row) for row in rows]
        assert relinked(entries, Head()) == entries
        forged = [e._replace(log_offset=offset + 1) if e.log_offset == offset else e for e in entries]
        for entry in relinked(forged, Head()):
            await connection.execute(
                "UPDATE audit_log SET log_offset = $4, hash = $5 WHERE (topic, log_partition, seq) = ($1, $2, $3)",
                *entry[:3],
                entry.log_offset,
                entry.hash,
            )
            await connection.execute(
                "UPDATE audit_chains SET log_offset = $3, hash = $4 WHERE (topic, log_partition) = ($1, $2)",
                *entry[:2],
                entry.log_offset,
                entry.hash,
            )
    finally:
        await connection.close()


def stricter_code(folder: Path) -> Path:
    """The services' code with a rule of what is valid that is stricter than the contract."""
    root = Path(schemas.__file__).parent.parent
    folder.mkdir()
    shutil.copytree(root / "schemas", folder / "schemas")
    for package in ("streams", "projections"):
        (folder / package).symlink_to(root / package)
    with (folder / "schemas" / "codec.py").open("a") as codec:
        codec.write(STRICTER)
    return folder


def services(installation: Installation, running: ExitStack, code: Path | None = None) -> list[Service]:
    return [
        running.enter_context(
            service(name, installation.environment, installation.folder / f"{name}-{code is not None}.log", code)
        )
        for name in ("streams", "projections")
    ]


def message(user: int, id_: str, kind: str = "text") -> dict[str, Any]:
    return event("message.received", {"kind": kind}, id_=id_, user=user)


def spent(user: int, id_: str, credits_: int) -> dict[str, Any]:
    return event("credits.spent", {"credits": credits_, "reason": "other"}, id_=id_, user=user)


async def tables(database_url: str) -> dict[str, Any]:
    """Every row but the broker's time of the record that moved a tier: a copy has its own."""
    connection = await asyncpg.connect(database_url)
    try:
        found: dict[str, Any] = {}
        for table in KEYS:
            rows = await connection.fetch(f"SELECT * FROM botpulse.{table}")  # noqa: S608
            found[table] = dict(stored_row(table, row) for row in rows)
    finally:
        await connection.close()
    for row in found["users"].values():
        row.pop("tier_changed_at")
    return found


async def events_on_log(installation: Installation) -> list[Any]:
    return await log.read_all(installation.stack.bootstrap_servers, installation.topics.events.name)


async def letters(installation: Installation, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await installation.botpulse("dead-letters", "list", "--json", *options))
    return found


async def rebuilt(installation: Installation, template: str) -> dict[str, Any]:
    """The tables of a new database that today's code fills from offset 0; verified."""
    async with fresh_database(installation.stack.database_url, template) as url:
        before = installation.environment["DATABASE_URL"]
        installation.environment["DATABASE_URL"] = url
        try:
            with ExitStack() as running:
                projections = installation.start("projections", running)
                await installation.botpulse("wait", "--timeout=60")
                assert projections.terminate() == 0
        finally:
            installation.environment["DATABASE_URL"] = before
        outcome = await verify(url, BrokerAddress(installation.stack.bootstrap_servers), installation.topics)
        assert outcome.differences.kept == []
        return await tables(url)


async def test_what_a_rule_too_strict_refused_counts_once_after_the_fix_and_after_a_rebuild(
    installation: Installation, template_database: str, tmp_path: Path
) -> None:
    bank = {"charge_id": "c1", "provider": "stripe", "method": "bank", "amount_cents": 1200}
    back = {"charge_id": "c1", "provider": "stripe", "refund_id": "r1", "amount_cents": 200}
    sent = [
        message(7, "m1"),
        message(7, "m2", "sticker"),
        event("payment.succeeded", bank, id_="p1"),
        event("payment.refunded", back, id_="p2"),
        message(7, "m3", "sticker"),
        message(8, "n1"),
        {**message(7, "m4"), "specversion": "0.9"},
    ]
    servers, topics = installation.stack.bootstrap_servers, installation.topics
    with ExitStack() as running:
        bad = services(installation, running, stricter_code(tmp_path / "code"))
        await log.publish(servers, topics, sent)
        await installation.botpulse("wait", "--timeout=60")
        assert [s.terminate() for s in bad] == [0, 0]
    assert [letter["state"] for letter in await letters(installation)] == ["open"] * 4

    told = json.loads(await installation.botpulse("dead-letters", "redrive", "--dry-run", "--json", status=1))
    assert [letter["passes"] for letter in told["letters"]] == [True, True, True, False]
    assert len(await events_on_log(installation)) == len(sent)

    with ExitStack() as running:
        fixed = services(installation, running)
        done = json.loads(await installation.botpulse("dead-letters", "redrive", "--json", status=1))
        assert done["redriven"] == 3
        copies = [record for record in await events_on_log(installation) if originals_of(record.headers)]
        assert [json.loads(record.value)["id"] for record in copies] == ["m2", "p1", "m3"], "in the user's order"
        assert {record.key for record in copies} == {b"7"}
        await installation.botpulse("wait", "--timeout=60")
        states = {letter["detail"]: letter["state"] for letter in await letters(installation)}
        assert sorted(states.values()) == ["open", "redriven"]
        assert states["refused by a rule that is too strict"] == "redriven"

        again = json.loads(await installation.botpulse("dead-letters", "redrive", "--json", status=1))
        assert again["redriven"] == 0
        assert len(await events_on_log(installation)) == len(sent) + 3
        assert [s.terminate() for s in fixed] == [0, 0]

    live = await tables(installation.database_url)
    user = live["users"][7,]
    assert (user["lifetime_messages"], user["purchase_count"], user["total_spent_cents"]) == (3, 1, 1000)
    assert live["users"][8,]["lifetime_messages"] == 1
    # Live, the copy moved the tier; in a log that accepts the original it is the original: nothing else may differ.
    outcome = await verify(installation.database_url, BrokerAddress(servers), topics)
    assert {(d.table, d.column) for d in outcome.differences.kept} == {("users", "tier_changed_at")}
    assert await rebuilt(installation, template_database) == live

    state = PartitionState()
    records = [record for record in await events_on_log(installation) if record.key == b"7"]
    fold_batch(records, Place(topics.events.name, records[0].partition), Decoder(TEST_PARTITIONS), state)
    again_folded = aggregate.decode(state.changes()[0][0][1])
    was = (await log.aggregates(servers, topics))["7"]
    assert (again_folded.messages, again_folded.spent_cents, again_folded.purchases) == (3, 1000, 1)
    assert (was["messages"], was["spent_cents"], was["purchases"]) == (3, 1000, 1)

    await _a_rebuild_counts_the_original_and_skips_the_copy(installation, live)


async def _a_rebuild_counts_the_original_and_skips_the_copy(installation: Installation, live: dict[str, Any]) -> None:
    # The rights of a database are not copied with it.
    await installation.botpulse("migrate")
    told = json.loads(await installation.botpulse("rebuild", "--json", "--yes"))
    assert told["applied"]
    changed = {d["table"]: {name for row in d["rows"] for name in row["columns"]} for d in told["differences"]}
    assert changed.keys() == {"users"}
    assert changed["users"] == {"tier_changed_at"}
    assert await tables(installation.database_url) == live
    servers = BrokerAddress(installation.stack.bootstrap_servers)
    outcome = await verify(installation.database_url, servers, installation.topics)
    assert outcome.differences.kept == []
    # What an auditor reads stays as it happened, at the places of the copies; what somebody changed is told from it.
    again = json.loads(await installation.botpulse("rebuild", "--json", "--dry-run"))
    assert again["differences"] == []
    (copy,) = [r for r in await events_on_log(installation) if originals_of(r.headers) and b'"p1"' in r.value]
    (original,) = originals_of(copy.headers)
    (moved,) = again["moved"]
    assert moved == told["moved"][0]
    assert (moved["topic"], moved["partition"], moved["original"], moved["copy"]) == (*original, copy.offset)
    assert (moved["kind"], moved["telegram_id"]) == ("payment.succeeded", 7)
    told_to_people = await installation.botpulse("rebuild", "--dry-run")
    assert "audit_log: 1 entry stays where" in told_to_people
    assert f"{copy.partition}/{copy.offset} for {original.offset}" in told_to_people
    async with servers.open() as source:
        end = (await source.bounds(moved["topic"]))[moved["partition"]].end
    await execute(installation.database_url, KEEP)
    for change in TAMPERING:
        if change is None:
            await forge(installation.database_url, moved["topic"], moved["partition"], copy.offset)
        else:
            await execute(installation.database_url, change.replace("{end}", str(end)))
        told = json.loads(await installation.botpulse("rebuild", "--json", "--dry-run", status=1))
        assert {d["table"] for d in told["differences"]} & {"audit_log", "audit_chains"}, change
        assert told["moved"] == [], change
        await execute(installation.database_url, UNDO)
    assert json.loads(await installation.botpulse("rebuild", "--json", "--dry-run"))["differences"] == []


async def test_what_the_database_refused_counts_once_everywhere(
    installation: Installation, template_database: str
) -> None:
    servers, topics = installation.stack.bootstrap_servers, installation.topics
    await execute(
        installation.database_url, "ALTER TABLE botpulse.user_days ADD CONSTRAINT wrong CHECK (credits_spent <> 666)"
    )
    with ExitStack() as running:
        both = services(installation, running)
        await log.publish(servers, topics, [spent(7, "s1", 666), message(8, "n1")])
        await installation.botpulse("wait", "--timeout=60")
        # More events than streams remembers of a user lie between the original and its copy.
        await log.publish(servers, topics, [message(7, f"m{number}") for number in range(80)])
        await installation.botpulse("wait", "--timeout=60")
        (letter,) = await letters(installation)
        assert (letter["stage"], letter["reason"], letter["state"], letter["user"]) == (
            "projections", "database", "open", 7
        )  # fmt: skip
        shown = json.loads(await installation.botpulse("dead-letters", "show", letter["record"], "--json"))
        assert shown["value"]["data"] == {"credits": 666, "reason": "(hidden)"}
        assert [near["what"] for near in shown["neighbours"]][-1] == "botpulse.message.received.v1"

        await execute(installation.database_url, "ALTER TABLE botpulse.user_days DROP CONSTRAINT wrong")
        await installation.botpulse("dead-letters", "redrive", letter["record"])
        await installation.botpulse("wait", "--timeout=60")
        assert [one["state"] for one in await letters(installation)] == ["redriven"]
        assert [s.terminate() for s in both] == [0, 0]
    live = await tables(installation.database_url)
    assert (live["users"][7,]["message_credits"], live["users"][7,]["lifetime_messages"]) == (-666, 80)
    was = (await log.aggregates(servers, topics))["7"]
    assert (was["credits"], was["credits_spent"], was["messages"]) == (-666, 666, 80)
    outcome = await verify(installation.database_url, BrokerAddress(servers), topics)
    assert outcome.differences.kept == []
    assert outcome.aggregates == 2
    assert await rebuilt(installation, template_database) == live
    assert await installation.value("SELECT state FROM botpulse.refused_events") == "redriven"
