"""Proof that a checkpoint and a log belong together, before anything is written on the strength of it.

A topic that was recreated, a database restored from another installation's backup, a broker that lost its disk: the
offsets may look right and mean other records. So the checkpoint keeps a digest of the last record it has seen, and that
record is read again.
"""

from __future__ import annotations

from collections.abc import Sequence

from projections.checkpoints import Lease, record_digest
from projections.log_reader import LogReader
from schemas.errors import ConfigurationError

_ADVICE = (
    "this database and this log do not belong together (a topic was recreated, or one of them restored from a backup); "
    "check KAFKA_BOOTSTRAP_SERVERS, BOTPULSE_TOPIC_PREFIX and DATABASE_URL, or fold the log into an empty database"
)


async def check_belonging(reader: LogReader, leases: Sequence[Lease]) -> None:
    """Raise ConfigurationError, naming the first partition whose checkpoint can't be of this log.

    Changes what the reader is assigned.
    """
    bounds = await reader.bounds(lease.place for lease in leases)
    to_read = {}
    for lease in leases:
        beginning, end = bounds[lease.place]
        if lease.next_offset > end:
            raise ConfigurationError(
                f"{lease.place} is applied up to offset {lease.next_offset}, but the log ends at {end}: {_ADVICE}"
            )
        if lease.next_offset < beginning:
            raise ConfigurationError(
                f"{lease.place} is applied up to offset {lease.next_offset}, but the log begins at {beginning}: "
                f"{_ADVICE}"
            )
        if lease.last_offset is not None and lease.last_offset >= beginning:
            to_read[lease.place] = lease.last_offset
    if not to_read:
        return
    records = await reader.read_back(to_read)
    for lease in leases:
        record = records.get(lease.place)
        if record is None:
            continue
        if record.offset != lease.last_offset or record_digest(record) != lease.record_digest:
            raise ConfigurationError(
                f"the record at {lease.place} offset {lease.last_offset} is not the one that was applied: {_ADVICE}"
            )
