"""docs/producing.md: the Python of it is run, and all three languages show one and the same event."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.local import StackInfo
from schemas.codec import Decoder
from schemas.topics import Topics
from tests.conftest import TEST_PARTITIONS
from tests.support import log

PAGE = (Path(__file__).parents[2] / "docs" / "producing.md").read_text("utf-8")


def code(language: str) -> str:
    found = re.search(rf"## {language}\n\n```\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_python_of_the_page_produces_a_valid_event(stack: StackInfo, topics: Topics) -> None:
    names: dict[str, Any] = {}
    exec(code("Python").replace('"bot.events"', repr(topics.events.name)), names)  # noqa: S102
    await names["publish"](stack.bootstrap_servers)
    (record,) = await log.read_all(stack.bootstrap_servers, topics.events.name)
    assert Decoder(TEST_PARTITIONS).decode(record).id == "unlock-1"
    assert json.loads(record.value) == names["event"]


@pytest.mark.parametrize("language", ["Node", "Go"])
def test_the_other_languages_show_the_same_event(language: str) -> None:
    names: dict[str, Any] = {}
    exec(code("Python"), names)  # noqa: S102
    shown = re.sub(r"\s+", " ", code(language))
    envelope = {**names["event"], **names["event"]["data"]}
    del envelope["data"]
    for name, value in envelope.items():
        text = json.dumps(value)
        assert f"{name}: {text}" in shown or f'"{name}": {text}' in shown, name
    assert "application/cloudevents+json; charset=UTF-8" in shown
