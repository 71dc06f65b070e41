"""Traces of a record's way, by OpenTelemetry: from the bot's header `traceparent` (W3C Trace Context) on.

Off unless OpenTelemetry's own setting says where spans go (OTEL_EXPORTER_OTLP_ENDPOINT, or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT); then the extra `tracing` must be installed. Whether an event is traced is decided
by whoever published it: a record without the header costs a look at its headers, a service without the setting nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import ConfigurationError
from ..records import BareRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

HEADER: Final = "traceparent"
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SERVICE: Final = "service.name"


class Traced(NamedTuple):
    """A record that is traced, its event's (source, id) as far as they can be read, and the span of what is done."""

    record: BareRecord
    identity: tuple[str, str]
    span: Span


class Traces:
    """One span for everything that a service does with a traced record: begun with its batch, ended when durable."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("botpulse")
        self._propagator = TraceContextTextMapPropagator()

    def begin(
        self, name: str, topic: str, partition: int, records: Sequence[BareRecord], since: int | None = None
    ) -> list[Traced]:
        """Begin a span for each of the records that is traced; `since` is when it began (ns since 1970), else now."""
        began = since or time.time_ns()
        return [
            self._begin(name, topic, partition, record, value, began)
            for record in records
            for header, value in record.headers or ()
            if header == HEADER
        ]

    def end(self, traced: Sequence[Traced]) -> None:
        """What was to be done is durable."""
        for one in traced:
            one.span.end()

    def header(self, traced: Traced) -> tuple[str, bytes]:
        """The header with which what follows from the record is a part of its trace."""
        from opentelemetry.trace import set_span_in_context

        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(traced.span))
        return HEADER, carrier.get(HEADER, "").encode()

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _begin(
        self, name: str, topic: str, partition: int, record: BareRecord, value: bytes | None, since: int
    ) -> Traced:
        from opentelemetry.trace import SpanKind

        parent = self._propagator.extract({HEADER: (value or b"").decode("ascii", "replace")})
        identity = _identity(record.value)
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": record.offset,
            "messaging.message.id": identity[1],
        }
        span = self._tracer.start_span(name, parent, SpanKind.CONSUMER, attributes, start_time=since)
        return Traced(record, identity, span)


def from_environment(service: str, environ: Mapping[str, str] = os.environ) -> Traces | None:
    """The traces of a service, None where nothing says where they go.

    Raises ConfigurationError where the setting is there and OpenTelemetry is not.
    """
    setting = next((name for name in ENDPOINTS if environ.get(name)), None)
    if setting is None or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigurationError(
            f"setting {setting}: traces need OpenTelemetry: install botpulse[tracing], or leave the setting out"
        ) from None
    provider = TracerProvider(resource=Resource.create({_SERVICE: environ.get("OTEL_SERVICE_NAME") or service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


def current_header() -> list[tuple[str, bytes]]:
    """For the bot: the header of the span that is open now; none without one, or without OpenTelemetry in this bot."""
    if "opentelemetry.trace" not in sys.modules:
        return []
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return [(HEADER, carrier[HEADER].encode())] if HEADER in carrier else []


def _identity(value: bytes | None) -> tuple[str, str]:
    with contextlib.suppress(ValueError, TypeError):
        event: Any = json.loads(value or b"")
        if isinstance(event, dict):
            return str(event.get("source", "")), str(event.get("id", ""))
    return "", ""
