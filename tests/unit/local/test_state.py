"""The state file: what is written is read back, and what can't be understood is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.errors import LocalStackError
from deploy.local.processes import ProcessIdentity
from deploy.local.servers import Servers
from deploy.local.state import Options, State, read_state, write_state


def test_a_state_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = State(data=tmp_path / "data", start_id="a", complete=True, options=Options(durable=False), password="p")
    state = state.with_kafka(port=1, controller_port=2, process=ProcessIdentity(3, 4.5, "m")).with_postgres(port=6)
    write_state(path, state)
    assert read_state(path) == state
    assert path.stat().st_mode & 0o777 == 0o600
    assert "'p'" not in repr(state)
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 0}', '{"version": 1}'])
def test_what_can_not_be_understood_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(LocalStackError, match="is not a state file of this version"):
        read_state(path)


def test_a_home_that_was_copied_has_no_process_of_its_own(tmp_path: Path) -> None:
    mine = ProcessIdentity(1, 1.0, "m")
    state = State(data=tmp_path / "elsewhere" / "data", complete=True).with_kafka(port=1, process=mine)
    write_state(tmp_path / "state.json", state)
    found = Servers(tmp_path).read()
    assert found is not None
    assert (found.complete, found.kafka.process, found.data) == (False, None, tmp_path / "data")
    assert found.password == state.password
