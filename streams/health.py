"""Whether the service lives and is ready, as `schemas.process.probes` tells it."""

from __future__ import annotations

from typing import Protocol

STUCK_SECONDS = 60.0
"""The event loop beats four times a second."""
SILENT_SECONDS = 15.0
"""Empty fetches are answered many times a second. That Kafka is away is waited for: only readiness knows of it."""


class Work(Protocol):
    """What is asked of the worker."""

    @property
    def assigned(self) -> bool:
        """Whether the group has said which partitions are this worker's (it may be none)."""

    @property
    def restoring(self) -> list[int]:
        """Partitions whose state is not read back yet."""

    @property
    def silent_seconds(self) -> float:
        """How long ago the event loop last came round."""

    @property
    def unanswered_seconds(self) -> float:
        """How long Kafka has answered neither a fetch nor a commit. Known once there are partitions."""


class Health:
    """Answers for one worker."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def alive(self) -> bool:
        """Whether the event loop still comes round; if not, only a restart helps."""
        return self._work.silent_seconds < STUCK_SECONDS

    def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        if not self._work.assigned:
            return ["no partitions assigned yet"]
        if waiting := self._work.restoring:
            return [f"the state of partitions {', '.join(map(str, waiting))} is being read back"]
        return [] if self._work.unanswered_seconds < SILENT_SECONDS else ["Kafka does not answer"]
