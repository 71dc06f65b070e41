"""A publisher's state as Prometheus metrics, for a bot that serves them: needs prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .publisher import Publisher


class PublisherMetrics(Collector):
    """`registry.register(PublisherMetrics(publisher))`: read at every scrape, so nothing is to be kept up to date."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now; names and meanings are in docs/bot.md."""
        status = self._publisher.status
        yield GaugeMetricFamily(
            "botpulse_publisher_connected", "1 while events go straight to Kafka.", float(status.connected)
        )
        yield GaugeMetricFamily(
            "botpulse_publisher_waiting_events", "Events in memory that are not accepted yet.", status.waiting
        )
        yield GaugeMetricFamily(
            "botpulse_publisher_spooled_events", "Events that wait on the bot's disk for Kafka.", status.spooled
        )
        yield GaugeMetricFamily(
            "botpulse_publisher_spooled_bytes", "Bytes of keys and values that wait there.", status.spooled_bytes
        )
        yield CounterMetricFamily(
            "botpulse_publisher_acknowledged_events", "Events that Kafka has acknowledged.", status.acknowledged
        )
        yield CounterMetricFamily(
            "botpulse_publisher_refused_events", "Events whose caller was told that they are not accepted.",
            status.refused,
        )  # fmt: skip
        yield GaugeMetricFamily(
            "botpulse_publisher_set_aside_records",
            "Records in the spool's file that could not be read or that Kafka refuses for good.",
            status.set_aside,
        )
