"""A provider's own list of charges against the tables: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Refunded(StrEnum):
    """How much of a charge was paid back."""

    NOTHING = "nothing"
    PART = "part"
    WHOLE = "whole"


class Charge(NamedTuple):
    """A charge as one side knows it; the amount is in minor units of the currency that was charged."""

    charge_id: str
    amount_minor: int
    currency: str
    at: datetime
    refunded: Refunded


@dataclass(frozen=True, slots=True)
class Finding:
    """One charge that the two sides don't agree about."""

    charge_id: str
    what: str
    """missing_in_tables, missing_at_provider, amount or refund."""
    provider: str | None
    tables: str | None


def differences(provider: Iterable[Charge], tables: Mapping[str, Charge]) -> list[Finding]:
    """Return what either side lacks, or says otherwise.

    A charge that only the tables have counts within the time that the provider's list covers: the list may be of some
    days only.
    """
    listed = {charge.charge_id: charge for charge in provider}
    findings = []
    for charge_id, charge in listed.items():
        known = tables.get(charge_id)
        if known is None:
            findings.append(Finding(charge_id, "missing_in_tables", _amount(charge), None))
            continue
        if (charge.amount_minor, charge.currency) != (known.amount_minor, known.currency):
            findings.append(Finding(charge_id, "amount", _amount(charge), _amount(known)))
        if charge.refunded is not known.refunded:
            findings.append(Finding(charge_id, "refund", charge.refunded.value, known.refunded.value))
    if listed:
        first = min(charge.at for charge in listed.values())
        last = max(charge.at for charge in listed.values())
        findings += [
            Finding(charge_id, "missing_at_provider", None, _amount(known))
            for charge_id, known in tables.items()
            if charge_id not in listed and first <= known.at <= last
        ]
    return findings


def refunded(amount: int, back: int) -> Refunded:
    """Return how much of an amount `back` is."""
    return Refunded.NOTHING if back <= 0 else Refunded.WHOLE if back >= amount else Refunded.PART


def _amount(charge: Charge) -> str:
    return f"{charge.amount_minor} {charge.currency}"
