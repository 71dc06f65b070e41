"""What a campaign must notice: each takes one protection out of a copy of the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.faults.report import CampaignError


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise CampaignError(
            f"{path.name} has changed: {old!r} is there {text.count(old)} times, so there is no mutation"
        )
    path.write_text(text.replace(old, new))


def fence(tree: Path) -> None:
    """The checkpoint moves whoever writes and wherever it stands."""
    _replace(
        tree / "projections" / "sql" / "queries" / "checkpoints.sql",
        " AND c.epoch = b.epoch AND c.next_offset = b.expected_offset\n",
        "\n",
    )


def dedupe(tree: Path) -> None:
    """No event counts as applied before."""
    _replace(
        tree / "projections" / "applied.py",
        "        if digest in applied or digest in fresh:\n",
        "        if False:\n",
    )


def ack(tree: Path) -> None:
    """streams acknowledges a batch as soon as it is folded, before its changelog is written."""
    lane = tree / "streams" / "lane.py"
    _replace(lane, "        self._acknowledge(message)\n", "")
    _replace(
        lane,
        '        crash_points.reached("folded")\n',
        '        self._acknowledge(message)\n        crash_points.reached("folded")\n',
    )


DECKS: Final[Mapping[str, Mapping[str, int]]] = {
    "fence": {"zombie": 3, "freeze_point": 3, "kill": 1},
    "dedupe": {"kill": 1, "crash_point": 1},
    "ack": {"crash_point": 10, "kill": 7, "broker_pause": 1},
}
"""The kinds of faults that each protection is there for."""

RATES: Final[Mapping[str, float]] = {"ack": 10_000.0}
"""Only a large batch takes long enough for a commit to overtake its changelog."""

SERVICES_OF: Final[Mapping[str, Sequence[str]]] = {"ack": ("streams",)}

MUTATIONS: Final[Mapping[str, Callable[[Path], None]]] = {"fence": fence, "dedupe": dedupe, "ack": ack}
