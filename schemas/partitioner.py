"""Where a key lies: the default partitioner of the Java client and of aiokafka."""

from __future__ import annotations

_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash with Kafka's seed, unsigned."""
    length = len(data)
    hashed = 0x9747B28C ^ length
    left = int.from_bytes(data, "little")
    for _ in range(length >> 2):
        word = (left & _MASK) * _MULTIPLIER & _MASK
        hashed = (hashed * _MULTIPLIER ^ (word ^ word >> 24) * _MULTIPLIER) & _MASK
        left >>= 32
    if length & 3:
        hashed = (hashed ^ left) * _MULTIPLIER & _MASK
    hashed = (hashed ^ hashed >> 13) * _MULTIPLIER & _MASK
    return hashed ^ hashed >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of `key` in a topic of `partitions` partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
