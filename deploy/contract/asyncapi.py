"""The AsyncAPI 3 document of the topics that a bot meets: what it sends, and what it is told."""

from __future__ import annotations

from typing import Any, Final

from deploy.contract.json_schemas import WIRE_TYPES, json_schema
from schemas.events import EVENT_TYPES, TierChanged
from schemas.topics import Topic, Topics

VERSION: Final = "1"
"""Of the contract as a whole; each event type has its own."""
_HEADERS: Final = {
    "type": "object",
    "properties": {
        "content-type": {"type": "string", "const": "application/cloudevents+json; charset=UTF-8"},
    },
}
_NAMES_AND_DIALECT: Final = ("$schema", "$id")


def asyncapi() -> dict[str, Any]:
    """Return the document."""
    topics = Topics()
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for event_type in WIRE_TYPES:
        name = event_type.removeprefix("botpulse.")
        schemas[name] = _component(json_schema(event_type), schemas, name)
        messages[name] = {
            "name": event_type,
            "title": name,
            "summary": schemas[name].get("description", name),
            "contentType": "application/cloudevents+json",
            "headers": _HEADERS,
            "payload": {"$ref": f"#/components/schemas/{name}"},
            "bindings": {"kafka": {"key": schemas[name]["properties"]["subject"], "bindingVersion": "0.5.0"}},
        }
    sent = [event_type.removeprefix("botpulse.") for event_type in EVENT_TYPES]
    told = [TierChanged.model_fields["type"].default.removeprefix("botpulse.")]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Botpulse",
            "version": VERSION,
            "description": "A paid Telegram bot's events (CloudEvents 1.0, structured JSON), and the tier changes that "
            "follow from them. Beyond these schemas: the key is the subject, time is at most 24 hours ahead, and money "
            "and credits have the limits of limits.json.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "events": _channel(topics.events, sent),
            "tierChanges": _channel(topics.tier_changes, told),
        },
        "operations": {
            "sendEvents": _operation("send", "events", "The bot publishes what happened.", sent),
            "receiveTierChanges": _operation("receive", "tierChanges", "The bot is told of a new tier.", told),
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _component(schema: dict[str, Any], schemas: dict[str, Any], name: str) -> dict[str, Any]:
    """Move the schema's own definitions beside it."""
    definitions = schema.pop("$defs", {})
    for keyword in _NAMES_AND_DIALECT:
        schema.pop(keyword)
    for inner, definition in definitions.items():
        schemas[f"{name}.{inner}"] = _moved(definition, name)
    moved: dict[str, Any] = _moved(schema, name)
    return moved


def _moved(part: Any, name: str) -> Any:
    if isinstance(part, dict):
        return {
            key: f"#/components/schemas/{name}.{value.removeprefix('#/$defs/')}"
            if key == "$ref"
            else _moved(value, name)
            for key, value in part.items()
        }
    return [_moved(item, name) for item in part] if isinstance(part, list) else part


def _channel(topic: Topic, messages: list[str]) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": topic.meaning,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": {
                    "cleanup.policy": [topic.config["cleanup.policy"]],
                    "max.message.bytes": int(topic.config["max.message.bytes"]),
                    "retention.ms": int(topic.config["retention.ms"]),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(action: str, channel: str, summary: str, messages: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }
