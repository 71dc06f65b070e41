"""From looks at a running worker to a rate. Pure.

A worker is looked at several times a second. Measured is from the first look that found something done by every worker
to the look that found everything done; what was done before the first one does not count, so neither start-up, nor
joining the group, nor the first batch is in a rate.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Look:
    """One look: `at` in seconds of any clock, `done` events so far, `cpu` seconds that the workers have used so far.

    `everyone`: every worker has done something; `server_cpu`: what a server of theirs has used so far.
    """

    at: float
    done: int
    cpu: float
    everyone: bool = True
    server_cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What lies between two looks."""

    events: int
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float = 0.0
    with_start: bool = False
    """Everything was done between two looks, so the start of the processes is in the rate."""

    @property
    def per_second(self) -> float:
        """Events a second of wall time."""
        return self.events / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Events a second of the workers' own processor time, in user and kernel mode."""
        return self.events / max(self.cpu_seconds, 1e-6)

    @property
    def busy(self) -> float:
        """Processor time by wall time: 1.0 is one core, always busy."""
        return self.cpu_seconds / self.seconds


def rate(looks: Sequence[Look], total: int, started_at: float) -> Rate:
    """The rate from the first look with something done by everyone to the first with `total` done.

    Where one look found all of it, from `started_at` on, when the processes were started (too few events for a rate
    that means much). Raises ValueError where not everything is done.
    """
    last = next((look for look in looks if look.done >= total), None)
    if last is None:
        raise ValueError(f"not all of {total} events are done")
    first = next((look for look in looks if look.done > 0 and look.everyone), last)
    if first.done >= last.done:
        return Rate(last.done, last.at - started_at, last.cpu, last.server_cpu, with_start=True)
    return Rate(last.done - first.done, last.at - first.at, last.cpu - first.cpu, last.server_cpu - first.server_cpu)


def gauges(text: str, name: str, *labels: str) -> dict[str, float]:
    """The values of one metric in the text of a Prometheus page, by some of its labels, joined with slashes."""
    found = {}
    for sample in _SAMPLE.finditer(text):
        if sample["name"] == name:
            values = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"] or ""))
            found["/".join(values.get(label, "") for label in labels)] = float(sample["value"])
    return found


def furthest(positions: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Of several workers' positions by partition the greatest of each: partitions move between workers."""
    most: dict[str, float] = {}
    for worker in positions:
        for partition, position in worker.items():
            most[partition] = max(most.get(partition, 0.0), position)
    return most


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` of them don't exceed. Raises ValueError without values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share - 1e-9) - 1)]


def middle(values: Sequence[float]) -> int:
    """The place of the median in the values (of an even number, of the lower of the two in the middle)."""
    return values.index(statistics.median_low(values))
