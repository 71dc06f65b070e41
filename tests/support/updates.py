"""Updates as the Bot API sends them: every one is read by the real types of both libraries in the tests."""

from __future__ import annotations

from typing import Any

USER = {"id": 123456789, "is_bot": False, "first_name": "Ada", "username": "ada", "language_code": "en"}
CHAT = {"id": 123456789, "type": "private", "first_name": "Ada", "username": "ada"}
AT = 1_767_323_045
"""2026-01-02T03:04:05Z."""
TIME = "2026-01-02T03:04:05.000Z"
PHOTO = [{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}]


def message(**members: Any) -> dict[str, Any]:
    return {"message_id": 7, "date": AT, "chat": CHAT, "from": USER, **members}


def command(text: str) -> dict[str, Any]:
    length = len(text.split()[0])
    return message(text=text, entities=[{"type": "bot_command", "offset": 0, "length": length}])


def paid(**members: Any) -> dict[str, Any]:
    payment = {
        "currency": "XTR",
        "total_amount": 500,
        "invoice_payload": "credits-100",
        "telegram_payment_charge_id": "stars_1",
        "provider_payment_charge_id": "",
        **members,
    }
    return message(successful_payment=payment)


def refunded(**members: Any) -> dict[str, Any]:
    payment = {
        "currency": "XTR",
        "total_amount": 500,
        "invoice_payload": "credits-100",
        "telegram_payment_charge_id": "stars_1",
    }
    return message(refunded_payment={**payment, **members})


def membership(before: str, after: str, chat: dict[str, Any] = CHAT) -> dict[str, Any]:
    bot = {"id": 1, "is_bot": True, "first_name": "Bot"}

    def member(status: str) -> dict[str, Any]:
        return {"status": status, "user": bot, **({"until_date": 0} if status == "kicked" else {})}

    change = {"chat": chat, "from": USER, "date": AT}
    return {**change, "old_chat_member": member(before), "new_chat_member": member(after)}


def callback(**members: Any) -> dict[str, Any]:
    return {"id": "1", "from": USER, "chat_instance": "1", "data": "buy", "message": message(text="x"), **members}


def paid_media(payload: str = "photo-7") -> dict[str, Any]:
    return {"from": USER, "paid_media_payload": payload}


def subscription(state: str) -> dict[str, Any]:
    return {"user": USER, "invoice_payload": "monthly", "state": state}


def update(update_id: int = 1, **kind: Any) -> dict[str, Any]:
    return {"update_id": update_id, **kind}
