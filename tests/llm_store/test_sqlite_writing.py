"""What is written: one row a turn, keys in the order of time, and no page of other turns."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.sqlite_opening import open_memory
from mcp_coder.llm_store.sqlite_writing import add_session, begin_turn, delete_session, end_turn, ended
from mcp_coder.testing.promise import recorded
from mcp_coder.testing.store_samples import at, new_turn, session_record, turn_ending


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_memory()) as found:
        yield found


def ids_by_key(connection: sqlite3.Connection) -> list[str]:
    return [turn_id for (turn_id,) in connection.execute("SELECT turn_id FROM turns ORDER BY id")]


def test_keys_go_by_time_whenever_they_were_written(connection: sqlite3.Connection) -> None:
    for number in (5, 1, 9, 3):
        begin_turn(connection, new_turn(number))
    assert ids_by_key(connection) == [f"turn-{number:06d}" for number in (1, 3, 5, 9)]


def test_any_number_of_turns_may_begin_at_once(connection: sqlite3.Connection) -> None:
    for number in range(600):
        begin_turn(connection, new_turn(number, started_at=at(0)))
    begin_turn(connection, new_turn(600, started_at=at(1)))
    assert ids_by_key(connection) == [f"turn-{number:06d}" for number in range(601)]


def test_an_ending_is_looked_at_before_anything_is_written() -> None:
    with pytest.raises(
        InvalidRequestError, match="a turn ends as one of succeeded, failed, interrupted, unknown"
    ):
        ended(turn_ending(state="done"))
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InvalidRequestError, match="cannot be stored"):
        ended(turn_ending(events=[{"deep": nested}]))


def test_an_ending_without_anything_has_no_raw_record(connection: sqlite3.Connection) -> None:
    begin_turn(connection, new_turn())
    end_turn(connection, "turn-000001", ended(turn_ending(text="")))
    assert connection.execute("SELECT count(*) FROM turn_raws").fetchone() == (0,)


@pytest.mark.parametrize("tag", ["", " ", "a\nb", "a\x1fb", "\ud800"])
def test_a_tag_is_a_word_or_some(tag: str, connection: sqlite3.Connection) -> None:
    with pytest.raises(InvalidRequestError, match="is no tag"):
        add_session(connection, session_record(tags=(tag,)))


def test_what_is_deleted_is_overwritten_and_its_room_used_again(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    for number in range(40):
        recorded(store, new_turn(number, f"session-{number % 2}", prompt=f"confidential{number % 2} " * 200))
    store.delete_session("session-1")
    store.close()
    data, size = (tmp_path / "s.sqlite").read_bytes(), os.path.getsize(tmp_path / "s.sqlite")
    assert data.count(b"confidential0 confidential0") > 100
    assert data.count(b"confidential1 confidential1") == 0
    for number in range(40, 55):
        recorded(store, new_turn(number, prompt="others " * 200))
    store.close()
    assert os.path.getsize(tmp_path / "s.sqlite") == size


def test_the_rest_is_overwritten_as_usual_afterwards(connection: sqlite3.Connection) -> None:
    begin_turn(connection, new_turn())
    before = connection.execute("PRAGMA secure_delete").fetchone()
    assert delete_session(connection, "session-a")
    assert not delete_session(connection, "session-a")
    assert connection.execute("PRAGMA secure_delete").fetchone() == before


def test_a_turn_writes_as_much_among_many_as_among_few(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    pages = []
    for number in range(1, 301):
        recorded(
            store,
            new_turn(number, prompt="some words of a prompt " * 10),
            turn_ending(number, text="word " * 100),
        )
        pages.append(os.path.getsize(tmp_path / "s.sqlite-wal") // 4120)
        if number % 50 == 0:
            with store._connections.use() as connection:  # type: ignore[attr-defined]
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert pages[299 - 1] - pages[250] <= 1.5 * (pages[49 - 1] - pages[0])
    store.close()
