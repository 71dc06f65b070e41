"""From a Telegram bot's updates to events: a pure reading of the Bot API's JSON, and the tracker around it.

The adapters for aiogram and python-telegram-bot are thin layers over this; a bot without either gives `Tracker.take`
the update as it came.
"""

from __future__ import annotations

from .allowed import NEEDED_UPDATES, missing_updates, with_needed
from .options import Options, PaymentDetails, ref_payload
from .tracker import Counts, Tracker

__all__ = [
    "NEEDED_UPDATES",
    "Counts",
    "Options",
    "PaymentDetails",
    "Tracker",
    "missing_updates",
    "ref_payload",
    "with_needed",
]
