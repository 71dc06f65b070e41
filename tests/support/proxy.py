"""A TCP proxy in front of Postgres that loses connections at the worst moments."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

COMMIT = b"COMMIT;"


class Fault(StrEnum):
    """What happens to the next COMMIT that passes."""

    NONE = "none"
    ANSWER_LOST = "answer_lost"
    """It reaches the server and is carried out; the client's connection is cut before the answer."""
    REQUEST_LOST = "request_lost"
    """It never reaches the server; both connections are cut."""
    LEFT_OPEN = "left_open"
    """It never reaches the server; the client is cut off, the server sees a connection that is silent."""


class Proxy:
    """Forwards connections to one server."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.fault = Fault.NONE
        self.faults_done = 0
        self.away = False
        """While it is set, nobody gets a connection."""
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut_all(self) -> None:
        """Reset every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.away:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        self._open |= {writer, server_writer}
        answers = asyncio.create_task(self._answers(server_reader, writer))
        leave_open = False
        try:
            leave_open = await self._requests(reader, writer, server_reader, server_writer, answers)
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            self._open.discard(writer)
            writer.transport.abort()
            if not leave_open:
                self._open.discard(server_writer)
                server_writer.transport.abort()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
        answers: asyncio.Task[None],
    ) -> bool:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                fault = self.fault if COMMIT in data else Fault.NONE
                if fault is not Fault.NONE:
                    self.fault = Fault.NONE
                    self.faults_done += 1
                if fault in (Fault.REQUEST_LOST, Fault.LEFT_OPEN):
                    return fault is Fault.LEFT_OPEN
                if fault is Fault.ANSWER_LOST:
                    # The answer is waited for, so that the commit is done, and thrown away.
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    server_writer.write(data)
                    await server_reader.read(65536)
                    return False
                server_writer.write(data)
                await server_writer.drain()
        return False

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def close(self) -> None:
        """Cut everything and wait until it is gone."""
        self.away = True
        self.cut_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxy(database_url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy to the URL's server, and the URL that leads through it."""
    parts = urlsplit(database_url)
    assert parts.hostname
    made = Proxy(parts.hostname, parts.port or 5432)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = parts.netloc.rpartition("@")[0]
    try:
        yield made, urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
