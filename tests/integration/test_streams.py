"""The stream service as real processes on a real Kafka: exact through crashes, rebalances and zombies."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local import LocalStack, StackInfo
from deploy.local.ports import free_port
from schemas.codec import CONTENT_TYPE_HEADER
from schemas.dead_letters import KEPT_BYTES
from schemas.partitioner import partition_of
from schemas.topics import Topics
from tests.support import log
from tests.support.http import get
from tests.support.services import Service, eventually
from tests.support.streaming import USERS, Bench

PAUSE_SECONDS = 5.0
HUGE_BYTES = 24 * 1024 * 1024


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


async def test_a_stop_at_any_moment_is_clean_and_silent(bench: Bench) -> None:
    """Right after the start, while others join and leave, with events to fold."""
    await bench.publish(2000)

    async def start_and_stop(delay_seconds: float) -> None:
        with bench.worker() as worker:
            await eventually(lambda: "starting" in worker.output, "the worker starts")
            await asyncio.sleep(delay_seconds)
            assert await asyncio.to_thread(worker.terminate) == 0
            assert "Traceback" not in worker.output
            assert "stopped" in worker.output.splitlines()[-1]

    for delays in ((0.0, 0.1, 0.5), (0.05, 0.3, 1.0)):
        await asyncio.gather(*map(start_and_stop, delays))
    with bench.worker() as worker:
        await eventually(bench.folded, "nothing is left undone")
        assert worker.terminate() == 0
    await bench.check()


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


@pytest.mark.parametrize("refusing", ["user_aggregates", "tier_changes", "dead_letters"])
async def test_a_refused_write_ends_the_worker_with_nothing_acknowledged(bench: Bench, refusing: str) -> None:
    """A topic takes no record as large as those that are for it, until somebody mends it."""
    topic = getattr(bench.topics, refusing)
    await bench.publish(800)
    for subject in map(str, range(1, USERS + 1)):  # a letter on every partition
        await log.publish(bench.bootstrap, bench.topics, [{"subject": subject, "type": "no event"}])
    await log.configure(bench.bootstrap, topic.name, {"max.message.bytes": "100"})
    with bench.worker() as worker:
        assert await worker.exited() == 1
        (line,) = [line for line in worker.output.splitlines() if line.startswith("botpulse streams: ")]
        assert topic.name in line
        assert "Traceback" not in worker.output
    committed = await log.committed(bench.bootstrap, bench.topics.streams_group)
    # A partition without tier changes has nothing that is refused.
    assert not sum(committed.values()) or refusing == "tier_changes"
    await log.configure(bench.bootstrap, topic.name, topic.config)
    with bench.worker() as worker:
        await eventually(bench.folded, "a restart carries on")
        assert worker.terminate() == 0
    await bench.check()
    letters = await log.read_all(bench.bootstrap, bench.topics.dead_letters.name)
    assert len({(log.header(r, "dl-partition"), log.header(r, "dl-offset")) for r in letters}) == USERS


async def test_a_broker_that_pauses_is_waited_for(bench: Bench, local_stack: LocalStack) -> None:
    """Longer than the worker's session, twice: with writes under way, and while nothing happens, until that is told."""
    await bench.publish(2000)
    now = local_stack.find()
    assert now is not None
    port, away = free_port(), (503, "Kafka does not answer\n")
    with bench.worker(STREAMS_HTTP_PORT=str(port)) as worker:
        await eventually(lambda: "at work" in worker.output, "the worker is at work")
        for is_told in (False, True):
            os.kill(now.kafka_pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(PAUSE_SECONDS)
                if is_told:
                    await eventually(lambda: get(port, "/readyz") == away, "Kafka's silence is told")
                    assert get(port, "/livez")[0] == 200
            finally:
                os.kill(now.kafka_pid, signal.SIGCONT)
            await bench.publish(2000)
            await eventually(bench.folded, "it goes on")
        await eventually(lambda: get(port, "/readyz")[0] == 200, "readiness")
        assert worker.terminate() == 0
        assert "Traceback" not in worker.output
    await bench.check()


async def test_a_stop_under_load_finishes_what_is_in_hand(bench: Bench) -> None:
    """Status 0 says that all of it was durable and committed in time: what is committed is never folded again."""
    await bench.publish(20_000)
    with bench.worker() as worker:
        await eventually(bench_has_folded(bench, 1), "the first batches are done")
        assert worker.terminate() == 0
    notes = await log.notes(bench.bootstrap, bench.topics.streams_group)
    done = await log.committed(bench.bootstrap, bench.topics.streams_group)
    newest: Counter[int] = Counter()
    for record in await log.read_all(bench.bootstrap, bench.topics.user_aggregates.name):
        newest[record.partition] = max(newest[record.partition], log.applied(record))
    assert {tp.partition: offset - 1 for tp, offset in done.items() if offset} == newest
    assert {tp.partition: json.loads(notes[tp])["applied"] for tp, offset in done.items() if offset} == newest
    with bench.worker() as worker:
        await bench.publish(1000)
        await eventually(bench.folded, "a restart carries on")
        assert worker.terminate() == 0
    await bench.check()


async def test_a_small_record_that_is_huge_unpacked_becomes_a_letter(bench: Bench) -> None:
    """The broker's limit is for what lies on its disk: a batch compressed a thousandfold passes."""
    good = bench.events(1)[0]
    home = partition_of(b"1", 4)
    value = json.dumps({**good, "subject": "1"}).encode()
    bench.expected.clear()
    huge = [value + b" " * HUGE_BYTES, b"\0" * HUGE_BYTES]
    for codec in ("gzip", "lz4", "zstd"):
        async with AIOKafkaProducer(
            bootstrap_servers=bench.bootstrap, max_request_size=2 * HUGE_BYTES, compression_type=codec
        ) as producer:
            for content in huge:
                await producer.send_and_wait(bench.topics.events.name, content, key=b"1", partition=home)
    await bench.publish(400)
    with bench.worker() as worker:
        await eventually(bench.folded, "good events behind them are folded")
        assert worker.terminate() == 0
    await bench.check()
    letters = await log.read_all(bench.bootstrap, bench.topics.dead_letters.name)
    assert [log.header(letter, "dl-reason") for letter in letters] == [b"too_large"] * 6
    for letter, content in zip(letters, huge * 3, strict=True):
        assert letter.value == content[:KEPT_BYTES]
        assert log.header(letter, "dl-length") == b"%d" % len(content)
        assert log.header(letter, "dl-sha256") == hashlib.sha256(content).hexdigest().encode()
