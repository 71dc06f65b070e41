"""From older versions of an event to the newest: pure, one step a version.

Whether a record is valid is judged by the version it was sent in; every reader folds the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from .envelope import Envelope
from .events import BotEvent, SubscriptionCancelled, SubscriptionCancelledData, SubscriptionCancelledV1


def _cancelled_from_v1(event: SubscriptionCancelledV1) -> SubscriptionCancelled:
    """Version 2 says when the cancellation takes effect, and carries no amounts: a cancellation costs nothing."""
    sent = event.data
    runs_on = sent.expires_at is not None and sent.expires_at > event.time
    kept = {name: getattr(sent, name) for name in ("plan", "expires_at") if name in sent.model_fields_set}
    effective = "period_end" if runs_on else "now"
    data = SubscriptionCancelledData(subscription_id=sent.subscription_id, effective=effective, **kept)
    return SubscriptionCancelled(**_envelope(event), data=data)


def _envelope(event: Envelope) -> dict[str, Any]:
    """Return what of the envelope was sent, without the type."""
    return {name: getattr(event, name) for name in event.model_fields_set - {"type", "data"}}


UPCASTERS: Final[Mapping[type[Envelope], Callable[[Any], Envelope]]] = {
    SubscriptionCancelledV1: _cancelled_from_v1,
}
"""The step from each version that has a successor."""


def upcast(event: Any) -> BotEvent:
    """Return the event in its newest version."""
    step = UPCASTERS.get(event.__class__)
    while step is not None:
        event = step(event)
        step = UPCASTERS.get(event.__class__)
    newest: BotEvent = event
    return newest
