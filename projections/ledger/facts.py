"""The facts that the ledger keeps, one row each. Money is in cents, `original_minor` in minor units of its currency."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

Order = tuple[datetime, str, str]
"""(time, source, id) of the event that supplied a fact's fields."""

Key = tuple[int, str, str]
"""A business identity: telegram_id, provider, and the provider's id of the charge, attempt, refund or dispute."""

TriggerKey = tuple[int, str]
"""telegram_id and trigger_id."""


@dataclass(slots=True)
class Payment:
    """What a charge and a failed attempt have in common."""

    order: Order
    method: str
    amount_cents: int
    original_minor: int | None
    original_currency: str | None
    purpose: str | None
    is_auto_recharge: bool


@dataclass(slots=True)
class Attempt(Payment):
    """An attempt to pay that failed."""

    failure_code: str


@dataclass(slots=True)
class Refund:
    """A refund, of which so far only its failure may be known: then `order` and the fields from the event are None."""

    order: Order | None = None
    charge_id: str | None = None
    amount_cents: int | None = None
    original_minor: int | None = None
    original_currency: str | None = None
    reason: str | None = None
    failed: bool = False


@dataclass(slots=True)
class Dispute:
    """A dispute's opening and its counting closing; either may be known without the other."""

    order: Order | None = None
    charge_id: str | None = None
    amount_cents: int | None = None
    reason: str | None = None
    closed_order: Order | None = None
    closed_charge_id: str | None = None
    outcome: str | None = None


@dataclass(slots=True)
class Trigger:
    """A top-up that the auto-recharge started."""

    order: Order
    amount_cents: int
    credits: int | None


@dataclass(slots=True)
class KnownFacts:
    """What the database has of the identities that a batch touches, and of every charge that they belong to."""

    charges: dict[Key, Payment] = field(default_factory=dict)
    attempts: dict[Key, Attempt] = field(default_factory=dict)
    refunds: dict[Key, Refund] = field(default_factory=dict)
    disputes: dict[Key, Dispute] = field(default_factory=dict)
    triggers: dict[TriggerKey, Trigger] = field(default_factory=dict)
