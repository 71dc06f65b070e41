"""`python -m streams`: one worker of the stream service, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from importlib.metadata import version

import structlog
import uvloop
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, ProcessCollector

from schemas.errors import BotpulseError, ServiceStopped
from schemas.process import logs, tracing
from schemas.process.arguments import refuse_arguments
from schemas.process.instances import claim_instance_id
from schemas.process.probes import ProbeServer

from .health import Health
from .metrics import Metrics
from .preflight import check_topics
from .settings import Settings
from .worker import GC_THRESHOLDS, Worker

STOP_SECONDS = 9.0
log = structlog.get_logger("streams")


def main() -> None:
    """Run the service. Exit status 0 after a signal, 1 when it could not go on, 2 for a wrong configuration."""
    refuse_arguments("python -m streams, without arguments; its settings: botpulse settings streams")
    # What these say at lower levels is either said by us in one line or no news (a commit that took its time).
    quiet = {"aiokafka": logging.CRITICAL, "mode.timers": logging.CRITICAL}
    logs.configure({"faust": logging.WARNING, "mode": logging.WARNING, **quiet})
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        settings = Settings.from_environment()
        uvloop.run(_run(settings))
    except BotpulseError as error:
        _say(f"botpulse streams: {error}")
        sys.exit(error.exit_status)
    except KafkaError as error:
        _say(_kafka_failed(error))
        sys.exit(1)


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    partition_count = await check_topics(settings)
    instance_id = settings.instance_id or claim_instance_id(settings.topics.streams_group)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = Metrics(registry)
    traces = tracing.from_environment("botpulse-streams")
    worker = Worker(
        settings,
        instance_id=instance_id,
        partition_count=partition_count,
        metrics=metrics,
        failed=_die,
        traces=traces,
    )
    health = Health(worker)
    metrics.ready_when(lambda: not health.problems())
    server = ProbeServer(health, registry, version("botpulse"), "STREAMS_HTTP_PORT")
    if settings.http_port:
        await server.start(settings.http_host, settings.http_port)
    try:
        log.info("starting", instance=instance_id, partitions=partition_count)
        await _work_until(stop, worker)
    finally:
        await server.stop()
        if traces is not None:
            await asyncio.to_thread(traces.close)


async def _work_until(stop: asyncio.Event, worker: Worker) -> None:
    starting = asyncio.create_task(worker.start())
    await asyncio.wait([starting, asyncio.ensure_future(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        await starting
        log.info("at work")
    while not stop.is_set():
        # Faust's services report a crash by ending this wait.
        await worker.app.wait(stop.wait())
        if worker.app.crash_reason is not None:
            _die(worker.app.crash_reason)
    log.info("stopping")
    stopping = asyncio.ensure_future(_stop(starting, worker))
    # Not by a timeout that cancels: Faust's services may swallow the one cancellation, and go on waiting.
    await asyncio.wait([stopping], timeout=STOP_SECONDS)
    if not stopping.done():
        _die(
            ServiceStopped(
                f"the batches in hand were not durable within {STOP_SECONDS:.0f} s of the signal (is Kafka away?); "
                "what is not committed is folded again after a restart"
            )
        )
    await stopping
    log.info("stopped")


async def _stop(starting: asyncio.Task[None], worker: Worker) -> None:
    await starting  # the signal may have come first
    await worker.stop()


def _die(error: BaseException) -> None:
    """End at once, with nothing more written or acknowledged: a supervisor's restart carries on from the log."""
    status, line = 1, f"botpulse streams: {error}"
    if isinstance(error, BotpulseError):
        status = error.exit_status
    elif isinstance(error, KafkaError):
        line = _kafka_failed(error)
    else:
        log.error("unexpected error", exc_info=error)
    _say(line)
    logging.shutdown()
    os._exit(status)


def _kafka_failed(error: KafkaError) -> str:
    """Say that Kafka went away, while state was read back for instance: no defect, so no traceback."""
    text = " ".join(str(error).split())
    return (
        f"botpulse streams: Kafka (KAFKA_BOOTSTRAP_SERVERS) failed: {text}; nothing unfinished was acknowledged, a "
        "restart carries on"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
