"""Content items, and what users do with them."""

from __future__ import annotations

from typing import Literal

from .. import limit_checks
from ..envelope import ContentData, ContentEvent, UserEvent
from ..fields import Count, Id, Title

ContentType = Literal["photo", "video", "audio", "text", "bundle", "other"]


class ContentItemData(ContentData):
    """A content item as it is from now on."""

    content_type: ContentType
    title: Title | None = None
    price_cents: Count
    price_credits: Count | None = None


class ContentPublished(ContentEvent):
    """A content item can be had."""

    limit_check = limit_checks.content_item
    type: Literal["botpulse.content.published.v1"] = "botpulse.content.published.v1"
    data: ContentItemData


class ContentChanged(ContentEvent):
    """A content item has new values."""

    limit_check = limit_checks.content_item
    type: Literal["botpulse.content.changed.v1"] = "botpulse.content.changed.v1"
    data: ContentItemData


class ContentSeenData(ContentData):
    """Names the item alone."""


class ContentOffered(UserEvent):
    """The bot offered an item to the user."""

    type: Literal["botpulse.content.offered.v1"] = "botpulse.content.offered.v1"
    data: ContentSeenData


class ContentViewed(UserEvent):
    """The user looked at an item."""

    type: Literal["botpulse.content.viewed.v1"] = "botpulse.content.viewed.v1"
    data: ContentSeenData


class ContentUnlockedData(ContentData):
    """`price_cents` is the item's value in money, however it was paid; `charge_id` is a reference only."""

    price_cents: Count
    paid_with: Literal["credits", "payment", "free"]
    credits: Count | None = None
    charge_id: Id | None = None


class ContentUnlocked(UserEvent):
    """The user got access to an item."""

    limit_check = limit_checks.unlock
    type: Literal["botpulse.content.unlocked.v1"] = "botpulse.content.unlocked.v1"
    data: ContentUnlockedData
