"""From what was charged to cents of the reporting currency: integer arithmetic, rates that are configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from .errors import BotpulseError

STARS: Final = "XTR"
"""Telegram Stars, which have no smaller unit."""
_DIGITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF", STARS), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""By ISO 4217, where they are not two."""
STRIPE_EXPONENTS: Final[Mapping[str, int]] = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Where Stripe's minor units are not those of ISO 4217."""


class NoRate(BotpulseError):  # noqa: N818
    """An amount in a currency that the rates don't have."""


def minor_digits(currency: str, exceptions: Mapping[str, int] | None = None) -> int:
    """Return how many decimal digits the minor unit of a currency is away from its major one."""
    if exceptions and currency in exceptions:
        return exceptions[currency]
    return _DIGITS.get(currency, 2)


@dataclass(frozen=True)
class Rates:
    """Dollars a major unit of each currency, as decimal text: `Rates({"EUR": "1.0834"})`.

    USD is 1. A Star is 0.013, near what Telegram has paid a bot's owner for one; set what you book by. A rate that
    changes changes later payments only: an event keeps the cents that it was published with, and carries what was
    really charged as `original`.
    """

    dollars: Mapping[str, str]

    def __init__(self, dollars: Mapping[str, str] | None = None) -> None:
        """Raises ValueError for a rate that is no positive decimal number."""
        rates = {"USD": "1", STARS: "0.013", **(dollars or {})}
        for currency, rate in rates.items():
            if not isinstance(rate, str) or not Decimal(rate).is_finite() or Decimal(rate) <= 0:
                raise ValueError(f"the rate of {currency} must be a positive decimal number, as text")
        object.__setattr__(self, "dollars", rates)

    def cents(self, amount_minor: int, currency: str, exceptions: Mapping[str, int] | None = None) -> int:
        """Return the cents of an amount in minor units, halves rounded up, at least 1 for a positive amount.

        `exceptions` are minor units of a provider's own (STRIPE_EXPONENTS). Raises NoRate.
        """
        currency = currency.upper()
        if currency not in self.dollars:
            raise NoRate(f"no rate for {currency}: give one, as Rates({{'{currency}': '…'}})")
        cents = Fraction(self.dollars[currency]) * 100 * amount_minor / 10 ** minor_digits(currency, exceptions)
        rounded = int(cents + Fraction(1, 2))
        return max(rounded, 1) if amount_minor > 0 else rounded
