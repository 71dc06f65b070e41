"""Quotas of a broker's clients, which aiokafka's admin client can only read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from deploy.kafka import admin


class _Answer(Response):
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "entries",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("entity", Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))),
            ),
        ),
    )


class _Question(RequestStruct):
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))),
                ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_Question]):
    API_KEY = 49

    def __init__(self, client_id: str, bytes_a_second: float | None) -> None:
        self._of = [("client-id", client_id)]
        self._operation = ("consumer_byte_rate", bytes_a_second or 0.0, bytes_a_second is None)

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([(self._of, [self._operation])], False)


@asynccontextmanager
async def consumer_quota(bootstrap_servers: str, client_id: str, bytes_a_second: float) -> AsyncIterator[None]:
    """Let clients of this id have so many bytes a second; the quota is gone at the end."""
    try:
        await _alter(bootstrap_servers, client_id, bytes_a_second)
        yield
    finally:
        await _alter(bootstrap_servers, client_id, None)


async def _alter(bootstrap_servers: str, client_id: str, bytes_a_second: float | None) -> None:
    async with admin(bootstrap_servers) as client:
        answer: Any = await client._send_request(_AlterClientQuotas(client_id, bytes_a_second))
    ((code, message, _),) = answer.entries
    assert code == 0, message
