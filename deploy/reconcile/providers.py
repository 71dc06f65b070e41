"""The providers' lists, asked for: page by page."""

from __future__ import annotations

import os
from typing import Any, Final

import aiohttp

from deploy.reconcile.lists import entries
from schemas.errors import BotpulseError, ConfigurationError

_PAGE: Final = 100
_SECONDS: Final = aiohttp.ClientTimeout(total=60)


async def star_transactions() -> list[Any]:
    """All star transactions of the bot of BOT_TOKEN; TELEGRAM_API is another Bot API server."""
    token, base = _secret("BOT_TOKEN"), os.environ.get("TELEGRAM_API") or "https://api.telegram.org"
    found: list[Any] = []
    async with aiohttp.ClientSession(timeout=_SECONDS) as session:
        while True:
            page = {"offset": len(found), "limit": _PAGE}
            got = await _asked(session.post(f"{base}/bot{token}/getStarTransactions", data=page), "Telegram")
            found += got
            if len(got) < _PAGE:
                return found


async def stripe_charges() -> list[Any]:
    """All charges of the account of STRIPE_API_KEY; STRIPE_API is another server, as stripe-mock."""
    key, base = _secret("STRIPE_API_KEY"), os.environ.get("STRIPE_API") or "https://api.stripe.com"
    found: list[Any] = []
    async with aiohttp.ClientSession(timeout=_SECONDS, headers={"Authorization": f"Bearer {key}"}) as session:
        while True:
            page = {"limit": str(_PAGE), **({"starting_after": found[-1]["id"]} if found else {})}
            got = await _asked(session.get(f"{base}/v1/charges", params=page), "Stripe")
            found += got
            if len(got) < _PAGE:
                return found


async def _asked(request: Any, provider: str) -> list[Any]:
    """The entries of an answer. Errors name no address: Telegram's has the token in it."""
    try:
        async with request as response:
            if response.status != 200:
                raise BotpulseError(f"{provider} answers with status {response.status}: is the token or key right?")
            return list(entries(await response.json()))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise BotpulseError(f"{provider} can't be asked: {type(error).__name__}") from None


def _secret(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(f"{name} is not set")
    return value
