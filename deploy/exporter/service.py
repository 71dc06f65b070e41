"""The exporter as a process: looks at Postgres now and then, serves what it saw, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
import time
from importlib.metadata import version
from typing import Final

import asyncpg
import structlog
from prometheus_client import CollectorRegistry, ProcessCollector

from deploy.exporter.figures import Reading, read
from deploy.exporter.settings import Settings
from projections.access import MAINTENANCE
from projections.database import connect
from schemas.errors import ConfigurationError
from schemas.process import logs
from schemas.process.probes import ProbeServer

STALE_READINGS: Final = 5
"""After so many intervals without a successful reading the exporter is not ready."""
LOCK_TIMEOUT_MS: Final = 1_000
"""It never waits longer for a lock than somebody who looks at a dashboard would."""

log = structlog.get_logger("exporter")


class Health:
    """Whether the last reading is fresh enough to be believed."""

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self._read_at: float | None = None
        self.problem = "Postgres has not been read yet"

    def read(self) -> None:
        """A reading has succeeded."""
        self._read_at = time.monotonic()

    def alive(self) -> bool:
        """The loop waits for nothing without a deadline."""
        return True

    def problems(self) -> list[str]:
        """Why the figures can't be believed; empty when they can."""
        fresh = self._read_at is not None and time.monotonic() - self._read_at < STALE_READINGS * self._interval_seconds
        return [] if fresh else [self.problem]


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises ConfigurationError when the address can't be had.

    Postgres may come and go: what was read before is served on, with its age.
    """
    logs.configure()
    reading, health = Reading(), Health(settings.interval_seconds)
    registry = CollectorRegistry()
    registry.register(reading)
    ProcessCollector(registry=registry)
    server = ProbeServer(health, registry, version("botpulse"), "EXPORTER_HTTP_PORT")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.start(settings.http_host, settings.http_port)
    log.info("serving", address=f"http://{settings.http_host}:{settings.http_port}/metrics")
    try:
        while not stop.is_set():
            await _look(settings, reading, health)
            try:
                async with asyncio.timeout(settings.interval_seconds):
                    await stop.wait()
            except TimeoutError:
                continue
    finally:
        await server.stop()


async def _look(settings: Settings, reading: Reading, health: Health) -> None:
    """One reading, on a connection of its own: between two of them Postgres has one session less."""
    try:
        connection = await connect(
            settings.database_url,
            settings.database_setting,
            application_name="botpulse-exporter",
            lock_timeout_ms=LOCK_TIMEOUT_MS,
            role=MAINTENANCE,
        )
        try:
            reading.set(await read(connection))
        finally:
            await connection.close()
    except (ConfigurationError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        health.problem = f"Postgres could not be read: {' '.join(str(error).split())}"
        log.warning("Postgres could not be read", why=health.problem)
    else:
        health.read()
