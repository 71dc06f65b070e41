"""A bot that sells credits for Stars, publishes everything that happens in it, and congratulates new VIPs."""

from __future__ import annotations

import asyncio
import logging
import os

from aiogram import Bot, Dispatcher, F
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.filters import Command, CommandStart
from aiogram.types import LabeledPrice, Message, PreCheckoutQuery
from botpulse_events.adapters.aiogram import allowed_updates, setup
from botpulse_events.events import CreditsGranted
from botpulse_events.publisher import Publisher
from botpulse_events.telegram import Options, PaymentDetails, Tracker, ref_payload
from botpulse_events.tier_changes import TierChanges

CREDITS = 100
STARS = 500

dispatcher = Dispatcher()


@dispatcher.message(CommandStart())
async def welcome(message: Message) -> None:
    await message.answer("Welcome! /buy sells you credits.")


@dispatcher.message(Command("buy"))
async def buy(message: Message) -> None:
    prices = [LabeledPrice(label=f"{CREDITS} credits", amount=STARS)]
    await message.answer_invoice(
        title="Credits", description=f"{CREDITS} credits", payload=f"credits-{CREDITS}", currency="XTR", prices=prices
    )


@dispatcher.pre_checkout_query()
async def agree(query: PreCheckoutQuery) -> None:
    await query.answer(ok=True)


@dispatcher.message(F.successful_payment)
async def paid(message: Message, publisher: Publisher) -> None:
    # The payment itself is published already. What the bot gives for it, only the bot knows.
    assert message.from_user is not None
    assert message.successful_payment is not None
    charge = message.successful_payment.telegram_payment_charge_id
    granted = {"credits": CREDITS, "reason": "purchase", "charge_id": charge}
    # An id and a time that follow from the payment: should this run twice, the credits still count once.
    await publisher.publish(
        publisher.new(CreditsGranted, message.from_user.id, granted, id=f"granted:{charge}", time=message.date)
    )
    await message.answer(f"Thank you! {CREDITS} credits are yours.")


async def congratulate(bot: Bot) -> None:
    """Tell users of their new tier. After a crash a change can come twice: a real bot stores the ids it has handled."""
    handled: set[str] = set()
    async with TierChanges.from_environment(group="vip-bot", since="beginning") as changes:
        async for change in changes:
            if change.data.current == "vip" and change.id not in handled:
                discount = change.data.benefits["discount_percent"]
                await bot.send_message(change.telegram_id, f"You are VIP now: {discount} % off from here on!")
            handled.add(change.id)


def bought(payload: str) -> PaymentDetails:
    """What an invoice's payload stands for."""
    return PaymentDetails(purpose="credits", credits=int(payload.removeprefix("credits-")))


async def main() -> None:
    api = os.environ.get("TELEGRAM_API")  # a Bot API server of one's own
    session = AiohttpSession(api=TelegramAPIServer.from_base(api) if api else PRODUCTION)
    bot = Bot(os.environ["BOT_TOKEN"], session=session)
    async with Publisher.from_environment(source="/bots/vip") as publisher:
        tracker = Tracker(publisher, Options(referrer=ref_payload, payment_details=bought))
        setup(dispatcher, tracker, bot)
        congratulating = asyncio.create_task(congratulate(bot))
        try:
            await dispatcher.start_polling(bot, publisher=publisher, allowed_updates=allowed_updates(dispatcher))
        finally:
            congratulating.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
