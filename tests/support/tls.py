"""TLS in front of a Postgres that was built without: a real server behind a proxy that ends the encryption."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
_CHUNK = 64 * 1024


@contextmanager
def tls_in_front(port: int, target_port: int, context: ssl.SSLContext) -> Iterator[None]:
    """Listen on localhost, in a thread of its own. A client that doesn't ask for TLS is cut off."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(context)
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target_port)
                await asyncio.gather(_forward(reader, server_writer), _forward(server_reader, writer))
        writer.close()

    ready, stops = threading.Event(), []

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        stops[0]()
        thread.join()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(_CHUNK):
            writer.write(content)
            await writer.drain()
    writer.close()
