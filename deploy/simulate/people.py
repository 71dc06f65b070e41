"""Who uses the simulated bot, and what it sells."""

from __future__ import annotations

import random

_FIRST_NAMES = (
    "Amira", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Luca",
    "Mei", "Nadia", "Omar", "Petra", "Quentin", "Rosa", "Sven", "Tariq", "Uma", "Vera", "Wanda", "Yusuf", "Zoe",
)  # fmt: skip
_LAST_NAMES = (
    "Adler", "Brandt", "Costa", "Duarte", "Eriksen", "Fischer", "Gallo", "Haddad", "Ivanova", "Jansen", "Kaya",
    "Lindqvist", "Moreau", "Novák", "Okafor", "Peeters", "Rossi", "Silva", "Tanaka", "Ünal", "Weber", "李",
)  # fmt: skip
LANGUAGES = ("en", "en", "en", "de", "es", "pt-BR", "ru", "fr", "tr", "zh-Hans")
_TITLES = ("Sunset", "Backstage", "Morning run", "Studio", "Q&A", "Harbour", "Rehearsal", "Diary", "Set", "Clip")

# (provider, method, weight in percent, source of its events)
PAYMENT_WAYS = (
    ("telegram_stars", "stars", 38, "/bots/demo"),
    ("stripe", "card", 27, "/webhooks/stripe"),
    ("telegram_payments", "card", 14, "/bots/demo"),
    ("stripe", "wallet", 9, "/webhooks/stripe"),
    ("telegram_payments", "wallet", 5, "/bots/demo"),
    ("stripe", "bank", 3, "/webhooks/stripe"),
    ("other", "crypto", 4, "/webhooks/crypto"),
)

# Credit packs: (cents, credits)
PACKS = ((199, 20), (499, 55), (499, 55), (999, 120), (999, 120), (1999, 260), (4999, 700))


class User:
    """One telegram user, as the bot remembers them."""

    __slots__ = (
        "blocked",
        "credits",
        "generosity",
        "last_charge",
        "number",
        "recharge",
        "registered",
        "subject",
        "subscription",
        "way",
    )

    def __init__(self, number: int, subject: str, rng: random.Random) -> None:
        self.number = number
        self.subject = subject
        self.credits = 0
        self.blocked = False
        self.registered = False
        # Most people never pay; some pay gladly.
        self.generosity = rng.choice((0.0, 0.0, 0.0, 0.3, 0.6, 0.9))
        self.recharge: tuple[int, int, int] | None = None
        self.subscription: tuple[str, int] | None = None
        self.last_charge: str | None = None
        self.way = pick_way(rng)


class Content:
    """One item that is for sale."""

    __slots__ = ("content_id", "price_cents", "price_credits")

    def __init__(self, content_id: str, price_cents: int) -> None:
        self.content_id = content_id
        self.price_cents = price_cents
        self.price_credits = price_cents // 10


def telegram_id(offset: int, number: int) -> str:
    """A ten-digit id, different for every `number`; ids of two offsets hardly ever meet.

    Beyond every small number that a test or a person would pick by hand.
    """
    return str(5_000_000_000 + (offset + number * 2_654_435_761) % 4_000_000_000)


def pick_way(rng: random.Random) -> tuple[str, str, int, str]:
    """How a user pays, most often for life."""
    ticket = rng.randrange(100)
    for way in PAYMENT_WAYS:
        ticket -= way[2]
        if ticket < 0:
            return way
    return PAYMENT_WAYS[0]


def profile(rng: random.Random, number: int) -> dict[str, object]:
    """The profile fields of a registration; people leave some of them out."""
    first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
    fields: dict[str, object] = {"first_name": first, "language": rng.choice(LANGUAGES)}
    if rng.random() < 0.95:
        fields["username"] = f"{first.lower()}_{number}"
    if rng.random() < 0.6:
        fields["last_name"] = last
    if rng.random() < 0.15:
        fields["is_premium"] = True
    if rng.random() < 0.3:
        fields["referral_code"] = f"REF{number:05}"
    return fields


def title(rng: random.Random, number: int) -> str:
    """The title of a content item."""
    return f"{rng.choice(_TITLES)} #{number}"
