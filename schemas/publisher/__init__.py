"""From the bot onto the log, without a loss: a publisher over aiokafka with a durable spool on the bot's own disk."""

from __future__ import annotations

from ..errors import NotAcknowledged, NotPublished, QueueFull, SpoolFull
from .publisher import Publisher
from .settings import Settings
from .status import Accepted, Status

__all__ = [
    "Accepted",
    "NotAcknowledged",
    "NotPublished",
    "Publisher",
    "QueueFull",
    "Settings",
    "SpoolFull",
    "Status",
]
