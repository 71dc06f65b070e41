"""What a complete comparison came to, kept for the exporter and for whoever asks later."""

from __future__ import annotations

from typing import Final

from projections.access import ADMIN
from projections.database import connect
from projections.sql import query

_LOCK_TIMEOUT_MS: Final = 5_000


async def record(database_url: str, *, seconds: float, records: int, differences: int) -> None:
    """Write one row into `verifications`. Raises ConfigurationError where the database can't be reached."""
    connection = await connect(
        database_url, "DATABASE_URL", application_name="botpulse-verify", lock_timeout_ms=_LOCK_TIMEOUT_MS, role=ADMIN
    )
    try:
        await connection.execute(query("verifications", "record"), seconds, records, differences)
    finally:
        await connection.close()
