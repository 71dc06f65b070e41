"""`botpulse reconcile`: what either side lacks is named, by charge."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from projections.access import OWNER
from projections.database import open_connection
from projections.registry import apply
from tests.support.cli import botpulse
from tests.support.folding import arrivals, charge, refund

AT = 1_767_323_045
TIME = datetime.fromtimestamp(AT, UTC)
USER = {"type": "user", "transaction_type": "invoice_payment", "user": {"id": 1, "is_bot": False, "first_name": "A"}}


def incoming(name: str, amount: int, **members: Any) -> dict[str, Any]:
    return {"id": name, "amount": amount, "date": AT, "source": USER, **members}


STARS = [
    incoming("right", 500),
    incoming("refunded", 500),
    {"id": "refunded", "amount": 500, "date": AT + 60, "receiver": USER},
    incoming("charged back", 500),  # by Apple or Google: no update ever said so
    {"id": "charged back", "amount": 500, "date": AT + 90, "receiver": USER},
    incoming("unknown", 250, date=AT + 120),
    incoming("larger", 700),
    incoming("media", 50, source={**USER, "transaction_type": "paid_media_payment"}),
    {"id": "withdrawal", "amount": 1000, "date": AT, "receiver": {"type": "fragment"}},
]
STAR_FINDINGS = {
    ("unknown", "missing_in_tables", "250 XTR", None),
    ("larger", "amount", "700 XTR", "500 XTR"),
    ("charged back", "refund", "whole", "nothing"),
    ("ours", "missing_at_provider", None, "500 XTR"),
}


def stripe_charge(name: str, amount: int, back: int = 0, **members: Any) -> dict[str, Any]:
    return {"object": "charge", "id": f"ch_{name}", "payment_intent": name, "amount": amount, "amount_captured": amount,
            "amount_refunded": back, "currency": "eur", "created": AT, "status": "succeeded", **members}  # fmt: skip


STRIPE = [
    stripe_charge("pi_right", 1000),
    stripe_charge("pi_half", 1000, 300),
    stripe_charge("pi_declined", 1000, status="failed"),
    stripe_charge("pi_unknown", 900),
]
STRIPE_FINDINGS = {("pi_unknown", "missing_in_tables", "900 EUR", None)}


async def known(database_url: str) -> None:
    """Charges in the tables: of both providers, one refunded, one long after the lists."""

    def stars(name: str, time: datetime = TIME) -> Any:
        original = {"amount_minor": 500, "currency": "XTR"}
        return charge(1, time, name, 650, provider="telegram_stars", method="stars", original=original)

    def euros(name: str) -> Any:
        return charge(2, TIME, name, 1100, original={"amount_minor": 1000, "currency": "EUR"})

    log = [
        *(stars(name) for name in ("right", "refunded", "charged back", "larger", "ours")),
        stars("later", TIME.replace(year=2027)),
        refund(
            1, TIME, "r", "refunded", 650, provider="telegram_stars", original={"amount_minor": 500, "currency": "XTR"}
        ),
        euros("pi_right"),
        euros("pi_half"),
        refund(2, TIME, "re", "pi_half", 330, original={"amount_minor": 300, "currency": "EUR"}),
    ]
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=OWNER)
    try:
        await apply(connection, arrivals(log))
    finally:
        await connection.close()


def findings(ran: Any) -> set[tuple[Any, ...]]:
    return {tuple(found.values()) for found in ran.json["differences"]}


@asynccontextmanager
async def serving(path: str, method: str, answer: Callable[[dict[str, Any]], Any]) -> AsyncIterator[str]:
    """A provider's server of our own."""

    async def handle(request: web.Request) -> web.Response:
        return web.json_response(answer({**request.query, **await request.post()}))

    application = web.Application()
    application.router.add_route(method, path, handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def test_differences_are_named_by_charge(database_url: str, tmp_path: Path) -> None:
    await known(database_url)
    settings = {"DATABASE_URL": database_url}
    file = tmp_path / "list.json"
    for provider, content, expected in (
        ("stars", {"ok": True, "result": {"transactions": STARS}}, STAR_FINDINGS),
        ("stripe", {"object": "list", "data": STRIPE}, STRIPE_FINDINGS),
        ("stripe", [{"object": "balance_transaction", "type": "charge", "source": c} for c in STRIPE], STRIPE_FINDINGS),
    ):
        file.write_text(json.dumps(content))
        ran = await botpulse(settings, "reconcile", provider, str(file), "--json")
        assert (ran.status, findings(ran)) == (1, expected), ran
        shown = await botpulse(settings, "reconcile", provider, str(file))
        assert shown.status == 1
        assert all(charge_id in shown.out for charge_id, *_ in expected)
    file.write_text(json.dumps(STRIPE[:2]))
    ran = await botpulse(settings, "reconcile", "stripe", str(file), "--json")
    assert (ran.status, ran.json["differences"], ran.json["listed"]) == (0, [], 2)


async def test_the_providers_are_asked_page_by_page(database_url: str) -> None:
    await known(database_url)
    many = [incoming(f"s{number}", 1) for number in range(250)]

    def page(asked: dict[str, Any]) -> Any:
        start = int(asked["offset"])
        return {"ok": True, "result": {"transactions": many[start : start + int(asked["limit"])]}}

    async with serving("/bot42:SECRET/getStarTransactions", "POST", page) as url:
        settings = {"DATABASE_URL": database_url, "BOT_TOKEN": "42:SECRET", "TELEGRAM_API": url}
        ran = await botpulse(settings, "reconcile", "stars", "API", "--json")
        assert (ran.status, ran.json["listed"]) == (1, 250)
        wrong = await botpulse({**settings, "BOT_TOKEN": "43:SECRET"}, "reconcile", "stars", "API")
        assert wrong.status == 1
        assert "status 404" in wrong.err
        assert "SECRET" not in wrong.err

    charges = [stripe_charge(f"pi_{number}", 1) for number in range(101)]

    def after(asked: dict[str, Any]) -> Any:
        names = [c["id"] for c in charges]
        start = names.index(asked["starting_after"]) + 1 if "starting_after" in asked else 0
        return {"data": charges[start : start + int(asked["limit"])]}

    async with serving("/v1/charges", "GET", after) as url:
        settings = {"DATABASE_URL": database_url, "STRIPE_API_KEY": "sk_test", "STRIPE_API": url}
        ran = await botpulse(settings, "reconcile", "stripe", "API", "--json")
        assert (ran.status, ran.json["listed"]) == (1, 101)


async def test_what_is_no_list_is_said_in_one_line(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    for provider, content, names in (
        ("stars", "no JSON", "no JSON"),
        ("stars", '{"ok": true}', "no list"),
        ("stars", '[{"source": {"type": "user"}}]', "star transactions"),
        ("stripe", '[{"object": "balance_transaction", "type": "charge", "source": "ch_1"}]', "expand[]=data.source"),
        ("stripe", '[{"object": "charge"}]', "Stripe's charges"),
    ):
        file.write_text(content)
        ran = await botpulse({"DATABASE_URL": database_url}, "reconcile", provider, str(file))
        assert (ran.status, ran.out) == (2, ""), ran
        assert names in ran.err
    ran = await botpulse({"DATABASE_URL": database_url}, "reconcile", "stars", "API")
    assert (ran.status, ran.out) == (2, "")
    assert "BOT_TOKEN" in ran.err
