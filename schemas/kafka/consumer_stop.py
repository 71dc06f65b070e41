"""Stopping an aiokafka consumer, whatever it waits for."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_AGAIN_SECONDS: Final = 0.2


async def stop_consumer(consumer: Any) -> None:
    """Close a consumer's connections; one in a group leaves it. Ends in a cancellation only if the caller is cancelled.

    aiokafka's own stop cancels the fetches under way and awaits them. One that waits to ask a broker again that went
    away passes that cancellation on, as if it were the caller's: whoever stops would end without an error, and without
    a word. And a consumer that has just been given other partitions swallows it: it waits for a fetch that it has
    cancelled itself, so that one is cancelled again.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    while stopping not in (await asyncio.wait([stopping], timeout=_AGAIN_SECONDS))[0]:
        if consumer._fetcher is not None:
            consumer._fetcher._fetch_task.cancel()
    if not stopping.cancelled():
        stopping.result()
