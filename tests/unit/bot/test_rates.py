"""Cents of the reporting currency, in integers."""

from __future__ import annotations

import pytest

from schemas.rates import STRIPE_EXPONENTS, NoRate, Rates, minor_digits

RATES = Rates({"EUR": "1.0834", "JPY": "0.0067", "KWD": "3.25", "ISK": "0.0072", "IRR": "0.00002"})


@pytest.mark.parametrize(
    ("amount", "currency", "cents"),
    [
        (999, "USD", 999),
        (999, "usd", 999),
        (1, "XTR", 1),
        (2, "XTR", 3),  # 2.6
        (500, "XTR", 650),
        (5, "XTR", 7),  # 6.5 is rounded up
        (1000, "EUR", 1083),
        (1500, "JPY", 1005),
        (1000, "KWD", 325),  # thousandths
        (1, "IRR", 1),  # never nothing
        (0, "EUR", 0),
        (10**17 + 1, "USD", 10**17 + 1),  # no float would keep this
    ],
)
def test_cents(amount: int, currency: str, cents: int) -> None:
    assert RATES.cents(amount, currency) == cents


def test_a_providers_own_minor_units() -> None:
    assert RATES.cents(100_000, "ISK", STRIPE_EXPONENTS) == 720
    assert RATES.cents(1_000, "ISK") == 720
    assert [minor_digits(currency) for currency in ("USD", "JPY", "TND", "XTR")] == [2, 0, 3, 0]


def test_what_is_no_rate() -> None:
    with pytest.raises(NoRate, match="GBP"):
        RATES.cents(1, "GBP")
    for rate in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="EUR"):
            Rates({"EUR": rate})
    with pytest.raises(ValueError, match="as text"):
        Rates({"EUR": 1.08})  # type: ignore[dict-item]


def test_the_stars_rate_is_the_owners() -> None:
    assert Rates({"XTR": "0.02"}).cents(500, "XTR") == 1000
