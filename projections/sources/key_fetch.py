"""Fetches a partition over a connection of its own, into one buffer that is used again and again.

aiokafka's consumer hands every byte on from buffer to buffer, four times; where of hundreds of megabytes a few records
are wanted, that is what takes the time. Connecting (TLS, user and password), the requests and the form of the answers
are aiokafka's all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, cast

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import CorrelationIdError, KafkaConnectionError, for_code
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.fetch import FetchRequest

from projections.sources.key_search import READ_COMMITTED

FETCH_BYTES: Final = 4 * 1024 * 1024
"""Asked for at a time; a single batch that is larger comes whole."""
_WAIT_MS: Final = 500
"""How long the broker waits for records where there are none."""
ANSWER_SECONDS: Final = 30.0
_CLIENT: Final = "botpulse"
_SIZE_BYTES: Final = 4


class Fetched(NamedTuple):
    """Batches of a partition, the last one perhaps cut off: the bytes of `buffer` from `begin` up to `upto`.

    They are there until the next fetch.
    """

    buffer: bytearray
    begin: int
    upto: int
    aborted: Sequence[tuple[int, int]] = ()
    """Of transactions that came to nothing: producer and first offset."""
    throttled: bool = False
    """Whether there is nothing because this user has had as much as a quota allows: later there is more."""


@asynccontextmanager
async def fetcher(host: str, port: int, options: Mapping[str, Any]) -> AsyncIterator[Fetcher]:
    """Connect to a broker; `options` say how, as those of aiokafka's clients do.

    Raises KafkaError, OSError or TimeoutError where that fails.
    """
    connection = AIOKafkaConnection(
        host, port, client_id=_CLIENT, request_timeout_ms=int(ANSWER_SECONDS * 1000), **options
    )
    _, writer = await connection.connect()
    try:
        versions = {key: (low, high) for key, low, high in (await connection.send(ApiVersionRequest())).api_versions}
        transport = cast("asyncio.Transport", writer.transport)
        answers = _Answers(transport.get_protocol())
        transport.set_protocol(answers)
        yield Fetcher(transport, answers, versions)
    finally:
        connection.close()


class Fetcher:
    """Fetches from one broker, one request at a time."""

    def __init__(
        self, transport: asyncio.Transport, answers: _Answers, versions: Mapping[int, tuple[int, int]]
    ) -> None:
        """`versions` are the lowest and the highest that the broker takes of each kind of request."""
        self._transport = transport
        self._answers = answers
        self._versions = versions
        self._number = 0

    async def fetch(self, topic: str, partition: int, offset: int) -> Fetched:
        """Return what the partition has from an offset on, nothing after half a second without any.

        Raises KafkaError for what the broker refuses and a connection that is lost, TimeoutError without an answer.
        """
        self._number += 1
        asked = [(topic, [(partition, offset, FETCH_BYTES)])]
        request = FetchRequest(_WAIT_MS, 1, FETCH_BYTES, READ_COMMITTED, asked).prepare(self._versions)
        content = request.build_request_header(self._number, _CLIENT).encode() + request.encode()
        async with asyncio.timeout(ANSWER_SECONDS):
            buffer, upto = await self._answers.after(
                lambda: self._transport.write(len(content).to_bytes(_SIZE_BYTES, "big") + content)
            )
        answer: Any = _Reading(buffer)
        number = request.parse_response_header(answer).correlation_id
        if number != self._number:
            raise CorrelationIdError(f"asked was request {self._number}, answered is {number}")
        response = request.RESPONSE_TYPE.decode(answer)
        # From version 7 on the whole request may be refused.
        _check(getattr(response, "error_code", 0))
        # Beyond a quota the broker answers without any topic, and is deaf on this connection for a while.
        if not response.topics:
            return Fetched(buffer, 0, 0, throttled=True)
        ((_, ((_, code, _, *others),)),) = response.topics
        _check(code)
        # Behind both ends of the log: what was aborted, from version 11 on before the replica that is preferred.
        aborted = others[2 if response.API_VERSION >= 11 else -2]
        return Fetched(buffer, upto - len(others[-1] or b""), upto, aborted or ())


def _check(code: int) -> None:
    if code:
        raise for_code(code)()


class _Reading:
    """An answer as aiokafka reads it; long bytes stay where they are."""

    _LONG: Final = 1024

    def __init__(self, buffer: bytearray) -> None:
        self._content = memoryview(buffer)
        self._at = _SIZE_BYTES

    def read(self, length: int) -> bytes | memoryview:
        begin, self._at = self._at, self._at + length
        piece = self._content[begin : self._at]
        return piece if length > self._LONG else piece.tobytes()


class _Answers(asyncio.BufferedProtocol):
    """Receives answers, each with its length before it, one after the other into the same buffer."""

    def __init__(self, before: asyncio.BaseProtocol) -> None:
        """`before` is the protocol in whose place it comes, who waits for the end of the connection."""
        self._before = before
        self._buffer = bytearray(FETCH_BYTES + FETCH_BYTES // 4)
        self._received = 0
        self._whole: asyncio.Future[None] | None = None
        self._lost = False

    async def after(self, ask: Callable[[], object]) -> tuple[bytearray, int]:
        """Ask, and return the buffer with the answer and where that ends. Raises KafkaConnectionError."""
        self._received = 0
        self._whole = asyncio.get_running_loop().create_future()
        if self._lost:
            raise KafkaConnectionError("the broker closed the connection")
        ask()
        await self._whole
        return self._buffer, self._received

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._received :]

    def buffer_updated(self, nbytes: int) -> None:
        self._received += nbytes
        if self._received < _SIZE_BYTES:
            return
        size = _SIZE_BYTES + int.from_bytes(self._buffer[:_SIZE_BYTES], "big")
        if size >= len(self._buffer):
            # One byte more than the answer has: there must always be room for some.
            larger = bytearray(size + 1)
            larger[: self._received] = memoryview(self._buffer)[: self._received]
            self._buffer = larger
        if self._received >= size and self._whole is not None and not self._whole.done():
            self._whole.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._before.connection_lost(exc)
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(KafkaConnectionError("the broker closed the connection"))
