"""One worker of the projection service as a process: started, watched for signals, ended with an exit status.

Exit status 0 after a signal, 1 when it could not go on (a supervisor restarts it), 2 for something outside the code
that must be changed first.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from importlib.metadata import version
from typing import Final

import structlog
import uvloop
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, ProcessCollector

from projections.batch import Apply
from projections.health import Health
from projections.metrics import Metrics
from projections.preflight import count_partitions, open_database
from projections.runner import Runner
from projections.settings import Settings
from schemas.errors import BotpulseError, ServiceStopped
from schemas.process import logs, tracing
from schemas.process.instances import claim_instance_id
from schemas.process.probes import ProbeServer

STOP_SECONDS: Final = 6.0
"""After a signal the batch in hand is finished; one that takes longer is rolled back. With the goodbyes to Kafka and
Postgres the process ends within 10 s."""

log = structlog.get_logger("projections")


def serve(apply: Apply) -> None:
    """Run a worker that writes through `apply`, until SIGTERM or SIGINT; ends the process with its exit status."""
    logs.configure()
    _collect_garbage_seldom()
    try:
        uvloop.run(_run(Settings.from_environment(), apply))
    except BotpulseError as error:
        _end(str(error), error.exit_status)
    except KafkaError as error:
        _end(f"Kafka (KAFKA_BOOTSTRAP_SERVERS) failed: {type(error).__name__}: {error}", 1)
    except Exception as error:
        log.exception("unexpected error")
        _end(f"unexpected error, nothing unfinished was acknowledged: {type(error).__name__}: {error}", 1)


def _collect_garbage_seldom() -> None:
    """Events and digests are many and hold no cycles: looking for cycles among them took half of the time.

    The first threshold is more objects than the batches in memory have, so that only what is really left behind counts.
    """
    gc.freeze()
    gc.set_threshold(2_000_000, 20, 100)


async def _run(settings: Settings, apply: Apply) -> None:
    metrics_registry = CollectorRegistry()
    ProcessCollector(registry=metrics_registry)
    health = Health()
    server = ProbeServer(health, metrics_registry, version("botpulse"), "PROJECTIONS_HTTP_PORT")
    if settings.http_port:
        await server.start(settings.http_host, settings.http_port)
    metrics = Metrics(metrics_registry)
    traces = tracing.from_environment("botpulse-projections")
    metrics.ready_when(lambda: not health.problems())
    metrics.connections(health.connections)
    try:
        with logs.quiet_kafka():
            partition_counts = await count_partitions(settings)
            connection = await open_database(settings)
        runner = Runner(
            settings,
            apply,
            partition_counts=partition_counts,
            metrics=metrics,
            health=health,
            instance_id=settings.instance_id or claim_instance_id(settings.topics.projections_group),
            connection=connection,
            traces=traces,
        )
        await _until_signal(runner)
    finally:
        await server.stop()
        if traces is not None:
            await asyncio.to_thread(traces.close)


async def _until_signal(runner: Runner) -> None:
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(runner.run())
    signalled = False

    def on_signal() -> None:
        nonlocal signalled
        signalled = True
        log.info("stopping")
        runner.stop()
        loop.call_later(STOP_SECONDS, work.cancel)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await work
    except asyncio.CancelledError:
        if not signalled:
            # The Kafka client cancels its own waiters when it gives a connection up.
            raise ServiceStopped(
                "the work was cancelled without a signal, nothing unfinished was acknowledged; a restart carries on"
            ) from None
    log.info("stopped")


def _end(line: str, status: int) -> None:
    print(f"botpulse projections: {' '.join(line.split())}", file=sys.stderr, flush=True)  # noqa: T201
    sys.exit(status)
