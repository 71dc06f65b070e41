"""The providers' lists, read: pure, from their own JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from deploy.reconcile.compare import Charge, Refunded, refunded
from schemas.errors import ConfigurationError
from schemas.rates import STARS

Json = Mapping[str, Any]


def stars(transactions: Iterable[Json]) -> list[Charge]:
    """Return the charges of getStarTransactions: what users paid for invoices.

    A refund is an outgoing transaction with its charge's id. What is not for an invoice (gifts, paid media,
    withdrawals) is no charge of the bot's events and is left out. Raises ConfigurationError for what is no such list.
    """
    charges: dict[str, Charge] = {}
    back: dict[str, int] = {}
    try:
        for transaction in transactions:
            if "source" in transaction:
                partner = transaction["source"]
                if partner.get("type") == "user" and partner.get("transaction_type", _INVOICE) == _INVOICE:
                    at = datetime.fromtimestamp(transaction["date"], UTC)
                    charge = Charge(transaction["id"], transaction["amount"], STARS, at, Refunded.NOTHING)
                    charges[charge.charge_id] = charge
            elif transaction.get("receiver", {}).get("type") == "user":
                back[transaction["id"]] = back.get(transaction["id"], 0) + transaction["amount"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"not a list of star transactions: {error!r}") from None
    return [
        charge._replace(refunded=refunded(charge.amount_minor, back.get(name, 0))) for name, charge in charges.items()
    ]


def stripe(objects: Iterable[Json]) -> list[Charge]:
    """Return the successful charges of a list of charges, or of balance transactions with their source expanded.

    Raises ConfigurationError for what is neither.
    """
    charges = []
    try:
        for thing in objects:
            charge = thing
            if thing.get("object") == "balance_transaction":
                if thing["type"] not in ("charge", "payment"):
                    continue
                charge = thing["source"]
                if not isinstance(charge, Mapping):
                    raise ConfigurationError(
                        "these balance transactions have only the ids of their charges: list them with "
                        "expand[]=data.source"
                    )
            if charge.get("object") == "charge" and charge["status"] == "succeeded":
                charges.append(
                    Charge(
                        _id(charge.get("payment_intent")) or charge["id"],
                        charge["amount_captured"] if "amount_captured" in charge else charge["amount"],
                        charge["currency"].upper(),
                        datetime.fromtimestamp(charge["created"], UTC),
                        refunded(charge["amount"], charge["amount_refunded"]),
                    )
                )
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"not a list of Stripe's charges: {error!r}") from None
    return charges


_INVOICE = "invoice_payment"


def entries(content: Any) -> list[Json]:
    """Return the entries of a list as the APIs answer it: bare, in `data`, in `transactions`, in `result`."""
    for name in ("result", "transactions", "data"):
        if isinstance(content, Mapping) and name in content:
            content = content[name]
    if not isinstance(content, list):
        raise ConfigurationError("there is no list of transactions in it")
    return content


def _id(thing: Any) -> str | None:
    found = thing["id"] if isinstance(thing, Mapping) else thing
    return None if found is None else str(found)
