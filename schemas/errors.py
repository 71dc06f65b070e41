"""The errors of Botpulse: every one says what happened, where, and what to do.

BotpulseError
├── ConfigurationError   a setting, a missing topic, an unreachable service: exit status 2
├── InvalidEvent         an input that the contract refuses: becomes a dead letter
├── NotPublished         the publisher did not accept an event: the caller still has it
│   ├── NotAcknowledged  Kafka did not acknowledge it in time, and it was not to be spooled
│   ├── QueueFull        too many events wait in memory
│   └── SpoolFull        the spool has no room, or its disk has none
└── ServiceStopped       a running service can't go on safely: exit status 1, a supervisor restarts it
    └── FencedOut        another worker took over this worker's partitions
"""

from __future__ import annotations

from .reasons import Reason


class BotpulseError(Exception):
    """Base of all errors that are meant to be read by a person: one line, no traceback."""

    exit_status = 1


class ConfigurationError(BotpulseError):
    """Something outside the code must be changed before this can run.

    The message names the setting and says what to do.
    """

    exit_status = 2


class InvalidEvent(BotpulseError):  # noqa: N818
    """A record that the contract refuses.

    `reason` is a value of the closed list of `reasons`, `detail` says which member and which limit;
    it never quotes personal data.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class NotPublished(BotpulseError):  # noqa: N818
    """The publisher did not accept the event. Publishing the same one again is safe: it counts once."""


class NotAcknowledged(NotPublished):
    """Kafka did not acknowledge the event in time; it may be on the log all the same."""


class QueueFull(NotPublished):
    """As many events wait in memory as the publisher was allowed to hold."""


class SpoolFull(NotPublished):
    """Kafka is away, and the spool can't take the event."""


class ServiceStopped(BotpulseError):  # noqa: N818
    """A service met something it can't safely go on from; nothing unfinished was acknowledged."""


class FencedOut(ServiceStopped):
    """Another worker owns these partitions now; this one must write nothing more."""
