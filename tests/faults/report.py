"""What a campaign found."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.workers import Exit


class CampaignError(Exception):
    """The campaign itself could not go on; says nothing about the services."""


@dataclass
class Report:
    """Everything that is told at the end. `errors` is empty when all held."""

    seed: int
    arguments: dict[str, Any]
    faults: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    exits: list[Exit] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def injected(self) -> int:
        """How many faults."""
        return self.faults.total()

    def error(self, text: str) -> None:
        """Something that must hold does not."""
        self.errors.append(text)

    def as_json(self) -> dict[str, Any]:
        """All of it, the exits counted by what they were."""
        content = asdict(self)
        content["exits"] = dict(
            Counter(f"{e.worker.partition('-')[0]} {e.asked or 'by itself'} {e.status}" for e in self.exits)
        )
        content["last_words"] = dict(
            Counter(e.last_line for e in self.exits if not e.asked and e.status > 0).most_common(40)
        )
        return {**content, "faults": dict(self.faults), "notes": dict(self.notes), "injected": self.injected}
