"""The stream service as real processes on a real Kafka: exact through crashes, rebalances and zombies."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local import StackInfo
from schemas.codec import CONTENT_TYPE_HEADER
from schemas.partitioner import partition_of
from schemas.topics import Topics
from tests.support import log
from tests.support.services import Service, eventually
from tests.support.streaming import Bench


@pytest.fixture
async def bench(stack: StackInfo, topics: Topics, tmp_path: Path) -> Bench:
    return Bench(stack, topics, tmp_path)


@pytest.mark.parametrize("point", ["folded", "sent", "changelog", "stored", "acked"])
async def test_a_kill_at_any_point_of_a_batch_repeats_work_and_never_an_effect(bench: Bench, point: str) -> None:
    await bench.publish(1500)
    with bench.worker(BOTPULSE_CRASH_POINT=f"{point}:2") as first:
        await bench.publish(500)
        assert await first.exited() == -9
    with bench.worker() as second:
        await bench.publish(500)
        await eventually(bench.folded, "the second worker has folded the log")
        assert second.terminate() == 0
    await bench.check()


async def test_workers_join_and_leave_while_events_flow(bench: Bench) -> None:
    workers: list[Service] = []
    stop = asyncio.Event()

    async def flow() -> None:
        while not stop.is_set():
            await bench.publish(200)

    flowing = asyncio.create_task(flow())
    with bench.worker() as one, bench.worker() as two:
        workers += [one, two]
        await eventually(bench_has_folded(bench, 1000), "two workers fold")
        with bench.worker() as three:
            await eventually(lambda: "at work" in three.output, "a third worker joins")
            before = await folded_count(bench)
            await eventually(bench_has_folded(bench, before + 500), "three workers fold")
            assert two.terminate() == 0
            before = await folded_count(bench)
            await eventually(bench_has_folded(bench, before + 500), "two workers fold on")
            one.kill()
            before = await folded_count(bench)
            await eventually(bench_has_folded(bench, before + 500), "the last worker folds on")
            stop.set()
            await flowing
            await eventually(bench.folded, "the last worker has folded the log")
            assert three.terminate() == 0
    await bench.check()


async def folded_count(bench: Bench) -> int:
    return sum((await log.committed(bench.bootstrap, bench.topics.streams_group)).values())


def bench_has_folded(bench: Bench, count: int) -> Any:
    async def condition() -> bool:
        return await folded_count(bench) >= count

    return condition


async def test_transaction_markers_and_aborted_events_leave_no_trace(bench: Bench) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=bench.bootstrap, transactional_id=f"{bench.topics.prefix}bot"
    ) as producer:
        for number in range(6):
            aborted = number % 2 == 1
            expected = {user: totals.copy() for user, totals in bench.expected.items()}
            await producer.begin_transaction()
            for event in bench.events(100):
                await producer.send(
                    bench.topics.events.name,
                    json.dumps(event).encode(),
                    key=event["subject"].encode(),
                    headers=[CONTENT_TYPE_HEADER],
                )
            if aborted:
                await producer.abort_transaction()
                bench.expected = expected
            else:
                await producer.commit_transaction()
    await bench.publish(400)  # ends every partition with records, so that the log's end can be committed
    with bench.worker() as worker:
        await eventually(bench.folded, "all is folded, gaps in the offsets or not")
        assert worker.terminate() == 0
    await bench.check()


async def test_poison_becomes_letters_and_never_stops_a_partition(bench: Bench) -> None:
    name = bench.topics.events.name
    key = b"1"
    home = partition_of(key, 4)
    good = {**bench.events(1)[0]}
    value = json.dumps({**good, "subject": "1"}).encode()
    bench.expected.clear()
    poison: list[tuple[str, bytes | None, bytes | None, int]] = [
        ("syntax", key, b"\xff\xfe not json", home),
        ("syntax", key, None, home),
        ("syntax", key, value.replace(b'"text"', b'"a\\u0000b"'), home),
        ("unknown_type", key, value.replace(b"message.received", b"message.eaten"), home),
        ("data", key, value.replace(b'"text"', b'"telepathy"'), home),
        ("key", b"2", value, partition_of(b"2", 4)),
        ("partition", key, value, (home + 1) % 4),
        ("too_large", key, value + b" " * (900 * 1024), home),
        ("time", key, value.replace(good["time"].encode(), b"1999-01-01T00:00:00Z"), home),
    ]
    async with AIOKafkaProducer(
        bootstrap_servers=bench.bootstrap, max_request_size=2**20, compression_type="gzip"
    ) as producer:
        for _, poison_key, poison_value, partition in poison:
            await producer.send_and_wait(
                name, poison_value, key=poison_key, partition=partition, headers=[CONTENT_TYPE_HEADER]
            )
        # Nearly the broker's limit uncompressed, and not compressible: the letter must be cut to fit.
        await producer.send_and_wait(name, bytes(range(256)) * 4000, key=key, partition=home)
    await bench.publish(400)
    with bench.worker() as worker:
        await eventually(bench.folded, "good events behind the poison are folded")
        assert worker.terminate() == 0
    await bench.check()
    letters = await log.read_all(bench.bootstrap, bench.topics.dead_letters.name)
    reasons = Counter(log.header(letter, "dl-reason") for letter in letters)
    assert reasons == Counter([*(reason.encode() for reason, *_ in poison), b"too_large"])
    for letter in letters:
        assert log.header(letter, "dl-stage") == b"streams"
        assert log.header(letter, "dl-topic") == name.encode()
    assert {letter.value for letter in letters} >= {value for reason, _, value, _ in poison if reason != "too_large"}


async def test_what_must_be_changed_outside_is_said_in_one_line(bench: Bench) -> None:
    cases = [
        ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"BOTPULSE_TOPIC_PREFIX": "nowhere."}, "botpulse topics apply"),
        ({"KAFKA_BOOTSTRAP_SERVERS": ""}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"STREAMS_SESSION_TIMEOUT_SECONDS": "soon"}, "STREAMS_SESSION_TIMEOUT_SECONDS"),
    ]
    for change, named in cases:
        with bench.worker(**change) as worker:
            assert await worker.exited(30) == 2
            (line,) = worker.output.splitlines()
            assert named in line
            assert line.startswith("botpulse streams: ")


async def test_a_changelog_that_is_ahead_of_the_log_stops_the_worker(bench: Bench) -> None:
    await bench.publish(200)
    with bench.worker() as worker:
        await eventually(bench.folded, "folded")
        assert worker.terminate() == 0
    async with AIOKafkaProducer(bootstrap_servers=bench.bootstrap) as producer:
        user, aggregate = next(iter((await log.aggregates(bench.bootstrap, bench.topics)).items()))
        await producer.send_and_wait(
            bench.topics.user_aggregates.name,
            json.dumps({**aggregate, "applied": 10**9}, separators=(",", ":")).encode(),
            key=user.encode(),
            partition=partition_of(user.encode(), 4),
        )
    with bench.worker() as worker:
        assert await worker.exited() == 2
        assert "don't belong together" in worker.output


async def test_a_refused_write_ends_the_worker_with_nothing_acknowledged(bench: Bench) -> None:
    """The topic takes no record as large as an aggregate, until somebody mends it."""
    await bench.publish(400)
    await log.configure(bench.bootstrap, bench.topics.user_aggregates.name, {"max.message.bytes": "100"})
    with bench.worker() as worker:
        assert await worker.exited() == 1
        (line,) = [line for line in worker.output.splitlines() if line.startswith("botpulse streams: ")]
        assert bench.topics.user_aggregates.name in line
        assert "Traceback" not in worker.output
    assert sum((await log.committed(bench.bootstrap, bench.topics.streams_group)).values()) == 0
    await log.configure(bench.bootstrap, bench.topics.user_aggregates.name, bench.topics.user_aggregates.config)
    with bench.worker() as worker:
        await eventually(bench.folded, "a restart carries on")
        assert worker.terminate() == 0
    await bench.check()
