"""Events as lines of text: each is checked by the contract's rule, then published as it stands."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

import orjson

from deploy.publishing import Publisher, publisher
from schemas.codec import CONTENT_TYPE_HEADER, Decoder
from schemas.errors import InvalidEvent
from schemas.topics import Topic

_LARGEST: Final = 1024 * 1024
"""No value is larger than this, however many lines it is spread over."""
_BLOCK: Final = 256 * 1024
_WAITING_CHUNKS: Final = 8
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


Chunk = list[tuple[int, bytes]]
"""JSON texts with the numbers of their first lines."""


class Refusal(NamedTuple):
    """A line that the contract refuses; lines count from 1, an object over several lines has its first one's number."""

    line: int
    reason: str
    detail: str


@dataclass
class Outcome:
    """What became of the lines."""

    published: int = 0
    refusals: list[Refusal] = field(default_factory=list)


class _Record(NamedTuple):
    """A line in the shape of a record that lies on the log now."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Objects:
    """Finds JSON texts in lines, each with the number of its first line; empty lines are passed over.

    One object a line is the rule. An object may also be spread over lines, as people print them: from a line that
    begins with a brace and is no JSON by itself, up to the line that completes it. A next line that begins with a brace
    ends that, so that one broken line never swallows the good ones after it.
    """

    def __init__(self) -> None:
        self._number = 0
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, line: bytes) -> Iterator[tuple[int, bytes]]:
        """What is complete with this line."""
        self._number += 1
        if self._number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        text = line.strip()
        if self._held:
            if not line.startswith(b"{") and self._size + len(line) <= _LARGEST:
                self._hold(line)
                if text.endswith(b"}") and _is_json(whole := b"".join(self._held).strip()):
                    first = self._number - len(self._held) + 1
                    self._held = []
                    yield first, whole
                return
            yield from self._broken(self._number - 1)
        if not text:
            return
        if text.startswith(b"{") and not (text.endswith(b"}") and _is_json(text)):
            self._size = 0
            self._hold(line)
        else:
            yield self._number, text

    def end(self) -> Iterator[tuple[int, bytes]]:
        """What is left when no line follows."""
        yield from self._broken(self._number)

    def _hold(self, line: bytes) -> None:
        self._held.append(line)
        self._size += len(line)

    def _broken(self, last: int) -> Iterator[tuple[int, bytes]]:
        """What never became one object: its lines one by one, so that each is named."""
        held, self._held = self._held, []
        for number, line in enumerate(held, last - len(held) + 1):
            if line.strip():
                yield number, line.strip()


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def subject_of(value: bytes) -> bytes:
    """The key of an event that may be broken in any way: its subject where there is one."""
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return b""
    subject = event.get("subject") if isinstance(event, dict) else None
    try:
        return subject.encode() if isinstance(subject, str) else b""
    except UnicodeEncodeError:
        return b""


async def publish_lines(
    file: BinaryIO, bootstrap_servers: str, topic: Topic, *, refused: Callable[[Refusal], None]
) -> Outcome:
    """Publish what the contract accepts, tell `refused` of the rest; what is accepted is acknowledged on return.

    A pipe that pauses is no reason to wait: what has come is sent at once. Raises ConfigurationError when Kafka doesn't
    answer or the topic is missing, BotpulseError when Kafka doesn't take a batch, OSError when reading fails.
    """
    outcome = Outcome()
    async with publisher(bootstrap_servers, topic) as sender:
        decoder = Decoder(sender.partitions)
        incoming: asyncio.Queue[Chunk | OSError | None] = asyncio.Queue(_WAITING_CHUNKS)
        _read_in_background(file, incoming)
        while (chunk := await incoming.get()) is not None:
            if isinstance(chunk, OSError):
                raise chunk
            for number, value in chunk:
                refusal = await _publish_one(number, value, sender, decoder, topic.name)
                if refusal is None:
                    outcome.published += 1
                else:
                    outcome.refusals.append(refusal)
                    refused(refusal)
            if incoming.empty():
                await sender.flush()
    return outcome


async def _publish_one(number: int, value: bytes, sender: Publisher, decoder: Decoder, topic: str) -> Refusal | None:
    key = subject_of(value)
    place = sender.place(key)
    record = _Record(topic, place, 0, time.time_ns() // 1_000_000, key, value, (CONTENT_TYPE_HEADER,))
    try:
        decoder.decode(record)
    except InvalidEvent as error:
        return Refusal(number, error.reason.value, error.detail)
    await sender.add(key, value, [CONTENT_TYPE_HEADER], place)
    return None


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """The JSON texts of a file, as many together as one read brings: of a pipe, what has come so far."""
    objects = Objects()
    begun: list[bytes] = []
    read = getattr(file, "read1", file.read)
    while block := read(_BLOCK):
        first, *others = block.split(b"\n")
        begun.append(first)
        if others:
            lines = [b"".join(begun), *others[:-1]]
            begun = [others[-1]]
            yield [found for line in lines for found in objects.feed(line + b"\n")]
    rest = b"".join(begun)
    last = list(objects.feed(rest)) if rest else []
    yield [*last, *objects.end()]


def _read_in_background(file: BinaryIO, incoming: asyncio.Queue[Chunk | OSError | None]) -> None:
    """Read in a thread of its own, since reading a pipe blocks; it ends with the file or with the process."""
    loop = asyncio.get_running_loop()

    def put(chunk: Chunk | OSError | None) -> None:
        asyncio.run_coroutine_threadsafe(incoming.put(chunk), loop).result()

    def read() -> None:
        # Nobody may be listening any more: the command has failed, or was interrupted.
        with contextlib.suppress(RuntimeError, CancelledError):
            try:
                for chunk in chunks(file):
                    put(chunk)
            except OSError as error:
                put(error)
            put(None)

    threading.Thread(target=read, name="lines", daemon=True).start()
