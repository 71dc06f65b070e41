"""Every metric of the exporter, defined once with its meaning, and the readings that they come from."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import asyncpg
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from projections.sql import query


class Figure(NamedTuple):
    """A metric's name, meaning and labels."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


REVENUE: Final = Figure("botpulse_business_revenue_today_dollars", "Gross revenue of this UTC day.")
NET_REVENUE: Final = Figure("botpulse_business_net_revenue_today_dollars", "Net revenue of this UTC day.")
ACTIVE_USERS: Final = Figure("botpulse_business_active_users_today", "Users with an own action this UTC day.")
NEW_USERS: Final = Figure("botpulse_business_new_users_today", "Users registered this UTC day.")
USERS: Final = Figure("botpulse_business_users", "Users by tier.", ("tier",))
ATTEMPTS: Final = Figure(
    "botpulse_business_payment_attempts", "Attempts to pay within a window of time up to now.", ("window",)
)
SUCCESS: Final = Figure(
    "botpulse_business_payment_success_ratio",
    "Succeeded attempts to pay, of all within a window; no sample without any.",
    ("window",),
)
DISPUTES: Final = Figure(
    "botpulse_business_disputes_opened", "Disputes opened within a window of time up to now.", ("window",)
)
PAYING_USERS: Final = Figure("botpulse_business_paying_users", "Users of whose charges something is left.")
TURNED_INACTIVE: Final = Figure(
    "botpulse_business_paying_users_turned_inactive", "Paying users who turned inactive within the last week."
)
HEALTH: Final = Figure(
    "botpulse_database_health", "check_database_health() by check: 0 is ok, 1 is warn, 2 is alert.", ("check",)
)
VERIFIED: Final = Figure(
    "botpulse_verify_finished_timestamp_seconds", "When `botpulse verify` last compared the whole log with the tables."
)
DIFFERENCES: Final = Figure("botpulse_verify_differences", "Differences between log and tables that it found then.")
READ_AT: Final = Figure(
    "botpulse_exporter_last_success_timestamp_seconds", "When these figures were last read from Postgres."
)
READ_SECONDS: Final = Figure("botpulse_exporter_read_seconds", "How long the last reading took.")

FIGURES: Final = (
    REVENUE,
    NET_REVENUE,
    ACTIVE_USERS,
    NEW_USERS,
    USERS,
    ATTEMPTS,
    SUCCESS,
    DISPUTES,
    PAYING_USERS,
    TURNED_INACTIVE,
    HEALTH,
    VERIFIED,
    DIFFERENCES,
    READ_AT,
    READ_SECONDS,
)

Sample = tuple[Figure, tuple[str, ...], float]
"""A figure, the values of its labels, its own value."""


class Reading(Collector):
    """The figures of the last look at the tables. What is not known has no sample."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []

    def set(self, samples: Iterable[Sample]) -> None:
        """Take the place of the reading before."""
        self._samples = list(samples)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called by the client library for every scrape."""
        families = {figure: GaugeMetricFamily(figure.name, figure.meaning, labels=figure.labels) for figure in FIGURES}
        for figure, labels, value in self._samples:
            families[figure].add_metric(labels, value)
        yield from families.values()


async def read(connection: asyncpg.Connection) -> list[Sample]:
    """Ask for everything once. Raises asyncpg's errors as they are."""
    begun = time.monotonic()
    samples = [*await _business(connection), *await _database(connection)]
    return [*samples, (READ_AT, (), time.time()), (READ_SECONDS, (), time.monotonic() - begun)]


async def _business(connection: asyncpg.Connection) -> list[Sample]:
    today = await connection.fetchrow(query("exporter", "today"))
    paying = await connection.fetchrow(query("exporter", "paying_users"))
    samples: list[Sample] = [
        (REVENUE, (), today["revenue_cents"] / 100),
        (NET_REVENUE, (), today["net_revenue_cents"] / 100),
        (ACTIVE_USERS, (), today["active_users"]),
        (NEW_USERS, (), today["new_users"]),
        (PAYING_USERS, (), paying["paying"]),
        (TURNED_INACTIVE, (), paying["turned_inactive"]),
    ]
    samples += _labelled(USERS, await connection.fetch(query("exporter", "users_by_tier")))
    for window, attempts, succeeded in await connection.fetch(query("exporter", "payment_attempts")):
        samples.append((ATTEMPTS, (window,), attempts))
        if attempts:
            samples.append((SUCCESS, (window,), succeeded / attempts))
    samples += _labelled(DISPUTES, await connection.fetch(query("exporter", "disputes_opened")))
    return samples


async def _database(connection: asyncpg.Connection) -> list[Sample]:
    samples = _labelled(HEALTH, await connection.fetch(query("exporter", "health")))
    verified = await connection.fetchrow(query("verifications", "latest"))
    if verified is not None:
        samples.append((VERIFIED, (), verified["finished_at"].timestamp()))
        samples.append((DIFFERENCES, (), verified["differences"]))
    return samples


def _labelled(figure: Figure, rows: Iterable[Any]) -> list[Sample]:
    return [(figure, (label,), value) for label, value in rows]
