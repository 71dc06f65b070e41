"""The webhook as an ASGI application, to be mounted into the bot's own or run by itself."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .webhook import StripeWebhook


def stripe_app(webhook: StripeWebhook, path: str = "/") -> Starlette:
    """Return an application that takes Stripe's POST at `path`: `app.mount("/stripe", stripe_app(webhook))`."""

    async def take(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > webhook.options.max_body_bytes:
                return PlainTextResponse("too large", 413)
        answer = await webhook.handle(bytes(body), request.headers.get("stripe-signature"))
        return PlainTextResponse(answer.detail, answer.status)

    return Starlette(routes=[Route(path, take, methods=["POST"])])
