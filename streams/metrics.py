"""Every metric of the stream service, defined once with its meaning."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .batch import Outcome

_STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The service's metrics on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "botpulse_streams_events_total",
            "Records of bot.events by what became of them: folded, repeated (already applied), refused.",
            ["outcome"],
            registry=registry,
        )
        self._letters = Counter(
            "botpulse_streams_dead_letters_total",
            "Dead letters written, by reason.",
            ["reason"],
            registry=registry,
        )
        self._moves = Counter(
            "botpulse_streams_tier_changes_total",
            "Tier changes sent, by previous and current tier.",
            ["previous", "current"],
            registry=registry,
        )
        self._steps = Histogram(
            "botpulse_streams_step_seconds",
            "Seconds a batch spends in a step: fold, send (letters, tier changes, ledger), changelog.",
            ["step"],
            buckets=_STEP_SECONDS,
            registry=registry,
        )
        self._batch_events = Histogram(
            "botpulse_streams_batch_events",
            "Records in a batch.",
            buckets=(1, 10, 100, 500, 1000, 2500, 5000, 10000),
            registry=registry,
        )
        self._applied = Gauge(
            "botpulse_streams_applied_offset",
            "Offset after the last record whose effects are durable, by partition of bot.events.",
            ["partition"],
            registry=registry,
        )
        self._restored = Counter(
            "botpulse_streams_restored_records_total",
            "Changelog records read back.",
            ["partition"],
            registry=registry,
        )

    def step(self, name: str) -> AbstractContextManager[Any]:
        """Time one step of a batch."""
        return self._steps.labels(name).time()

    def restored(self, partition: int, records: int) -> None:
        """A partition's state was read back."""
        self._restored.labels(str(partition)).inc(records)

    def batch(self, partition: int, records: Sequence[Any], outcome: Outcome) -> None:
        """A batch is durable."""
        self._batch_events.observe(len(records))
        self._events.labels("folded").inc(outcome.folded)
        self._events.labels("repeated").inc(outcome.repeated)
        self._events.labels("refused").inc(len(outcome.letters))
        for reason, count in outcome.refused.items():
            self._letters.labels(reason).inc(count)
        self.moved(outcome)
        self._applied.labels(str(partition)).set(records[-1].offset + 1)

    def moved(self, outcome: Outcome) -> None:
        """Tier changes are acknowledged."""
        for (previous, current), count in outcome.moves.items():
            self._moves.labels(previous, current).inc(count)
