"""A charge with everything known about it, and where that leaves the money."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from projections.folds.day_figures import DayFigure, Figure
from projections.ledger.facts import Dispute, Payment, Refund
from schemas.charges import remainder


class Standing(NamedTuple):
    """What is left of a known charge; amounts in cents."""

    remainder_cents: int
    refunded_cents: int
    dispute_lost_cents: int
    dispute_lost_at: datetime | None
    settlement_status: str


@dataclass(slots=True)
class Account:
    """One charge's facts: the charge, None until it is known, and refunds and disputes that name it, by their id."""

    charge: Payment | None = None
    refunds: dict[str, Refund] = field(default_factory=dict)
    openings: dict[str, Dispute] = field(default_factory=dict)
    closings: dict[str, Dispute] = field(default_factory=dict)
    standing: Standing | None = None
    figures: tuple[DayFigure, ...] = ()

    def counted_refunds(self) -> list[tuple[datetime, int, Refund]]:
        """Return (time, cents, refund) of the refunds that happened and did not fail."""
        return [
            (refund.order[0], refund.amount_cents, refund)
            for refund in self.refunds.values()
            if refund.order is not None and refund.amount_cents is not None and not refund.failed
        ]

    def settle(self) -> None:
        """Bring `standing` and `figures` up to date with the facts."""
        if self.charge is None:
            self.standing, self.figures = None, ()
        else:
            self.standing = _standing(self, self.charge)
            self.figures = tuple(_figures(self, self.charge, self.standing))


def _standing(account: Account, charge: Payment) -> Standing:
    refunds = account.counted_refunds()
    refunded = sum(cents for _, cents, _ in refunds)
    refunded_original = sum(
        refund.original_minor or 0 for _, _, refund in refunds if refund.original_currency == charge.original_currency
    )
    left = remainder(
        charge.amount_cents,
        refunded,
        original_minor=charge.original_minor,
        refunded_original_minor=refunded_original,
    )
    lost_at = min(
        (
            dispute.closed_order[0]
            for dispute in account.closings.values()
            if dispute.outcome == "lost" and dispute.closed_order is not None
        ),
        default=None,
    )
    if lost_at is not None:
        status = "dispute_lost"
    elif refunds and left == 0:
        status = "refunded"
    elif any(dispute.outcome is None for dispute in account.openings.values()):
        status = "disputed"
    else:
        status = "partially_refunded" if refunds else "settled"
    return Standing(
        remainder_cents=left if lost_at is None else 0,
        refunded_cents=refunded,
        dispute_lost_cents=max(charge.amount_cents - refunded, 0) if lost_at is not None else 0,
        dispute_lost_at=lost_at,
        settlement_status=status,
    )


def _figures(account: Account, charge: Payment, standing: Standing) -> list[DayFigure]:
    day = charge.order[0].date()
    figures = [
        DayFigure(day, Figure.REVENUE_CENTS, charge.amount_cents),
        DayFigure(day, Figure.SUCCESSFUL_PAYMENTS, 1),
    ]
    figures += [DayFigure(time.date(), Figure.REFUNDED_CENTS, cents) for time, cents, _ in account.counted_refunds()]
    if standing.dispute_lost_at is not None:
        lost = standing.dispute_lost_cents
        figures.append(DayFigure(standing.dispute_lost_at.date(), Figure.DISPUTE_LOST_CENTS, lost))
    return figures
