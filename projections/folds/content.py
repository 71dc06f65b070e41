"""content_items and content_buyers: what is said of content items, and what users do with them.

The events about an item lie on its own partition, those of its users on theirs: all that users do is added, so that
writers of several partitions may write one item.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from projections.folds.journal import Journal
from projections.folds.work import Work, columns
from projections.sql import query
from schemas.events import ContentChanged, ContentOffered, ContentPublished, ContentUnlocked, ContentViewed

Buyer = tuple[str, int]
"""content_id and telegram_id."""


@dataclass(slots=True)
class Item:
    """What a batch says of an item and adds to it. The times of what nothing was said about are None."""

    first_fact_at: datetime
    offers: int = 0
    views: int = 0
    unlocks: int = 0
    revenue_cents: int = 0
    content_type: str | None = None
    price_cents: int | None = None
    described_at: datetime | None = None
    title: str | None = None
    title_at: datetime | None = None
    price_credits: int | None = None
    price_credits_at: datetime | None = None


def fold(journal: Journal) -> tuple[dict[str, Item], set[Buyer]]:
    """Return what the batch makes of items, and who unlocked them. Pure.

    Of each field the latest word counts, on equal times the later in the log.
    """
    items: dict[str, Item] = {}
    buyers: set[Buyer] = set()
    for entry in journal.of(ContentPublished, ContentChanged):
        _describe(_item(items, entry.event), entry.event)
    for entry in journal.of(ContentOffered):
        _item(items, entry.event).offers += 1
    for entry in journal.of(ContentViewed):
        _item(items, entry.event).views += 1
    for entry in journal.of(ContentUnlocked):
        data = entry.event.data
        item = _item(items, entry.event)
        item.unlocks += 1
        item.revenue_cents += data.price_cents
        buyers.add((data.content_id, entry.telegram_id))
    return items, buyers


def _item(items: dict[str, Item], event: ContentPublished | ContentOffered | ContentUnlocked) -> Item:
    item = items.get(event.data.content_id)
    if item is None:
        item = items[event.data.content_id] = Item(event.time)
    elif event.time < item.first_fact_at:
        item.first_fact_at = event.time
    return item


def _describe(item: Item, event: ContentPublished | ContentChanged) -> None:
    data, time = event.data, event.time
    if item.described_at is None or time >= item.described_at:
        item.content_type, item.price_cents, item.described_at = data.content_type, data.price_cents, time
    said = data.model_fields_set
    if "title" in said and (item.title_at is None or time >= item.title_at):
        item.title, item.title_at = data.title, time
    if "price_credits" in said and (item.price_credits_at is None or time >= item.price_credits_at):
        item.price_credits, item.price_credits_at = data.price_credits, time


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Write the items of the batch, and whoever unlocked one for the first time."""
    items, buyers = fold(work.journal)
    if not items:
        return
    rows = [
        (
            content_id, i.first_fact_at, i.offers, i.views, i.unlocks, i.revenue_cents, i.content_type, i.price_cents,
            i.described_at, i.title, i.title_at, i.price_credits, i.price_credits_at,
        )
        for content_id, i in sorted(items.items())
    ]  # fmt: skip
    await connection.execute(
        query("content", "add_items"), *columns(rows), *(columns(sorted(buyers)) if buyers else ([], []))
    )
