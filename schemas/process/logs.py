"""Logging of the services: one JSON object a line, or readable lines on a terminal; always to stderr.

A line that is about a record says where it lies as topic, partition and offset, and which event it is as event_id. No
line has personal data: neither a record's value nor a subject.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Final

import structlog

_LEVELS: Final = {"aiokafka": logging.WARNING, "asyncio": logging.WARNING}


def configure(levels: Mapping[str, int] | None = None) -> None:
    """Set up structlog and the standard library's logging alike, so that libraries' lines have the same form.

    Call once a process. `levels` are least levels by logger, beside INFO for all others.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    else:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name, level in {**_LEVELS, **(levels or {})}.items():
        logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def quiet_kafka() -> Iterator[None]:
    """While the service starts, an unreachable broker is one line of ours, not a page of the client library's."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
