"""Single events of the bot, for what a log from the simulator isn't needed."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.codec import encode
from schemas.events import MessageReceived, PaymentSucceeded

SOURCE = "/bots/bench"


def message(telegram_id: str, event_id: str, at: datetime | None = None) -> bytes:
    """A message of the user's, as the value of a record."""
    return encode(
        MessageReceived.model_validate(
            {
                "id": event_id,
                "source": SOURCE,
                "subject": telegram_id,
                "time": at or datetime.now(UTC),
                "data": {"kind": "text", "length": 12},
            }
        )
    )


def payment(telegram_id: str, event_id: str, amount_cents: int, at: datetime | None = None) -> bytes:
    """A payment of the user's, its charge named as the event, as the value of a record."""
    return encode(
        PaymentSucceeded.model_validate(
            {
                "id": event_id,
                "source": SOURCE,
                "subject": telegram_id,
                "time": at or datetime.now(UTC),
                "data": {
                    "charge_id": event_id,
                    "provider": "stripe",
                    "method": "card",
                    "amount_cents": amount_cents,
                },
            }
        )
    )
