"""`botpulse backfill`: history from a bot's tables or files, counted first, once however often it is run."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from deploy.backfill import run
from deploy.backfill.mapping import Facts, read_mapping
from deploy.backfill.sources import Files, Row
from deploy.local import StackInfo
from schemas.codec import Decoder
from schemas.errors import BotpulseError
from schemas.topics import Topics
from tests.conftest import TEST_PARTITIONS
from tests.support import log
from tests.support.bot_tables import DDL, ROWS, inserts, write_files
from tests.support.cli import botpulse
from tests.support.databases import execute

GUIDE = Path(run.__file__).with_name("guide.toml")


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    return Path(shutil.copy(GUIDE, tmp_path / "mapping.toml"))


def settings(stack: StackInfo, topics: Topics) -> dict[str, str]:
    return {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}


async def events(stack: StackInfo, topics: Topics) -> list[Any]:
    """All events on the log: each is valid by the contract."""
    decoder = Decoder(TEST_PARTITIONS)
    return [decoder.decode(record) for record in await log.read_all(stack.bootstrap_servers, topics.events.name)]


async def test_a_bots_tables_become_its_history(
    stack: StackInfo, topics: Topics, empty_database_url: str, mapping: Path, tmp_path: Path
) -> None:
    await execute(empty_database_url, DDL, *inserts())
    arguments = ("backfill", "--mapping", str(mapping), "--from-database", empty_database_url)

    previewed = await botpulse(settings(stack, topics), *arguments, "--json")
    assert previewed.status == 1  # two rows are refused
    assert previewed.json["published"] is None
    assert await events(stack, topics) == []
    seen = {tally["facts"]: tally for tally in previewed.json["facts"]}
    assert {name: (t["events"], t["left_out"], t["refused"], t["amount_cents"]) for name, t in seen.items()} == {
        "users as user.registered": (2, 0, 1, 0),
        "messages as message.received": (20, 10, 0, 0),
        "messages as message.sent": (10, 20, 0, 0),
        "payments as payment.succeeded": (2, 1, 1, 2499),
        "payments as credits.granted": (3, 1, 0, 0),
        "payments as payment.failed": (1, 3, 0, 999),
        "payments as payment.refunded": (1, 3, 0, 500),
        "content_unlocks as content.unlocked": (1, 0, 0, 0),
    }
    assert seen["payments as payment.succeeded"]["refusals"] == [
        {"row": "11", "reason": "data.amount_cents is above 1000000"}
    ]
    subject = "subject must be a telegram_id, 1 to 2^52 (or content:<content_id> for a content item)"
    assert seen["users as user.registered"]["refusals"] == [{"row": "-5", "reason": subject}]

    for _ in range(2):
        ran = await botpulse(settings(stack, topics), *arguments, "--yes", "--json")
        assert (ran.status, ran.json["published"]) == (1, 40)
    found = await events(stack, topics)
    assert len(found) == 80
    once = {(event.source, event.id, event.time) for event in found}
    assert len(once) == 40
    charge = next(event for event in found if event.type.startswith("botpulse.payment.succeeded"))
    assert (charge.id, charge.data.amount_cents, charge.telegram_id) == ("payments-1", 1999, 101)
    assert charge.time.isoformat() == "2025-02-01T10:00:00+00:00"

    # The same rows from files are the same events.
    for ending in ("csv", "ndjson"):
        folder = tmp_path / ending
        folder.mkdir()
        write_files(folder, ending)
        ran = await botpulse(
            settings(stack, topics),
            "backfill",
            "--mapping",
            str(mapping),
            f"--from-{ending}",
            str(folder),
            "--yes",
            "--json",
        )
        assert (ran.status, ran.json["published"]) == (1, 40)
    values = {record.value for record in await log.read_all(stack.bootstrap_servers, topics.events.name)}
    assert len(values) == 40


class Interrupted(Files):
    """Files whose reading breaks off after so many rows."""

    left = 0

    async def rows(self, facts: Facts, skip: int) -> AsyncIterator[Row]:
        async for row in super().rows(facts, skip):
            yield row
            self.left -= 1
            if not self.left:
                raise BotpulseError("interrupted")


async def test_an_interrupted_run_goes_on_where_it_was(
    stack: StackInfo, topics: Topics, mapping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_ROWS_AN_ACKNOWLEDGEMENT", 5)
    write_files(tmp_path, "csv")
    read, state = read_mapping(mapping), tmp_path / "progress.json"
    source = Interrupted(tmp_path, "csv")
    source.left = 3 + 18  # the users, and 18 messages: 15 of them are acknowledged and noted

    async def publish(source: Files) -> int:
        total = await run.total_rows(source, read)
        return await run.publish(
            source,
            read,
            stack.bootstrap_servers,
            topics.events,
            run.State(state, read),
            total,
            lambda done, total: None,
        )

    with pytest.raises(BotpulseError, match="interrupted"):
        await publish(source)
    (noted,) = json.loads(state.read_text())["done"].items()
    assert noted == ("messages as message.received", {"rows": 15, "key": "15"})
    # The users were not noted (their table ended before a note was due): they are sent again. 15 messages are not.
    received_before_the_note = sum(row["direction"] == "in" for row in ROWS["messages"][:15])
    assert await publish(Files(tmp_path, "csv")) == 40 - received_before_the_note
    assert not state.exists()
    assert len({(event.id, event.time) for event in await events(stack, topics)}) == 40
    # A row that was the last one and is not there any more: all is sent again.
    state.write_text(json.dumps({"mapping": run.State(state, read)._mapping, "done": {
        noted[0]: {"rows": 15, "key": "another"}}}))  # fmt: skip
    assert await publish(Files(tmp_path, "csv")) == 40


async def test_what_is_wrong_is_named_in_one_line(stack: StackInfo, empty_database_url: str, tmp_path: Path) -> None:
    wrong, text = tmp_path / "wrong.toml", GUIDE.read_text()
    database = ("--from-database", empty_database_url)
    cases = [
        (text.replace("user.registered", "user.deleted"), database, "user.deleted is no event type"),
        (text.replace('source = "/backfill/guide"', ""), database, "source"),
        (text.replace("value = ", "valeu = ", 1), database, "valeu"),
        ("= 5", database, "no TOML"),
        (text, database, 'relation "users" does not exist'),
        (text, ("--from-csv", str(tmp_path / "nowhere")), "nowhere"),
        (text, (), "--from-database"),
        (text, ("--from-database", "postgresql://u:secret@127.0.0.1:1/x"), "no connection"),
    ]
    for content, arguments, names in cases:
        wrong.write_text(content)
        ran = await botpulse({}, "backfill", "--mapping", str(wrong), *arguments)
        assert (ran.status, ran.out) == (2, ""), ran
        assert names in ran.err
        assert "secret" not in ran.err
        assert len(ran.err.splitlines()) == 1
