"""Every metric of the projection service, defined once with its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from projections.checkpoints import Lease, Place

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
        self._batch_records = Histogram(
            "botpulse_projections_batch_records",
            "Records in one transaction.",
            buckets=(1, 10, 100, 500, 1000, 2500, 5000, 10000),
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
        self._retries = Counter(
            "botpulse_projections_database_retries_total",
            "Times that Postgres was away and the batch in hand waited for it.",
            registry=registry,
        )
        self._open_refusals = Gauge(
            "botpulse_projections_open_refusals",
            "Refused events that nobody has redriven or accepted.",
            registry=registry,
        )

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

    def claimed(self, lease: Lease) -> None:
        """A partition is this worker's."""
        self._epoch.labels(lease.place.topic, str(lease.place.partition)).set(lease.epoch)
        self.moved(lease.place, lease.next_offset)

    def moved(self, place: Place, next_offset: int) -> None:
        """A checkpoint has moved."""
        self._next_offset.labels(place.topic, str(place.partition)).set(next_offset)

    def lag(self, place: Place, records: int) -> None:
        """How far a partition is behind."""
        self._lag.labels(place.topic, str(place.partition)).set(records)

    def released(self, place: Place) -> None:
        """A partition is another worker's now: its gauges would only mislead."""
        for gauge in (self._lag, self._next_offset, self._epoch):
            gauge.remove(place.topic, str(place.partition))

    def retried(self) -> None:
        """Postgres was away."""
        self._retries.inc()

    def open_refusals(self, count: int) -> None:
        """As of the last look."""
        self._open_refusals.set(count)
