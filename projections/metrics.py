"""Every metric of the projection service, defined once with its meaning."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from projections.briefs import type_of
from projections.checkpoints import Lease, Place
from schemas.kafka.lag import Lag

_DELAYS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The service's metrics on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._events = Counter(
            "botpulse_projections_events_total",
            "Records read, by what became of them: applied, duplicate (same source, id and time), invalid (refused by "
            "the contract), conflict (a known business identity with another amount; counted as applied too), "
            "refused (by the database).",
            ["outcome"],
            registry=registry,
        )
        self._invalid = Counter(
            "botpulse_projections_invalid_total",
            "Records skipped because the contract refuses them, by reason; streams writes their letters.",
            ["reason"],
            registry=registry,
        )
        self._types = Counter(
            "botpulse_projections_event_types_total",
            "Events seen for the first time, by type (without the prefix botpulse.).",
            ["type"],
            registry=registry,
        )
        self._delay = Histogram(
            "botpulse_projections_delay_seconds",
            "Until a batch is committed: since its first record was appended to the log (append), and since that of "
            "its first event (event), which may be long ago.",
            ["since"],
            buckets=_DELAYS,
            registry=registry,
        )
        self._batch_records = Histogram(
            "botpulse_projections_batch_records",
            "Records in one transaction.",
            buckets=(1, 10, 100, 500, 1000, 2500, 5000, 10000, 20000),
            registry=registry,
        )
        self._steps = Histogram(
            "botpulse_projections_step_seconds",
            "Seconds a batch spends in a step: decode (while the batch before is written), dedupe, fence, remember, "
            "apply, commit.",
            ["step"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._lag = Gauge(
            "botpulse_projections_lag_records",
            "Records between a partition's checkpoint and the end of the log as of the last fetch.",
            ["topic", "partition"],
            registry=registry,
        )
        self._lag_seconds = Gauge(
            "botpulse_projections_lag_seconds",
            "How old the last applied record of a partition is while others wait behind it; 0 while none does.",
            ["topic", "partition"],
            registry=registry,
        )
        self._next_offset = Gauge(
            "botpulse_projections_next_offset",
            "The first offset that is not applied yet.",
            ["topic", "partition"],
            registry=registry,
        )
        self._epoch = Gauge(
            "botpulse_projections_epoch",
            "How often a partition has been claimed; grows with every rebalance and restart.",
            ["topic", "partition"],
            registry=registry,
        )
        self._rebalances = Counter(
            "botpulse_projections_rebalances_total",
            "Times that the group gave this worker its partitions.",
            registry=registry,
        )
        self._ready = Gauge(
            "botpulse_projections_ready",
            "1 while /readyz says ready.",
            registry=registry,
        )
        self._retries = Counter(
            "botpulse_projections_database_retries_total",
            "Times that Postgres was away and the batch in hand waited for it.",
            registry=registry,
        )
        self._connections = Gauge(
            "botpulse_projections_database_connections",
            "Connections to Postgres that are up; every lane of a worker has one.",
            registry=registry,
        )
        self._open_refusals = Gauge(
            "botpulse_projections_open_refusals",
            "Refused events that nobody has redriven or accepted.",
            registry=registry,
        )
        self._behind = Lag()

    def ready_when(self, ready: Callable[[], bool]) -> None:
        """Whom to ask whether the worker is ready, at every scrape."""
        self._ready.set_function(lambda: float(ready()))

    def connections(self, count: Callable[[], int]) -> None:
        """Whom to ask how many connections to Postgres are up, at every scrape."""
        self._connections.set_function(lambda: float(count()))

    def step(self, name: str) -> AbstractContextManager[Any]:
        """Time one step of a batch."""
        return self._steps.labels(name).time()

    def took(self, name: str, seconds: float) -> None:
        """Note how long a step took that is not done in one go."""
        self._steps.labels(name).observe(seconds)

    def batch(self, records: int, outcomes: Mapping[str, int], invalid: Mapping[str, int]) -> None:
        """A batch is committed."""
        self._batch_records.observe(records)
        for outcome, count in outcomes.items():
            self._events.labels(outcome).inc(count)
        for reason, count in invalid.items():
            self._invalid.labels(reason).inc(count)

    def committed(self, appended_ms: int, events: Sequence[Any]) -> None:
        """A batch is committed: its first record's broker time, and its events (tier changes and letters are none)."""
        now = time.time()
        self._delay.labels("append").observe(max(0.0, now - appended_ms / 1000))
        if events:
            self._delay.labels("event").observe(max(0.0, now - events[0].time.timestamp()))
        # By class first: asking every event for its type would cost more than all other metrics.
        for event_class, count in collections.Counter(map(type, events)).items():
            self._types.labels(type_of(event_class).removeprefix("botpulse.")).inc(count)

    def rebalanced(self) -> None:
        """The group has given this worker its partitions."""
        self._rebalances.inc()

    def claimed(self, lease: Lease) -> None:
        """A partition is this worker's."""
        self._epoch.labels(lease.place.topic, str(lease.place.partition)).set(lease.epoch)
        self.moved(lease.place, lease.next_offset)

    def moved(self, place: Place, next_offset: int, appended_ms: int | None = None) -> None:
        """A checkpoint has moved; `appended_ms` is the broker time of its last record."""
        self._next_offset.labels(place.topic, str(place.partition)).set(next_offset)
        if appended_ms is not None:
            self._behind.applied(place, appended_ms)

    def lag(self, place: Place, end: int, next_offset: int) -> None:
        """How far a partition is behind the end of the log."""
        records, seconds = self._behind.measure(place, end, next_offset)
        self._lag.labels(place.topic, str(place.partition)).set(records)
        self._lag_seconds.labels(place.topic, str(place.partition)).set(seconds)

    def released(self, place: Place) -> None:
        """A partition is another worker's now: its gauges would only mislead."""
        self._behind.forget(place)
        for gauge in (self._lag, self._lag_seconds, self._next_offset, self._epoch):
            gauge.remove(place.topic, str(place.partition))

    def retried(self) -> None:
        """Postgres was away."""
        self._retries.inc()

    def open_refusals(self, count: int) -> None:
        """As of the last look."""
        self._open_refusals.set(count)
