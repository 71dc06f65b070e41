"""Where a key lies: the default partitioner of the Java client and of aiokafka."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_WORD: Final = struct.Struct("<I")
_LANE: Final = 8
"""Bytes of a lane: the product of a 32-bit number and the multiplier just fits."""

_WORTH_IT: Final = 16
"""From so many keys of one length on, hashing them at once is faster."""


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash with Kafka's seed, unsigned."""
    length = len(data)
    hashed = _SEED ^ length
    whole = length & ~3
    for (word,) in _WORD.iter_unpack(data[:whole]):
        word = word * _MULTIPLIER & _MASK
        hashed = (hashed * _MULTIPLIER ^ (word ^ word >> 24) * _MULTIPLIER) & _MASK
    if length & 3:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    hashed = (hashed ^ hashed >> 13) * _MULTIPLIER & _MASK
    return hashed ^ hashed >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of `key` in a topic of `partitions` partitions."""
    return (murmur2(key) & _POSITIVE) % partitions


def murmur2_of_all(keys: Sequence[bytes]) -> list[int]:
    """As `murmur2` of each, several times as fast for hundreds of keys: those of one length are hashed at once."""
    by_length: dict[int, list[int]] = {}
    for number, key in enumerate(keys):
        by_length.setdefault(len(key), []).append(number)
    hashes = [0] * len(keys)
    for length, numbers in by_length.items():
        alike = [keys[number] for number in numbers]
        found = _of_one_length(alike, length) if len(alike) >= _WORTH_IT else map(murmur2, alike)
        for number, hashed in zip(numbers, found, strict=True):
            hashes[number] = hashed
    return hashes


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """As `partition_of` of each."""
    return [(hashed & _POSITIVE) % partitions for hashed in murmur2_of_all(keys)]


def _of_one_length(keys: list[bytes], length: int) -> Sequence[int]:
    """The steps of `murmur2`, each on all keys together: in one long integer every key has a lane of 64 bits, of which
    the lower half holds its number between two steps."""
    lanes, joined = len(keys), b"".join(keys)
    # 1 in every lane: times a number of 32 bits, that number in every lane.
    one = int.from_bytes((b"\1" + bytes(_LANE - 1)) * lanes, "little")
    mask = one * _MASK

    def word(begin: int, end: int) -> int:
        """The bytes from `begin` to before `end` of every key, as one number each."""
        spread = bytearray(_LANE * lanes)
        for place, at in enumerate(range(begin, end)):
            spread[place::_LANE] = joined[at::length]
        return int.from_bytes(spread, "little")

    def shifted(number: int, bits: int) -> int:
        return number >> bits & one * (_MASK >> bits)

    hashed = one * (_SEED ^ length)
    whole = length & ~3
    for begin in range(0, whole, 4):
        mixed = word(begin, begin + 4) * _MULTIPLIER & mask
        mixed = (mixed ^ shifted(mixed, 24)) * _MULTIPLIER
        hashed = (hashed * _MULTIPLIER ^ mixed) & mask
    if length & 3:
        hashed = (hashed ^ word(whole, length)) * _MULTIPLIER & mask
    hashed = (hashed ^ shifted(hashed, 13)) * _MULTIPLIER & mask
    hashed ^= shifted(hashed, 15)
    return struct.unpack(f"<{lanes}Q", hashed.to_bytes(_LANE * lanes, "little"))
