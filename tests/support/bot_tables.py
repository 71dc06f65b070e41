"""The tables of a bot that ran before Botpulse, as the mapping deploy/backfill/guide.toml expects them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

DDL = """
    CREATE TABLE users (telegram_id bigint PRIMARY KEY, username text, first_name text, last_name text,
        language_code text, referral_code text, referred_by bigint, created_at timestamp);
    CREATE TABLE messages (id bigserial PRIMARY KEY, telegram_id bigint, direction text, message_type text,
        length int, created_at timestamptz);
    CREATE TABLE payments (id bigint PRIMARY KEY, telegram_id bigint, payment_intent_id text, method text,
        amount numeric(10, 2), credits int, status text, created_at timestamptz, updated_at timestamptz);
    CREATE TABLE content_unlocks (id bigint PRIMARY KEY, telegram_id bigint, content_id text, price_cents int,
        credits_spent int, unlocked_at timestamptz);
"""
ROWS: dict[str, list[dict[str, Any]]] = {
    "users": [
        {"telegram_id": 101, "username": "ada", "first_name": "Ada", "last_name": None, "language_code": "en",
         "referral_code": "ADA", "referred_by": None, "created_at": "2025-01-01 10:00:00"},
        {"telegram_id": 102, "username": None, "first_name": "Bo", "last_name": None, "language_code": None,
         "referral_code": None, "referred_by": 101, "created_at": "2025-01-02 10:00:00"},
        {"telegram_id": -5, "username": "group", "first_name": None, "last_name": None, "language_code": None,
         "referral_code": None, "referred_by": None, "created_at": "2025-01-02 10:00:00"},
    ],
    "messages": [
        {"id": number, "telegram_id": 101 + number % 2, "direction": "out" if number % 3 == 0 else "in",
         "message_type": "photo" if number % 5 == 0 else "text", "length": number,
         "created_at": f"2025-01-03 10:00:{number:02}+00:00"}
        for number in range(1, 31)
    ],
    "payments": [
        {"id": 1, "telegram_id": 101, "payment_intent_id": "pi_1", "method": "card", "amount": "19.99", "credits": 200,
         "status": "succeeded", "created_at": "2025-02-01 10:00:00+00:00", "updated_at": "2025-02-01 10:00:00+00:00"},
        {"id": 2, "telegram_id": 101, "payment_intent_id": "pi_2", "method": "paypal", "amount": "5.00", "credits": 50,
         "status": "refunded", "created_at": "2025-02-02 10:00:00+00:00", "updated_at": "2025-02-05 10:00:00+00:00"},
        {"id": 10, "telegram_id": 102, "payment_intent_id": "pi_3", "method": "sepa", "amount": "9.99", "credits": 100,
         "status": "failed", "created_at": "2025-02-03 10:00:00+00:00", "updated_at": "2025-02-03 10:00:00+00:00"},
        {"id": 11, "telegram_id": 102, "payment_intent_id": "pi_4", "method": "card", "amount": "20000.00",
         "credits": 100, "status": "succeeded", "created_at": "2025-02-04 10:00:00+00:00",
         "updated_at": "2025-02-04 10:00:00+00:00"},
    ],
    "content_unlocks": [
        {"id": 1, "telegram_id": 101, "content_id": "photo-7", "price_cents": 499, "credits_spent": 50,
         "unlocked_at": "2025-02-01 11:00:00+00:00"},
    ],
}  # fmt: skip


def inserts() -> list[str]:
    """Statements that fill the tables."""
    found = []
    for table, rows in ROWS.items():
        text = json.dumps(rows).replace("'", "''")
        found.append(f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, '{text}')")  # noqa: S608
    return found


def write_files(folder: Path, ending: str) -> None:
    """The same rows as files, in another order."""
    for table, rows in ROWS.items():
        with (folder / f"{table}.{ending}").open("w", newline="") as file:
            if ending == "csv":
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                writer.writerows(reversed(rows))
            else:
                file.writelines(json.dumps(row) + "\n" for row in reversed(rows))
