"""What happens when somebody opens the bot: a conversation, content, now and then money."""

from __future__ import annotations

from deploy.simulate.clock import HOUR, MINUTE, SECOND
from deploy.simulate.money import Till
from deploy.simulate.people import LANGUAGES, Content, User, profile, title
from deploy.simulate.story import Story

_KINDS = ("text",) * 12 + ("voice", "voice", "photo", "photo", "sticker", "callback", "video", "document", "other")
_COMMANDS = ("start", "help", "balance", "buy", "gallery")
_CONTENT_TYPES = ("photo", "photo", "video", "video", "audio", "text", "bundle", "other")
_PRICES = (0, 99, 199, 199, 299, 499, 999, 1499)
_ADMIN_ACTIONS = ("grant_credits", "warn", "ban", "unban", "export", "change_price")


class Visits:
    """Tells one visit after the other."""

    def __init__(self, story: Story, admins: list[str]) -> None:
        self._story = story
        self._rng = story.rng
        self._till = Till(story)
        self._admins = admins
        self._contents: list[Content] = []

    def visit(self, user: User, at: int, longest: int) -> None:
        """`user` opens the bot at `at`; of at most about `longest` events before money comes in."""
        story, rng = self._story, self._rng
        until = story.told + longest
        if user.blocked:
            story.tell(at, "user.bot_unblocked", user.subject, {})
            user.blocked = False
            at += SECOND
        turns = 1 + min(40, int(rng.expovariate(0.3)))
        while turns and story.told < until:
            turns -= 1
            at = self._turn(user, at)
        if story.told >= until:
            return
        mood = rng.random()
        if self._contents and mood < 0.3:
            at = self._look(user, at)
        if user.recharge is not None and user.credits < user.recharge[2]:
            at = self._till.recharge(user, at)
        elif rng.random() < user.generosity * (0.7 if user.credits < 30 else 0.3):
            at = self._till.buy_credits(user, at)
        elif user.generosity and rng.random() < (0.03 if user.subscription is None else 0.2):
            at = self._till.subscription(user, at)
        if mood > 0.93:
            self._settings(user, at + 5 * SECOND)

    def first_visit(self, user: User, at: int, longest: int, referrer: str | None) -> None:
        """The bot meets somebody new; sometimes it learns only later, or never, that they have registered."""
        rng, story = self._rng, self._story
        chance = rng.random()
        data = profile(rng, user.number)
        if referrer is not None:
            data["referred_by"] = int(referrer)
        if chance < 0.96:
            story.tell(at, "user.registered", user.subject, data)
        elif chance < 0.99:
            registered_at = story.follow_up(at, MINUTE, 3 * HOUR)
            story.tell(registered_at, "user.registered", user.subject, data)
        user.registered = chance < 0.99
        if longest > 1:
            story.tell(at + 2 * SECOND, "credits.granted", user.subject, {"credits": 10, "reason": "bonus"})
            user.credits += 10
            self.visit(user, at + 4 * SECOND, longest - 2)

    def _turn(self, user: User, at: int) -> int:
        """One message, what it costs, the answer."""
        rng, story = self._rng, self._story
        data: dict[str, object]
        if rng.random() < 0.08:
            data = {"kind": "command", "length": 6, "command": rng.choice(_COMMANDS)}
        else:
            data = {"kind": rng.choice(_KINDS), "length": int(rng.expovariate(0.02))}
        story.tell(at, "message.received", user.subject, data)
        paid = user.credits > 0 and rng.random() < 0.4
        if paid:
            price = 1 if rng.random() < 0.8 else 2
            story.tell(at + SECOND, "credits.spent", user.subject, {"credits": price, "reason": "message"})
            user.credits -= price
        if paid or rng.random() < 0.8:
            answer = {"kind": "text", "length": 20 + int(rng.expovariate(0.01))}
            story.tell(at + 3 * SECOND, "message.sent", user.subject, answer)
        if rng.random() < 0.02:
            # Around the half hour that parts one session from the next.
            return at + rng.randint(25, 40) * MINUTE
        return at + rng.randint(4, 150) * SECOND

    def _look(self, user: User, at: int) -> int:
        """Content is offered, perhaps looked at, perhaps unlocked: with credits, for money, or free."""
        rng, story = self._rng, self._story
        item = rng.choice(self._contents)
        name = {"content_id": item.content_id}
        if rng.random() < 0.9:
            story.tell(at, "content.offered", user.subject, dict(name))
        at += rng.randint(2, 20) * SECOND
        if rng.random() < 0.4:
            return at
        story.tell(at, "content.viewed", user.subject, dict(name))
        at += rng.randint(2, 60) * SECOND
        if rng.random() < 0.5:
            return at
        unlocked: dict[str, object] = {**name, "price_cents": item.price_cents}
        if not item.price_cents:
            unlocked["paid_with"] = "free"
        elif user.credits >= item.price_credits:
            spent = {"credits": max(1, item.price_credits), "reason": "content", **name}
            story.tell(at, "credits.spent", user.subject, spent)
            user.credits -= item.price_credits
            unlocked |= {"paid_with": "credits", "credits": item.price_credits}
        elif user.generosity:
            at = self._till.charge(user, at, item.price_cents, {"purpose": "content", **name})
            unlocked["paid_with"] = "payment"
        else:
            return at
        story.tell(at + SECOND, "content.unlocked", user.subject, unlocked)
        return at + 3 * SECOND

    def _settings(self, user: User, at: int) -> None:
        """Profile, auto-recharge, blocking: what people do besides talking."""
        rng, story = self._rng, self._story
        choice = rng.random()
        if choice < 0.35:
            changed: dict[str, object | None] = {"language": rng.choice(LANGUAGES)}
            if rng.random() < 0.3:
                changed["last_name"] = None
            if rng.random() < 0.05:
                changed["username"] = None
            story.tell(at, "user.profile_changed", user.subject, changed)
        elif choice < 0.6 and user.generosity:
            if user.recharge is None or rng.random() < 0.6:
                cents, amount = rng.choice(((499, 55), (999, 120)))
                user.recharge = (cents, amount, rng.choice((5, 10, 20)))
                data: dict[str, object] = {"enabled": True, "amount_cents": cents, "credits": amount}
                data["threshold_credits"] = user.recharge[2]
            else:
                user.recharge = None
                data = {"enabled": False}
            story.tell(at, "auto_recharge.configured", user.subject, data)
        elif choice < 0.8:
            story.tell(at, "user.bot_blocked", user.subject, {})
            user.blocked = True
        else:
            self._admin(user, at)

    def _admin(self, user: User, at: int) -> None:
        rng, story = self._rng, self._story
        action = rng.choice(_ADMIN_ACTIONS)
        data = {
            "action": action,
            "target_telegram_id": int(user.subject),
            "reason": "support",
            "details": {"ticket": rng.randint(1000, 9999), "urgent": rng.random() < 0.2, "channel": "chat"},
        }
        story.tell(at, "admin.action_taken", rng.choice(self._admins), data)
        if action == "grant_credits":
            amount = rng.choice((5, 10, 25))
            story.tell(at + SECOND, "credits.granted", user.subject, {"credits": amount, "reason": "admin"})
            user.credits += amount

    def publish(self, at: int) -> None:
        """A new content item, or a change of one that exists."""
        rng, story = self._rng, self._story
        if self._contents and rng.random() < 0.3:
            item = rng.choice(self._contents)
            kind = "content.changed"
        else:
            number = len(self._contents) + 1
            item = Content(f"c-{story.seed}-{number}", 0)
            self._contents.append(item)
            kind = "content.published"
        item.price_cents = rng.choice(_PRICES)
        item.price_credits = item.price_cents // 10
        data: dict[str, object | None] = {
            "content_id": item.content_id,
            "content_type": _CONTENT_TYPES[hash_of(item.content_id) % len(_CONTENT_TYPES)],
            "price_cents": item.price_cents,
            "price_credits": item.price_credits,
        }
        if kind == "content.published":
            data["title"] = title(rng, len(self._contents))
        elif rng.random() < 0.2:
            data["title"] = None
        story.tell(at, kind, f"content:{item.content_id}", data)


def hash_of(name: str) -> int:
    """The same small number for the same name in every process."""
    return sum(name.encode())
