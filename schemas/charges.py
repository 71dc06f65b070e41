"""What is left of a charge."""

from __future__ import annotations


def remainder(
    amount_cents: int,
    refunded_cents: int,
    *,
    original_minor: int | None = None,
    refunded_original_minor: int = 0,
    dispute_lost: bool = False,
) -> int:
    """Return the charge's remainder in cents: its amount less its refunds, never below 0.

    `refunded_original_minor` is the sum of `original` over those refunds that carry it in the charge's own
    currency: where it reaches the whole `original_minor`, rounded rates leave nothing behind. A dispute
    closed as lost takes all.
    """
    if dispute_lost:
        return 0
    if original_minor is not None and 0 < original_minor <= refunded_original_minor:
        return 0
    return max(amount_cents - refunded_cents, 0)
