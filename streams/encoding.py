"""JSON for values that are kept by the million."""

from __future__ import annotations

from typing import Any

import orjson


def dumps(document: Any) -> bytes:
    """Encode to bytes of exactly the size needed: orjson's own result keeps the buffer it was written in, which is many
    times as large as an aggregate."""
    return bytes(memoryview(orjson.dumps(document)))
