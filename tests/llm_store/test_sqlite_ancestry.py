"""Where a turn goes on from: rows of forks, of forks of forks, and of forks that were lost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from mcp_coder.llm_store.sqlite_ancestry import Past, past_of_fork, past_within
from mcp_coder.llm_store.sqlite_opening import open_memory
from mcp_coder.llm_store.sqlite_writing import add_session, begin_turn, end_turn, ended
from mcp_coder.testing.store_samples import new_turn, session_record, turn_ending


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """Hold a session of two turns, a fork of it with one, and a fork of that without any."""
    with contextlib.closing(open_memory()) as found:
        for number in (1, 2):
            begin_turn(found, new_turn(number, "root"))
            end_turn(found, f"turn-{number:06d}", ended(turn_ending(number, point=f"point-{number}")))
        begin_turn(found, new_turn(3, "fork", parent_id="root", parent_point="point-1"))
        end_turn(found, "turn-000003", ended(turn_ending(3, point="point-3")))
        add_session(found, session_record("empty", parent_id="fork", parent_turn=1))
        add_session(found, session_record("older", parent_id="fork", parent_turn=0))
        add_session(found, session_record("lost", parent_id="gone"))
        add_session(found, session_record("unknown", parent_id="root"))
        for name, parent in (("circle-a", "circle-b"), ("circle-b", "circle-a")):
            add_session(found, session_record(name, parent_id=parent, parent_turn=1))
        yield found


@pytest.mark.parametrize(
    ("parent", "point", "past"),
    [
        ("root", None, Past(number=2, turn_id="turn-000002")),
        ("root", "point-1", Past(number=1, turn_id="turn-000001")),
        ("root", "point-9", Past()),
        ("fork", None, Past(number=1, turn_id="turn-000003")),
        ("fork", "point-1", Past(number=0, turn_id="turn-000001")),
        ("fork", "point-2", Past(number=0, turn_id="turn-000002")),
        ("empty", None, Past(number=0, turn_id="turn-000003")),
        ("empty", "point-3", Past(number=0, turn_id="turn-000003")),
        ("older", None, Past(number=0, turn_id="turn-000001")),
        ("lost", None, Past()),
        ("lost", "point-1", Past()),
        ("unknown", None, Past()),
        ("circle-a", None, Past()),
        ("circle-a", "point-1", Past()),
        ("gone", None, Past()),
        (None, None, Past()),
    ],
)
def test_a_fork_goes_on_from(
    connection: sqlite3.Connection, parent: str, point: str | None, past: Past
) -> None:
    assert past_of_fork(connection, parent, point) == past


def test_the_number_may_be_known_already(connection: sqlite3.Connection) -> None:
    assert past_of_fork(connection, "root", number=1) == Past(number=1, turn_id="turn-000001")
    assert past_of_fork(connection, "gone", number=4) == Past(number=4)


def test_a_turn_under_way_is_no_end(connection: sqlite3.Connection) -> None:
    begin_turn(connection, new_turn(4, "root"))
    assert past_of_fork(connection, "root") == Past(number=2, turn_id="turn-000002")


def test_within_a_session_it_is_the_turn_before(connection: sqlite3.Connection) -> None:
    (key,) = connection.execute("SELECT id FROM sessions WHERE session_id = 'root'").fetchone()
    assert past_within(connection, key, 2) == Past(number=2, turn_id="turn-000002")
    assert past_within(connection, key, 9) == Past(number=9)
