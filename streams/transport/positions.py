"""Which offset of a partition may be committed: the end of the highest contiguous run of finished batches.

Offsets inside a batch and between batches may have gaps (compaction, transaction markers), so nothing here
counts offsets one by one: a batch is known by its first offset and by the offset after its last record.
Pure; one instance serves one assignment of one partition.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class _Batch:
    next_offset: int
    taken: bool = False
    finished: bool = False


class Positions:
    """The batches in flight of one partition, in the order they were fetched."""

    def __init__(self) -> None:
        self._batches: deque[_Batch] = deque()
        self._by_next_offset: dict[int, _Batch] = {}
        self._committable: int | None = None

    def fetched(self, next_offset: int) -> None:
        """A batch that ends before `next_offset` was fetched; it follows all fetched so far."""
        if self._batches and next_offset <= self._batches[-1].next_offset:
            raise ValueError(f"batch ending at {next_offset} does not follow {self._batches[-1].next_offset}")
        batch = _Batch(next_offset)
        self._batches.append(batch)
        self._by_next_offset[next_offset] = batch

    def taken(self, next_offset: int) -> None:
        """The batch was handed to the code that processes it: from now on a drain waits for it."""
        batch = self._by_next_offset.get(next_offset)
        if batch is not None:
            batch.taken = True

    def finished(self, next_offset: int) -> None:
        """All effects of the batch are durable. Batches of an earlier assignment are unknown and ignored."""
        batch = self._by_next_offset.get(next_offset)
        if batch is None:
            return
        batch.finished = True
        while self._batches and self._batches[0].finished:
            self._committable = self._batches.popleft().next_offset
            del self._by_next_offset[self._committable]

    @property
    def committable(self) -> int | None:
        """The offset that a restart may begin at, None while nothing was finished."""
        return self._committable

    @property
    def in_flight(self) -> int:
        """Batches fetched and not yet part of the committable run."""
        return len(self._batches)

    @property
    def being_processed(self) -> bool:
        """Whether a batch was taken and is not finished."""
        return any(batch.taken and not batch.finished for batch in self._batches)
