"""Dead letters of the stage projections: events whose rows the database refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiokafka.errors import KafkaError

from projections.sender import Outgoing, Sender
from schemas.dead_letters import letter
from schemas.errors import ServiceStopped
from schemas.reasons import Reason
from schemas.records import LogRecord

ACKNOWLEDGED_SECONDS: Final = 15.0
"""The batch's transaction waits for this long at most."""
MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024


class Letters:
    """Sends letters; connects when the first one is needed, which is hardly ever."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._sender = Sender(
            bootstrap_servers, topic, seconds=ACKNOWLEDGED_SECONDS, max_request_size=MAX_REQUEST_BYTES
        )

    async def send(self, refused: Sequence[tuple[LogRecord, str]]) -> None:
        """Write a letter for each record with its detail; return when all are acknowledged.

        Raises ServiceStopped if Kafka doesn't acknowledge them in time: the caller commits nothing.
        """
        if not refused:
            return
        try:
            await self._sender.send(
                Outgoing(*letter(record, Reason.DATABASE, detail, "projections")) for record, detail in refused
            )
        except (KafkaError, OSError) as error:
            raise ServiceStopped(
                f"{self._sender.topic} did not take the dead letter of a refused event "
                f"({type(error).__name__}: {error}); the event stays unapplied on the log"
            ) from error

    async def close(self) -> None:
        """Close the connection, if there is one."""
        await self._sender.close()
