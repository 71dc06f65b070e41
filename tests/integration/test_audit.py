"""The audit trail: what it says, that the log alone decides it, and that no change of it goes unseen."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import registry
from projections.audit.chain import Chain, Head
from projections.audit.heads import PublishedHead, decode_head, encode_head
from projections.audit.verify import prove
from projections.database import open_connection
from schemas.events import BotEvent, TierChanged
from tests.support.cli import botpulse
from tests.support.databases import execute
from tests.support.folding import apply_split, arrivals, at, charge, event, message, refund
from tests.support.histories import histories
from tests.support.polling import until
from tests.support.projecting import bench


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Writes as the projections do."""
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000)
    yield connection
    await connection.close()


@pytest.fixture
async def superuser(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=None)
    yield connection
    await connection.close()


async def trail(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    """Kind, user, outcome, before and after of every row."""
    rows = await connection.fetch("SELECT * FROM audit_log ORDER BY topic, log_partition, seq")
    return [
        (
            row["kind"],
            row["telegram_id"],
            row["outcome"],
            *(json.loads(row[side] or "null") for side in ("before", "after")),
        )
        for row in rows
    ]


def tier_changed(user: int, previous: str, current: str) -> TierChanged:
    caused_by = {"source": "/b", "id": "x"}
    return TierChanged.model_validate({
        "id": f"{user}-{current}", "source": "botpulse:/streams", "subject": str(user), "time": at(3),
        "data": {"previous": previous, "current": current, "purchases": 3, "spent_cents": 1000,
                 "benefits": {}, "rules_version": 1, "caused_by": caused_by},
    })  # fmt: skip


ODD: Sequence[BotEvent] = [
    event("user.registered", 1, at(), username='Zoë "q" \\ \t\n\x1f\x7f \u2028 😀', referred_by=2),
    event("admin.action_taken", 9, at(1), action="note", details={"x": 1e22, "y": -0.5, "z": True, "ü/": "\b\f\r"}),
    charge(1, at(2), "c/1", 700, original={"amount_minor": 10**25, "currency": "XTR"}, source="/bots/é\n"),
]


async def test_what_the_trail_says(connection: asyncpg.Connection, superuser: asyncpg.Connection) -> None:
    lost = {"provider": "stripe", "charge_id": "c1", "dispute_id": "d1"}
    log = arrivals([
        message(1),
        event("user.registered", 1, at(10), username="ann", referred_by=2, language="en"),
        event("user.profile_changed", 1, at(20), username="anna", language=None),
        event("user.profile_changed", 1, at(15), username="late"),  # a later word counts
        event("user.bot_blocked", 1, at(30)),
        event("auto_recharge.configured", 1, at(31), enabled=True, amount_cents=500),
        charge(1, at(40), "c1", 1500, credits=20, event_id="x1"),
        charge(1, at(40), "c1", 1500, credits=20, event_id="x2"),  # another event of the same charge
        charge(1, at(39), "c1", 1600),
        event("payment.failed", 1, at(41), attempt_id="a1", provider="stripe", method="card", amount_cents=100,
              failure_code="declined"),
        refund(1, at(42), "r1", "c1", 500, reason="asked"),
        event("payment.refund_failed", 1, at(43), refund_id="r1", charge_id="c1", provider="stripe"),
        event("payment.refund_failed", 1, at(44), refund_id="r1", charge_id="c1", provider="stripe"),
        event("payment.dispute_closed", 1, at(50), outcome="won", **lost),
        event("payment.dispute_closed", 1, at(49), outcome="lost", **lost),
        event("payment.dispute_opened", 1, at(45), amount_cents=1500, **lost),
        event("admin.action_taken", 7, at(60), action="grant", target_telegram_id=1, details={"credits": 5}),
        tier_changed(1, "new", "regular"),
    ])  # fmt: skip
    await apply_split(connection, log)
    card = {"provider": "stripe", "method": "card"}
    assert await trail(superuser) == [
        ("user.registered", 1, "applied",
         {"username": None, "preferred_language": None, "registered_at": None, "referred_by": None},
         {"username": "ann", "preferred_language": "en", "registered_at": "2026-03-01T12:10:00Z", "referred_by": 2}),
        ("user.profile_changed", 1, "applied", {"username": "ann", "preferred_language": "en"},
         {"username": "anna", "preferred_language": None}),
        ("user.bot_blocked", 1, "applied", {"is_blocked": False}, {"is_blocked": True}),
        ("auto_recharge.configured", 1, "applied",
         {"auto_recharge_enabled": False, "auto_recharge_amount_cents": None},
         {"auto_recharge_enabled": True, "auto_recharge_amount_cents": 500}),
        ("payment.succeeded", 1, "applied", None, {"charge_id": "c1", **card, "amount_cents": 1500, "credits": 20}),
        ("payment.succeeded", 1, "without_effect", None,
         {"charge_id": "c1", **card, "amount_cents": 1500, "credits": 20}),
        ("payment.succeeded", 1, "conflict", None, {"charge_id": "c1", **card, "amount_cents": 1600}),
        ("payment.failed", 1, "applied", None,
         {"attempt_id": "a1", **card, "amount_cents": 100, "failure_code": "declined"}),
        ("payment.refunded", 1, "applied", None,
         {"refund_id": "r1", "charge_id": "c1", "provider": "stripe", "amount_cents": 500, "reason": "asked"}),
        ("payment.refund_failed", 1, "applied", None, {"refund_id": "r1", "charge_id": "c1", "provider": "stripe"}),
        ("payment.refund_failed", 1, "without_effect", None,
         {"refund_id": "r1", "charge_id": "c1", "provider": "stripe"}),
        ("payment.dispute_closed", 1, "applied", None, {**lost, "outcome": "won"}),
        ("payment.dispute_closed", 1, "without_effect", None, {**lost, "outcome": "lost"}),
        ("payment.dispute_opened", 1, "applied", None, {**lost, "amount_cents": 1500}),
        ("admin.action_taken", 7, "applied", None,
         {"action": "grant", "target_telegram_id": 1, "details": {"credits": 5}}),
        ("tier.changed", 1, "applied", {"tier": "new"},
         {"tier": "regular", "purchases": 3, "spent_cents": 1000, "rules_version": 1}),
    ]  # fmt: skip
    assert (await prove(superuser, [])).breaks == []


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=histories(conflicts=True), cuts=st.lists(st.integers(0, 30)))
async def test_batches_leave_no_trace_in_it(
    connection: asyncpg.Connection, superuser: asyncpg.Connection, events: list[BotEvent], cuts: list[int]
) -> None:
    found = []
    for some in ((), cuts, range(100)):
        transaction = superuser.transaction()
        await transaction.start()
        try:
            await superuser.execute("SET LOCAL ROLE botpulse_projector")
            await apply_split(superuser, arrivals([*ODD, *events]), some)
            await superuser.execute("SET LOCAL ROLE botpulse_auditor")
            found.append(await superuser.fetch("SELECT * FROM audit_log ORDER BY seq"))
            assert len(found[0]) >= len(ODD)
        finally:
            await transaction.rollback()
    assert found[0] == found[1] == found[2]


@pytest.fixture
async def filled(connection: asyncpg.Connection, superuser: asyncpg.Connection) -> asyncpg.Connection:
    """A whole trail of two chains; the superuser's connection."""
    await apply_split(
        connection, arrivals([*ODD, *(charge(1, at(n), f"c{n}", 100) for n in range(20))]), range(0, 30, 7)
    )
    await apply_split(connection, arrivals([charge(5, at(n), f"c{n}", 100) for n in range(5)], partition=1))
    assert (await prove(superuser, [])).breaks == []
    return superuser


async def broken(connection: asyncpg.Connection, published: Sequence[PublishedHead] = ()) -> list[tuple[Any, ...]]:
    proof = await prove(connection, published)
    return [(chain.partition, seq) for chain, seq, _ in proof.breaks]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("UPDATE audit_log SET after = '{}' WHERE log_partition = 0 AND seq = 7", (0, 7)),
        ("UPDATE audit_log SET after = (after::text || ' ')::json WHERE log_partition = 0 AND seq = 7", (0, 7)),
        ("UPDATE audit_log SET before = '{}' WHERE log_partition = 0 AND seq = 7", (0, 7)),
        ("UPDATE audit_log SET occurred_at = occurred_at + '1us' WHERE log_partition = 0 AND seq = 3", (0, 3)),
        ("UPDATE audit_log SET outcome = 'conflict' WHERE log_partition = 1 AND seq = 5", (1, 5)),
        ("UPDATE audit_log SET telegram_id = 2 WHERE log_partition = 0 AND seq = 1", (0, 1)),
        ("UPDATE audit_log SET kind = 'x' WHERE log_partition = 0 AND seq = 1", (0, 1)),
        ("UPDATE audit_log SET source = 'x' WHERE log_partition = 0 AND seq = 2", (0, 2)),
        ("UPDATE audit_log SET event_id = 'x' WHERE log_partition = 0 AND seq = 2", (0, 2)),
        ("UPDATE audit_log SET log_offset = 99 WHERE log_partition = 0 AND seq = 4", (0, 4)),
        ("UPDATE audit_log SET format = 2 WHERE log_partition = 0 AND seq = 4", (0, 4)),
        ("UPDATE audit_log SET log_partition = 3 WHERE log_partition = 0 AND seq = 4", (0, 4)),
        ("UPDATE audit_log SET hash = sha256('x') WHERE log_partition = 0 AND seq = 9", (0, 9)),
        ("DELETE FROM audit_log WHERE log_partition = 0 AND seq = 9", (0, 9)),
        ("DELETE FROM audit_log WHERE log_partition = 0 AND seq = 1", (0, 1)),
        ("DELETE FROM audit_log WHERE log_partition = 0 AND seq = 23", (0, 23)),
        ("DELETE FROM audit_log WHERE log_partition = 1", (1, 1)),
        ("UPDATE audit_chains SET hash = sha256('x') WHERE log_partition = 1", (1, 5)),
        ("UPDATE audit_chains SET seq = 4 WHERE log_partition = 1", (1, 5)),
    ],
)
async def test_the_first_broken_link_is_named(
    filled: asyncpg.Connection, change: str, where: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.audit.verify.ROWS_A_STEP", 4)
    await filled.execute(change)
    assert where in await broken(filled)
    assert {found[0] for found in await broken(filled)} <= {where[0], 3}


async def heads_of(connection: asyncpg.Connection) -> list[PublishedHead]:
    found = []
    for row in await connection.fetch("SELECT * FROM audit_chains"):
        chain, head = Chain(row["topic"], row["log_partition"]), Head(row["seq"], row["hash"], row["log_offset"])
        decoded = decode_head(encode_head(chain, head)[1])
        assert decoded is not None
        found.append(decoded)
    return found


async def test_a_chain_written_anew_shows_by_its_published_head(filled: asyncpg.Connection) -> None:
    published = await heads_of(filled)
    assert await broken(filled, published) == []
    # Somebody with all rights drops a row and hashes everything behind it again, chain head included.
    await filled.execute("DELETE FROM audit_log WHERE log_partition = 1 AND seq = 5")
    await filled.execute(
        "UPDATE audit_chains SET seq = 4, hash = (SELECT hash FROM audit_log WHERE log_partition = 1 AND seq = 4)"
        " WHERE log_partition = 1"
    )
    assert await broken(filled) == []
    assert await broken(filled, published) == [(1, 5)]
    await filled.execute("DELETE FROM audit_log; DELETE FROM audit_chains")
    assert await broken(filled, published) == [(0, 1), (1, 1)]


async def test_another_history_with_sound_hashes_shows_by_its_published_head(
    filled: asyncpg.Connection, connection: asyncpg.Connection
) -> None:
    published = await heads_of(filled)
    await filled.execute("DELETE FROM audit_log; DELETE FROM audit_chains; TRUNCATE users CASCADE")
    await apply_split(connection, arrivals([*ODD, *(charge(1, at(n), f"c{n}", 101) for n in range(20))]))
    assert await broken(filled) == []
    assert await broken(filled, published) == [(0, 23), (1, 1)]


@pytest.mark.parametrize("role", ["botpulse_projector", "botpulse_admin", "botpulse_auditor", "botpulse_maintenance"])
@pytest.mark.parametrize("granted", [False, True])
async def test_append_only(filled: asyncpg.Connection, role: str, granted: bool) -> None:
    if granted:
        await filled.execute(f"GRANT ALL ON audit_log TO {role}")
    await filled.execute(f"SET ROLE {role}")
    for statement in ("UPDATE audit_log SET after = NULL", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only" if granted else "permission denied"):
            await filled.execute(statement)


async def test_what_is_folded_a_second_time_is_not_written_again(
    connection: asyncpg.Connection, superuser: asyncpg.Connection
) -> None:
    """As the live worker does after a rebuild was taken back: older tables, the same trail."""
    log = arrivals([*ODD, *(charge(1, at(n), f"c{n}", 100) for n in range(20))])
    await apply_split(connection, log)
    before = await superuser.fetch("SELECT * FROM audit_log ORDER BY seq")
    await superuser.execute("SET ROLE botpulse_owner; TRUNCATE users CASCADE; RESET ROLE")
    await apply_split(connection, log[:15], [6])
    assert await superuser.fetch("SELECT * FROM audit_log ORDER BY seq") == before
    await apply_split(connection, [*log[15:], *arrivals([charge(1, at(), "new")], first_offset=len(log))])
    assert (await superuser.fetch("SELECT * FROM audit_log ORDER BY seq"))[:-1] == before
    assert await broken(superuser) == []


async def test_the_command(topics: Any, stack: Any, database_url: str) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "DATABASE_URL": database_url,
        "BOTPULSE_TOPIC_PREFIX": topics.prefix,
    }
    async with bench(stack.bootstrap_servers, topics, database_url) as work:
        await work.send([charge(user, at(n), f"c{n}", 100) for user in range(1, 9) for n in range(5)])
        async with work.running(apply=registry.apply):
            await work.caught_up()

            async def published() -> bool:
                found = (await botpulse(environment, "audit", "verify", "--json")).json
                return bool(found["published_heads"] >= len(found["chains"]) > 1)

            await until(published, "the heads to be published")
        ran = await botpulse(environment, "audit", "verify")
        assert (ran.status, ran.out.partition("(")[0]) == (0, "every chain is whole ")
        ran = await botpulse(environment, "audit", "verify", "--json")
        assert (ran.json["rows"], ran.json["breaks"]) == (40, [])

        await execute(
            database_url,
            "UPDATE botpulse.audit_log SET telegram_id = 4711 WHERE seq = 3 AND log_partition ="
            " (SELECT min(log_partition) FROM botpulse.audit_log)",
        )
        first = min(chain["partition"] for chain in ran.json["chains"])
        ran = await botpulse(environment, "audit", "verify", "--json")
        assert ran.status == 1
        assert [(found["partition"], found["seq"]) for found in ran.json["breaks"]] == [(first, 3)]
        ran = await botpulse(environment, "audit", "verify")
        assert ran.status == 1
        assert f"bot.events/{first}, row 3: the row's hash" in ran.out
