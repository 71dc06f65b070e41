"""Stripe's webhook as events: a plain function, and an ASGI application to mount.

Needs the extra `stripe`.
"""

from __future__ import annotations

from .asgi import stripe_app
from .options import NEEDED_EVENTS, Options, Reference
from .webhook import Answer, Counts, StripeWebhook

__all__ = ["NEEDED_EVENTS", "Answer", "Counts", "Options", "Reference", "StripeWebhook", "stripe_app"]
