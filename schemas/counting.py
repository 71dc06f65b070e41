"""Numbers of things as people read them."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return `1 letter`, `2 letters`, `1,000 letters`; `plural` where it is not the noun with an s.

    A verb may be with both: `1 file is`, `2 files are`.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
