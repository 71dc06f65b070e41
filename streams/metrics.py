"""Every metric of the stream service, defined once with its meaning."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.kafka.lag import Lag

from .batch import Outcome

_DELAYS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The service's metrics on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "botpulse_streams_events_total",
            "Records of bot.events by type (without the prefix botpulse.; none where refused) and by what became of "
            "them: folded, duplicate (of one of the user's last 64 events), repeated (applied before a restart), "
            "redriven (for the tables alone), other (about content, not a user), refused.",
            ["type", "outcome"],
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
        self._lag = Gauge(
            "botpulse_streams_lag_events",
            "Records between the committed offset and the end of the log as last fetched, by partition of bot.events.",
            ["partition"],
            registry=registry,
        )
        self._lag_seconds = Gauge(
            "botpulse_streams_lag_seconds",
            "How old the last applied record of a partition is while others wait behind it; 0 while none does.",
            ["partition"],
            registry=registry,
        )
        self._delay = Histogram(
            "botpulse_streams_delay_seconds",
            "Until a batch is durable: since its first record was appended to the log (append), and since the time of "
            "its first event (event), which may be long ago.",
            ["since"],
            buckets=_DELAYS,
            registry=registry,
        )
        self._commits = Histogram(
            "botpulse_streams_commit_seconds",
            "Seconds that a commit of offsets takes.",
            buckets=_STEP_SECONDS,
            registry=registry,
        )
        self._commit_failures = Counter(
            "botpulse_streams_commit_failures_total",
            "Commits of offsets that the broker refused: the partitions had become another worker's.",
            registry=registry,
        )
        self._rebalances = Counter(
            "botpulse_streams_rebalances_total",
            "Times that the group gave this worker its partitions.",
            registry=registry,
        )
        self._ready = Gauge("botpulse_streams_ready", "1 while /readyz says ready.", registry=registry)
        self._users = Gauge(
            "botpulse_streams_state_users",
            "Users whose aggregates are in memory, by partition.",
            ["partition"],
            registry=registry,
        )
        self._bytes = Gauge(
            "botpulse_streams_state_bytes",
            "Bytes of encoded aggregates and ledger entries in memory, by partition.",
            ["partition"],
            registry=registry,
        )
        self._restoring = Gauge(
            "botpulse_streams_restoring_records",
            "Changelog records that are still to be read back, by partition; 0 when it is ready.",
            ["partition"],
            registry=registry,
        )
        self._restored = Counter(
            "botpulse_streams_restored_records_total",
            "Changelog records read back.",
            ["partition"],
            registry=registry,
        )

        self._behind = Lag()

    def ready_when(self, ready: Callable[[], bool]) -> None:
        """Whom to ask whether the worker is ready, at every scrape."""
        self._ready.set_function(lambda: float(ready()))

    def step(self, name: str) -> AbstractContextManager[Any]:
        """Time one step of a batch."""
        return self._steps.labels(name).time()

    def restoring(self, partition: int, records: int) -> None:
        """So many records of a partition's state are still to be read back."""
        self._restoring.labels(str(partition)).set(records)

    def restored(self, partition: int, records: int) -> None:
        """A partition's state was read back."""
        self._restored.labels(str(partition)).inc(records)

    def batch(self, partition: int, records: Sequence[Any], outcome: Outcome) -> None:
        """A batch is durable."""
        now = time.time()
        self._batch_events.observe(len(records))
        self._delay.labels("append").observe(max(0.0, now - records[0].timestamp / 1000))
        if outcome.first_time is not None:
            self._delay.labels("event").observe(max(0.0, now - outcome.first_time.timestamp()))
        for name, count in outcome.folded.items():
            self._events.labels(name.removeprefix("botpulse."), "folded").inc(count)
        for (name, why), count in outcome.skipped.items():
            self._events.labels(name.removeprefix("botpulse."), why).inc(count)
        self._events.labels("none", "refused").inc(len(outcome.letters))
        for reason, count in outcome.refused.items():
            self._letters.labels(reason).inc(count)
        self.moved(outcome)
        self._behind.applied(partition, records[-1].timestamp)
        self._applied.labels(str(partition)).set(records[-1].offset + 1)

    def moved(self, outcome: Outcome) -> None:
        """Tier changes are acknowledged."""
        for (previous, current), count in outcome.moves.items():
            self._moves.labels(previous, current).inc(count)

    def committed(self, seconds: float, done: bool) -> None:
        """A commit of offsets has ended, with or without success."""
        self._commits.observe(seconds)
        if not done:
            self._commit_failures.inc()

    def rebalanced(self) -> None:
        """The group has given this worker its partitions."""
        self._rebalances.inc()

    def lag(self, partition: int, end: int, committed: int) -> None:
        """How far a partition is behind the end of the log."""
        records, seconds = self._behind.measure(partition, end, committed)
        self._lag.labels(str(partition)).set(records)
        self._lag_seconds.labels(str(partition)).set(seconds)

    def state(self, partition: int, users: int, size: int) -> None:
        """What a partition's state holds; `size` in bytes."""
        self._users.labels(str(partition)).set(users)
        self._bytes.labels(str(partition)).set(size)

    def released(self, partition: int) -> None:
        """A partition is another worker's now: its gauges would only mislead."""
        self._behind.forget(partition)
        for gauge in (self._lag, self._lag_seconds, self._applied, self._users, self._bytes, self._restoring):
            gauge.remove_by_labels({"partition": str(partition)})
