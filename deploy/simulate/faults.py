"""What can go wrong between a bot and the log, and how often: each rate is a probability 0 … 1."""

from __future__ import annotations

from dataclasses import dataclass, fields

from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class Faults:
    """Rates of faults; all zero is a log without any."""

    duplicates: float = 0.0
    """Of all events: the same bytes once more, soon after (payments: up to days after)."""
    far_duplicates: float = 0.0
    """Of all events: the same bytes up to days after. The tables count these once for ever; the aggregates of
    streams promise it for messages and credits only among a user's last 64 events."""
    copies: float = 0.0
    """Of payment facts: the same fact under another id and source, of the same amount, at times dated earlier."""
    conflicts: float = 0.0
    """Of payment facts with an amount: the same identity with another amount, later in the log."""
    late: float = 0.0
    """Of all events: appended up to three days after their time."""
    reorder: float = 0.0
    """Of all events: appended up to two minutes after their time."""
    refund_first: float = 0.0
    """Of refunded charges: the refund is in the log before its charge."""
    closing_first: float = 0.0
    """Of closed disputes: the closing is in the log before the opening."""
    spend_first: float = 0.0
    """Of grants: what they pay for is in the log before them."""
    orphans: float = 0.0
    """Of charges: a refund or a lost dispute that names a charge which its user never made."""
    poison: float = 0.0
    """Of all records: what the contract refuses, in some twenty ways."""


NONE = Faults()
DEMO = Faults(
    duplicates=0.01,
    copies=0.05,
    conflicts=0.02,
    late=0.02,
    reorder=0.02,
    refund_first=0.3,
    closing_first=0.3,
    spend_first=0.1,
    orphans=0.01,
    poison=0.001,
)
_NAMES = tuple(field.name for field in fields(Faults))


def parse_faults(text: str) -> Faults:
    """`none`, `demo`, or rates as `duplicates=0.01,late=0.02`; what is not named does not happen.

    Raises ConfigurationError for an unknown name or a rate outside 0 … 1.
    """
    if text in ("", "none"):
        return NONE
    if text == "demo":
        return DEMO
    rates: dict[str, float] = {}
    for part in text.split(","):
        name, equals, rate_text = (piece.strip() for piece in part.partition("="))
        if not equals or name not in _NAMES:
            raise ConfigurationError(
                f"--faults: {part.strip()!r} is none of its settings; "
                f"write none, demo, or name=rate of: {', '.join(_NAMES)}"
            )
        try:
            rate = float(rate_text)
        except ValueError:
            rate = -1.0
        if not 0 <= rate <= 1:
            raise ConfigurationError(f"--faults: {name} is a share of 0 to 1, such as {name}=0.01, not {rate_text!r}")
        rates[name] = rate
    return Faults(**rates)
