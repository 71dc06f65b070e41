"""Pieces of the broker's start that need no broker."""

from __future__ import annotations

import socket
import uuid

import pytest

from deploy.local import kafka, ports


def test_a_cluster_id_never_begins_with_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [uuid.UUID(int=0xF8 << 120), uuid.UUID(int=0xFB << 120), uuid.UUID(int=1)]
    monkeypatch.setattr(kafka.uuid, "uuid4", lambda: left.pop(0))
    assert kafka.new_cluster_id() == "AAAAAAAAAAAAAAAAAAAAAQ"


def test_only_a_broker_answers_as_one() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as silent:
        assert not kafka.answers(silent.getsockname()[1], timeout=0.1)
    assert not kafka.answers(ports.free_port(), timeout=0.1)


def test_ports_are_free_and_not_those_of_outgoing_connections() -> None:
    first = ports.free_port()
    assert ports.is_free(first)
    assert ports.FIRST_PORT <= first < ports._first_ephemeral()
    with socket.create_server((ports.LOOPBACK, first)):
        assert not ports.is_free(first)
