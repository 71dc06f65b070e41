"""The tables against the naive oracle: hand-written cases, random histories, any split into batches, any order."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.batch import Arrival
from projections.database import open_connection
from projections.sql import query
from projections.verify.rows import KEYS, Rows, agree, key_columns, repeated, stored_row
from schemas.events import BotEvent
from tests.support.folding import apply_split, arrivals, expected, facts, tables
from tests.support.histories import MONEY, histories

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000)
    yield connection
    await connection.close()


async def undone(connection: asyncpg.Connection, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run `work` in a transaction that is rolled back: many cases a database."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        return await work()
    finally:
        await transaction.rollback()


async def check(connection: asyncpg.Connection, log: Sequence[Arrival], cuts: Sequence[int] = ()) -> None:
    async def found() -> Rows:
        await apply_split(connection, log, cuts)
        return await tables(connection)

    result = await undone(connection, found)
    for table, rows in expected(log).items():
        assert result[table] == rows, table


@many
@given(events=histories(), cuts=st.lists(st.integers(0, 30)))
async def test_random_histories_in_random_batches(
    connection: asyncpg.Connection, events: list[BotEvent], cuts: list[int]
) -> None:
    await check(connection, arrivals(events), cuts)


@settings(many, max_examples=30)
@given(events=histories())
async def test_a_table_agrees_unless_one_value_or_row_differs(
    connection: asyncpg.Connection, events: list[BotEvent]
) -> None:
    log = arrivals(events)

    async def look() -> None:
        await apply_split(connection, log)
        for table, rows in expected(log).items():
            records = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608
            assert agree(table, records, rows), table
            for key, row in rows.items():
                others = {other: rows[other] for other in rows if other != key}
                assert not agree(table, records, others), table
                assert not agree(table, records, {**others, (*key[:-1], "another"): row}), table
                assert not agree(table, records, {**others, key: {**row, "one more": None}}), table
                for column in row:
                    assert not agree(table, records, {**others, key: {**row, column: object()}}), (table, column)
                    assert not agree(table, records, {**others, key: {c: row[c] for c in row if c != column}}), table
        users = [user for (user,) in expected(log)["users"]]
        records = await connection.fetch(query("verify", "audit_log"), users)
        trail = dict(stored_row("audit_log", record) for record in records)
        assert agree("audit_log", records, trail)
        assert repeated("audit_log", records) == {}
        for one in records:
            key = tuple(one[column] for column in key_columns("audit_log"))
            assert not agree("audit_log", [*records, one], trail)
            assert repeated("audit_log", [*records, one]) == {key: 2}
            for other in records:
                if other is not one:
                    overwritten = [one if record is other else record for record in records]
                    assert not agree("audit_log", overwritten, trail)
                    assert repeated("audit_log", overwritten) == {key: 2}

    await undone(connection, look)


async def test_no_compared_table_but_the_trail_can_have_two_rows_under_one_key(connection: asyncpg.Connection) -> None:
    for table, key in KEYS.items():
        primary = await connection.fetch(
            "SELECT attname FROM pg_index AS i JOIN pg_attribute AS a ON attrelid = indrelid AND attnum = ANY (indkey) "
            "WHERE indrelid = $1::text::regclass AND indisprimary",
            table,
        )
        assert {row["attname"] for row in primary} == set(key), table


@many
@given(events=histories(kinds=MONEY, users=(1,), most=14, spread=60), cuts=st.lists(st.integers(0, 14)))
async def test_random_money_of_one_user(
    connection: asyncpg.Connection, events: list[BotEvent], cuts: list[int]
) -> None:
    await check(connection, arrivals(events), cuts)


@many
@given(
    events=histories(
        kinds=("message.received", "credits.spent", "payment.succeeded", "content.viewed", "content.offered"),
        users=(1,),
        spread=20,
    ),
    cuts=st.lists(st.integers(0, 30)),
)
async def test_random_sessions_with_charges_that_move(
    connection: asyncpg.Connection, events: list[BotEvent], cuts: list[int]
) -> None:
    await check(connection, arrivals(events), cuts)


@many
@given(
    events=histories(conflicts=False, distinct_times=True),
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.integers(0, 30)),
)
async def test_the_order_of_arrival_changes_nothing(
    connection: asyncpg.Connection, events: list[BotEvent], seed: int, cuts: list[int]
) -> None:
    shuffled = random.Random(seed).sample(events, len(events))

    async def found(log: Sequence[Arrival]) -> Rows:
        await apply_split(connection, log, cuts)
        return await facts(connection)

    assert await undone(connection, lambda: found(arrivals(events))) == await undone(
        connection, lambda: found(arrivals(shuffled))
    )
