"""Back onto the log: which letters would pass today, and their copies in each user's order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.kafka import producer
from deploy.letters.letter import Letter, State
from deploy.letters.reading import record_at
from projections.sources.broker import BrokerSource
from schemas.codec import Decoder
from schemas.errors import BotpulseError, InvalidEvent
from schemas.partitioner import partition_of
from schemas.reasons import Reason
from schemas.redrive import Original, headers_of_copy
from schemas.topics import Topics

MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024


class Candidate(NamedTuple):
    """A letter's record as it would come onto the log again. Has the shape of a record of the log."""

    letter: Letter
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Judged(NamedTuple):
    """A letter, its copy if it would pass today's code, and else why not."""

    letter: Letter
    candidate: Candidate | None
    why_not: str


class Sent(NamedTuple):
    """A copy, and where it is."""

    letter: Letter
    copy: Original


async def judge(source: BrokerSource, topics: Topics, letters: Iterable[Letter]) -> list[Judged]:
    """Say of every letter whether its record would be accepted now, in the order of the originals on the log."""
    partitions = len(await source.bounds(topics.events.name))
    decoder = Decoder(partitions)
    judged = []
    for letter in sorted(letters, key=lambda letter: (letter.place, letter.stage)):
        if letter.state is not State.OPEN:
            judged.append(Judged(letter, None, _SETTLED[letter.state]))
        elif letter.place.topic != topics.events.name:
            judged.append(Judged(letter, None, f"only records of {topics.events.name} go back onto the log"))
        elif letter.reason == Reason.CONFLICT.value:
            judged.append(Judged(letter, None, "the first fact of its identity stands, whatever comes later"))
        else:
            judged.append(await _judge_record(source, topics, letter, decoder, partitions))
    return judged


_SETTLED: Final = {
    State.REDRIVEN: "was redriven already",
    State.REFUSED_AGAIN: "its copy was refused again: redrive the copy's letter",
    State.ACCEPTED: "a person decided that it stays out of the tables",
}


async def _judge_record(
    source: BrokerSource, topics: Topics, letter: Letter, decoder: Decoder, partitions: int
) -> Judged:
    record: Any = letter
    if letter.is_cut:
        found = await record_at(source, letter.place)
        if not found:
            return Judged(letter, None, "the letter is cut off, and the log has lost the record itself")
        record = found[0]
    headers = headers_of_copy(record.headers, letter.place, letter.stage)
    place = partition_of(record.key or b"", partitions)
    now = int(time.time() * 1000)
    candidate = Candidate(letter, topics.events.name, place, -1, now, record.key, record.value, headers)
    try:
        decoder.decode(candidate)
    except InvalidEvent as error:
        return Judged(letter, None, f"{error.reason.value}: {error.detail}")
    return Judged(letter, candidate, "")


async def redrive(bootstrap_servers: str, candidates: Sequence[Candidate]) -> list[Sent]:
    """Write the copies, those of one key in the order given, and return where each is; all are acknowledged.

    Nobody waits for them but their own users' later events. Raises BotpulseError where Kafka does not take them; what
    was acknowledged until then is found by the next run.
    """
    async with producer(bootstrap_servers, max_request_size=MAX_REQUEST_BYTES) as client:
        return [Sent(candidate.letter, await _send(client, candidate)) for candidate in candidates]


async def _send(client: AIOKafkaProducer, candidate: Candidate) -> Original:
    try:
        sent = await client.send_and_wait(
            candidate.topic,
            value=candidate.value,
            key=candidate.key,
            partition=candidate.partition,
            headers=list(candidate.headers),
        )
    except KafkaError as error:
        raise BotpulseError(
            f"Kafka did not take the copy of {candidate.letter.place} ({type(error).__name__}): the letters before it "
            "are redriven; run the command again for the others"
        ) from None
    return Original(sent.topic, sent.partition, sent.offset)
