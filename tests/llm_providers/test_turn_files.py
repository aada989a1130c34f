"""The private files of a turn: made, set aside, gone when they should be."""

from __future__ import annotations

import os
import resource
import stat
import uuid
from pathlib import Path

import pytest

from mcp_coder.llm_providers import turn_files


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "mcp home"))
    return tmp_path / "mcp home"


def test_ids_as_text_are_in_the_order_of_time() -> None:
    ids = []
    for _ in range(20):
        ids.append(turn_files.new_turn_id())
        while turn_files.new_turn_id()[:18] == ids[-1][:18]:
            """The clock has not moved on."""
    assert ids == sorted(ids)
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}


def test_turns_have_private_files_of_their_own(home: Path) -> None:
    one, two = turn_files.new_turn_files(), turn_files.new_turn_files()
    assert one.directory != two.directory
    assert one.directory == str(home / "turns" / one.turn_id)
    assert mode(one.directory) == 0o700
    assert os.path.dirname(one.output) == os.path.dirname(one.errors) == one.directory
    turn_files.remove_turn_files(one.directory)
    turn_files.remove_turn_files(one.directory)
    assert not os.path.exists(one.directory)
    assert os.path.isdir(two.directory)


def test_a_second_process_finds_the_way_clear(home: Path) -> None:
    files = turn_files.new_turn_files()
    turn_files.set_aside(files)
    Path(files.output).write_text("first")
    turn_files.set_aside(files)
    assert not os.path.exists(files.output)
    assert Path(f"{files.output}.refused").read_text() == "first"


def test_what_a_record_waits_for_stays(home: Path) -> None:
    files = turn_files.new_turn_files()
    assert not turn_files.is_kept_for_record(files.directory)
    turn_files.keep_for_record(files.directory, {"store": "somebody's"})
    assert turn_files.is_kept_for_record(files.directory)
    turn_files.remove_turn_files(files.directory)
    assert os.path.isdir(files.directory)
    turn_files.recorded(files.directory)
    assert not turn_files.is_kept_for_record(files.directory)
    turn_files.remove_turn_files(files.directory)
    assert not os.path.exists(files.directory)


@pytest.mark.parametrize("room", [0, 10], ids=["none", "some"])
def test_a_mark_that_there_is_no_room_for_is_no_mark(home: Path, room: int) -> None:
    files = turn_files.new_turn_files()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            turn_files.keep_for_record(files.directory, {"store": "somebody's"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(files.directory) == []
    turn_files.remove_turn_files(files.directory)
    assert not os.path.exists(files.directory)
