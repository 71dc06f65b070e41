"""A JSON Schema for every version of every event, as it stands on the wire."""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.events import EVENT_TYPES, TierChanged

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
WIRE_TYPES: Final = {**EVENT_TYPES, TierChanged.model_fields["type"].default: TierChanged}
"""Every type that lies on a topic."""

_ALWAYS_SENT: Final = ("specversion", "type")


class _Generator(GenerateJsonSchema):
    """Without titles, which only say a member's name again, and without defaults, which are not on the wire."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        return {"anyOf": [inner, {"type": "null"}]}


def json_schema(event_type: str) -> dict[str, Any]:
    """Return the schema of one type, definitions inside."""
    schema = WIRE_TYPES[event_type].model_json_schema(schema_generator=_Generator, mode="validation")
    schema["required"] = sorted({*schema["required"], *_ALWAYS_SENT})
    return {"$schema": DIALECT, "$id": f"urn:{event_type.replace('.', ':')}", **schema}


def name_of(event_type: str) -> str:
    """Return the file name of a type's schema: `payment.succeeded.v1.json`."""
    return event_type.removeprefix("botpulse.") + ".json"
