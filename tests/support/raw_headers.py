"""Records that no ordinary client writes: a header's name of any bytes."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

NO_COMPRESSION, GZIP = 0, 1


class _Name(str):
    """A name that is encoded as `raw`."""

    raw: bytes

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.raw


def _builder(codec: int) -> _DefaultRecordBatchBuilderPy:
    return _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, 0, 1 << 20)


def _header(raw: bytes) -> tuple[str, bytes]:
    name = _Name("x")
    name.raw = raw
    return name, b"h"


def batch_with_names(values: list[tuple[bytes, bytes, bytes]], codec: int) -> bytes:
    """Return a batch of (key, value, header's name), at the offsets from 0 on."""
    builder = _builder(codec)
    for offset, (key, value, raw) in enumerate(values):
        assert builder.append(offset, timestamp=1, key=key, value=value, headers=[_header(raw)]) is not None
    return bytes(builder.build())


async def publish(
    bootstrap_servers: str, topic: str, partition: int, values: list[tuple[bytes, bytes, bytes]], codec: int
) -> None:
    """Write (key, value, header's name) as one batch of one partition."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers) as producer:
        batch = producer.create_batch()
        batch._builder = _builder(codec)
        for key, value, raw in values:
            assert batch.append(timestamp=None, key=key, value=value, headers=[_header(raw)]) is not None
        await (await producer.send_batch(batch, topic, partition=partition))
