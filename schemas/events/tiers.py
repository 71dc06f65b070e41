"""Tier changes: what streams decides and sends on its own topic."""

from __future__ import annotations

from typing import Literal

from ..envelope import UserEvent, Value
from ..fields import Benefits, Count, Id, Positive


class CausedBy(Value):
    """The event that made the difference."""

    source: Id
    id: Id


class TierChangedData(Value):
    """Tier names are lower-case; `benefits` are those of the current tier at the rules' version."""

    previous: Id
    current: Id
    purchases: Count
    spent_cents: Count
    benefits: Benefits
    rules_version: Positive
    caused_by: CausedBy


class TierChanged(UserEvent):
    """A user is in another tier; `time` is the broker time of the causing record."""

    type: Literal["botpulse.tier.changed.v1"] = "botpulse.tier.changed.v1"
    data: TierChangedData
