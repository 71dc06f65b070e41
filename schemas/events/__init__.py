"""Every event of the contract, one class a type.

`Event` is the union of what the bot sends, told apart by `type`; `TierChanged` is what streams sends.
"""

from __future__ import annotations

from typing import Annotated, Final, get_args

from pydantic import Field

from .admin import AdminActionTaken, AdminActionTakenData
from .auto_recharge import (
    AutoRechargeConfigured,
    AutoRechargeConfiguredData,
    AutoRechargeTriggered,
    AutoRechargeTriggeredData,
)
from .content import (
    ContentChanged,
    ContentItemData,
    ContentOffered,
    ContentPublished,
    ContentSeenData,
    ContentUnlocked,
    ContentUnlockedData,
    ContentViewed,
)
from .credits import CreditsGranted, CreditsGrantedData, CreditsSpent, CreditsSpentData
from .messages import MessageData, MessageReceived, MessageSent
from .payments import (
    Original,
    PaymentDisputeClosed,
    PaymentDisputeClosedData,
    PaymentDisputeOpened,
    PaymentDisputeOpenedData,
    PaymentFailed,
    PaymentFailedData,
    PaymentRefunded,
    PaymentRefundedData,
    PaymentRefundFailed,
    PaymentRefundFailedData,
    PaymentSucceeded,
    PaymentSucceededData,
)
from .subscriptions import (
    SubscriptionCancelled,
    SubscriptionCancelledData,
    SubscriptionCancelledV1,
    SubscriptionData,
    SubscriptionPaymentFailed,
    SubscriptionRenewed,
    SubscriptionStarted,
)
from .tiers import CausedBy, TierChanged, TierChangedData
from .users import (
    NoData,
    UserBotBlocked,
    UserBotUnblocked,
    UserProfileChanged,
    UserProfileChangedData,
    UserRegistered,
    UserRegisteredData,
)

BotEvent = (
    UserRegistered
    | UserProfileChanged
    | UserBotBlocked
    | UserBotUnblocked
    | MessageReceived
    | MessageSent
    | CreditsGranted
    | CreditsSpent
    | PaymentSucceeded
    | PaymentFailed
    | PaymentRefunded
    | PaymentRefundFailed
    | PaymentDisputeOpened
    | PaymentDisputeClosed
    | AutoRechargeConfigured
    | AutoRechargeTriggered
    | ContentPublished
    | ContentChanged
    | ContentOffered
    | ContentViewed
    | ContentUnlocked
    | SubscriptionStarted
    | SubscriptionRenewed
    | SubscriptionCancelled
    | SubscriptionPaymentFailed
    | AdminActionTaken
)
"""An event as every reader folds it: in its newest version."""

OlderEvent = SubscriptionCancelledV1
"""Older versions, which stay valid on the log; `upcasters` makes the newest of them."""

Event = Annotated[BotEvent | OlderEvent, Field(discriminator="type")]
"""Any event that the bot sends, in any version."""

EVENT_TYPES: Final[dict[str, type[BotEvent | OlderEvent]]] = {
    event_class.model_fields["type"].default: event_class for event_class in get_args(BotEvent | OlderEvent)
}
"""The class of each type that the bot sends."""

__all__ = [
    "EVENT_TYPES",
    "AdminActionTaken",
    "AdminActionTakenData",
    "AutoRechargeConfigured",
    "AutoRechargeConfiguredData",
    "AutoRechargeTriggered",
    "AutoRechargeTriggeredData",
    "BotEvent",
    "CausedBy",
    "ContentChanged",
    "ContentItemData",
    "ContentOffered",
    "ContentPublished",
    "ContentSeenData",
    "ContentUnlocked",
    "ContentUnlockedData",
    "ContentViewed",
    "CreditsGranted",
    "CreditsGrantedData",
    "CreditsSpent",
    "CreditsSpentData",
    "Event",
    "MessageData",
    "MessageReceived",
    "MessageSent",
    "NoData",
    "OlderEvent",
    "Original",
    "PaymentDisputeClosed",
    "PaymentDisputeClosedData",
    "PaymentDisputeOpened",
    "PaymentDisputeOpenedData",
    "PaymentFailed",
    "PaymentFailedData",
    "PaymentRefundFailed",
    "PaymentRefundFailedData",
    "PaymentRefunded",
    "PaymentRefundedData",
    "PaymentSucceeded",
    "PaymentSucceededData",
    "SubscriptionCancelled",
    "SubscriptionCancelledData",
    "SubscriptionCancelledV1",
    "SubscriptionData",
    "SubscriptionPaymentFailed",
    "SubscriptionRenewed",
    "SubscriptionStarted",
    "TierChanged",
    "TierChangedData",
    "UserBotBlocked",
    "UserBotUnblocked",
    "UserProfileChanged",
    "UserProfileChangedData",
    "UserRegistered",
    "UserRegisteredData",
]
