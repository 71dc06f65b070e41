"""What makes a worker not ready; the order says what is to be looked at first."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.health import SILENT_SECONDS, STUCK_SECONDS, Health


@dataclass
class Work:
    """A worker as it was last seen."""

    assigned: bool = True
    restoring: list[int] = field(default_factory=list)
    silent_seconds: float = 0.0
    unanswered_seconds: float = 0.0


def test_readiness_and_life() -> None:
    assert Health(Work()).problems() == []
    assert Health(Work(assigned=False)).problems() == ["no partitions assigned yet"]
    restoring = Work(restoring=[1, 3], unanswered_seconds=SILENT_SECONDS)
    assert Health(restoring).problems() == ["the state of partitions 1, 3 is being read back"]
    away = Health(Work(unanswered_seconds=SILENT_SECONDS))
    assert away.problems() == ["Kafka does not answer"]
    assert away.alive(), "a restart would not bring Kafka back"
    assert not Health(Work(silent_seconds=STUCK_SECONDS)).alive()
