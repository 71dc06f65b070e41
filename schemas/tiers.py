"""Tiers: a pure function of purchases, spend and the rules, which are versioned data (tier_rules.json).

Nobody else writes a threshold: streams, the SQL function and the tests all read the rules from here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from .data_files import read_json


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier is reached by either number; `benefits` are named whole numbers."""

    name: str
    min_purchases: int
    min_spent_cents: int
    benefits: dict[str, int]


@dataclass(frozen=True, slots=True)
class TierRules:
    """One version of the rules: tiers from the highest to the lowest, the lowest reached by everyone."""

    version: int
    tiers: tuple[Tier, ...]

    def benefits_of(self, name: str) -> dict[str, int]:
        """Return the benefits of the tier `name`. Raises KeyError for a name that these rules don't have."""
        for tier in self.tiers:
            if tier.name == name:
                return tier.benefits
        raise KeyError(name)


RULES_BY_VERSION: Final[dict[int, TierRules]] = {
    entry["version"]: TierRules(entry["version"], tuple(Tier(**tier) for tier in entry["tiers"]))
    for entry in read_json("tier_rules.json")
}
CURRENT_RULES: Final = RULES_BY_VERSION[max(RULES_BY_VERSION)]
LOWEST_TIER: Final = CURRENT_RULES.tiers[-1].name


def tier_of(purchases: int, spent_cents: int, rules: TierRules = CURRENT_RULES) -> str:
    """Return the name of the highest tier that either number reaches."""
    for tier in rules.tiers:
        if purchases >= tier.min_purchases or spent_cents >= tier.min_spent_cents:
            return tier.name
    return rules.tiers[-1].name


def tier_change_id(telegram_id: int, source: str, id: str, rules_version: int) -> str:  # noqa: A002
    """Return the id of a user's tier change that the event (source, id) caused, under a version of the rules.

    The same decision made twice is the same event. Lengths precede the texts: no two causes look alike.
    """
    cause = f"{telegram_id}|{rules_version}|{len(source)}:{source}{len(id)}:{id}"
    return hashlib.sha256(cause.encode()).hexdigest()
