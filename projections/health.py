"""Whether the service lives and is ready, and the small HTTP server that says so."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Final

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from schemas.errors import ConfigurationError

STUCK_SECONDS: Final = 120.0
"""The runner's loop comes round at least this often, also while it waits for Postgres or Kafka."""
REQUEST_SECONDS: Final = 5.0


@dataclass(slots=True)
class Health:
    """What the runner last knew. Kept by the runner, read by the server."""

    joined: bool = False
    """This worker is a member of the group and has claimed what it was given (which may be nothing)."""
    database_up: bool = False
    kafka_up: bool = True
    open_refusals: int = 0
    last_turn: float = field(default_factory=time.monotonic)

    def alive(self) -> bool:
        """Whether the runner's loop still comes round; if not, only a restart helps."""
        return time.monotonic() - self.last_turn < STUCK_SECONDS

    def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        found = []
        if not self.database_up:
            found.append("Postgres is away; nothing is fetched until it is back")
        if not self.kafka_up:
            found.append("Kafka does not answer")
        if not self.joined:
            found.append("no partitions claimed yet")
        if self.open_refusals:
            found.append(
                f"{self.open_refusals} events refused by the database are neither redriven nor accepted "
                "(botpulse dead-letters)"
            )
        return found


class HealthServer:
    """Serves GET /metrics, /livez, /readyz and /version on one address."""

    def __init__(self, health: Health, registry: CollectorRegistry, version: str) -> None:
        self._health = health
        self._registry = registry
        self._version = version
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises ConfigurationError if the address can't be had."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            raise ConfigurationError(
                f"PROJECTIONS_HTTP_PORT: can't listen on {host}:{port} ({error.strerror or error}); choose another port"
            ) from None

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body for a path."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if path == "/livez":
            alive = self._health.alive()
            return (200 if alive else 503), "text/plain", b"alive\n" if alive else b"the loop is stuck: restart\n"
        if path == "/readyz":
            problems = self._health.problems()
            return (503 if problems else 200), "text/plain", ("\n".join(problems or ["ready"]) + "\n").encode()
        if path == "/version":
            return 200, "application/json", orjson.dumps({"version": self._version})
        return 404, "text/plain", b"there is /metrics, /livez, /readyz and /version\n"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                method, _, rest = head.decode("latin-1").partition(" ")
                path = rest.partition(" ")[0].partition("?")[0]
                if method in ("GET", "HEAD"):
                    status, kind, body = self.answer(path)
                else:
                    status, kind, body = 405, "text/plain", b"only GET\n"
                reason = {200: "OK", 404: "Not Found", 405: "Method Not Allowed"}.get(status, "Service Unavailable")
                writer.write(
                    f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                    "Connection: close\r\n\r\n".encode()
                )
                writer.write(b"" if method == "HEAD" else body)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
