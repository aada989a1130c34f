"""What is read page by page: in order, without gaps, and no page larger than it need be."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator

import pytest

from mcp_coder.llm_store.base import SessionFilter
from mcp_coder.llm_store.sqlite_opening import open_memory
from mcp_coder.llm_store.sqlite_reading import (
    PAGE,
    page_sizes,
    session_keys,
    sessions_by_key,
    turns_page,
    unfinished_page,
)
from mcp_coder.llm_store.sqlite_writing import add_session, begin_turn, end_turn, ended
from mcp_coder.testing.store_samples import at, new_turn, session_record, turn_ending, usage_of_dollars


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_memory()) as found:
        yield found


@pytest.mark.parametrize(
    ("wanted", "sizes"),
    [
        (None, [8, 32, 128, 256, 256]),
        (20, [20, 80, 256, 256, 256]),
        (0, [1, 4, 16, 64, 256]),
        (9999, [PAGE] * 5),
    ],
)
def test_pages_grow(wanted: int | None, sizes: list[int]) -> None:
    assert list(itertools.islice(page_sizes(wanted), 5)) == sizes


def test_a_page_ends_where_it_has_enough_text(connection: sqlite3.Connection) -> None:
    for number in range(1, 40):
        begin_turn(connection, new_turn(number, prompt="x" * 400_000))
    page = turns_page(connection, "session-a", 0, PAGE)
    assert 8 <= len(page) <= 20
    assert [turn.number for turn in page] == list(range(1, len(page) + 1))


def test_each_turn_has_its_own_models(connection: sqlite3.Connection) -> None:
    for number, models in enumerate((("a", "b"), (), ("c",)), 1):
        begin_turn(connection, new_turn(number))
        end_turn(
            connection, f"turn-{number:06d}", ended(turn_ending(number, usage=usage_of_dollars("1", *models)))
        )
    for backwards, edge in ((False, 0), (True, 99)):
        page = turns_page(connection, "session-a", edge, PAGE, backwards=backwards)
        found = {turn.number: [model.model for model in turn.usage.models] for turn in page}
        assert found == {1: ["a", "b"], 2: [], 3: ["c"]}


def test_turns_under_way_that_began_at_once_are_all_told(connection: sqlite3.Connection) -> None:
    for number in range(300):
        begin_turn(connection, new_turn(number, started_at=at(0)))
    found, edge = unfinished_page(connection, None, (-1, 0))
    rest, _ = unfinished_page(connection, None, edge)
    assert len({turn.turn_id for turn in (*found, *rest)}) == 300


def test_keys_are_small_and_sessions_come_in_their_order(connection: sqlite3.Connection) -> None:
    for number in range(5):
        add_session(connection, session_record(f"s{number}", minute=number))
    keys = session_keys(connection, SessionFilter(), None)
    assert keys.itemsize == 8
    assert [found.session_id for found in sessions_by_key(connection, keys)] == ["s4", "s3", "s2", "s1", "s0"]
    connection.execute("DELETE FROM sessions WHERE session_id = 's2'")
    assert [found.session_id for found in sessions_by_key(connection, keys)] == ["s4", "s3", "s1", "s0"]


@pytest.mark.parametrize(
    "which", [SessionFilter(), SessionFilter(provider="p"), SessionFilter(project="p")], ids=str
)
def test_lists_go_along_the_index(which: SessionFilter, connection: sqlite3.Connection) -> None:
    steps: list[str] = []
    connection.set_trace_callback(steps.append)
    session_keys(connection, which, 10)
    connection.set_trace_callback(None)
    plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {steps[-1]}")]
    assert plan[0] == "SCAN sessions USING COVERING INDEX sessions_by_time"
    assert [step for step in plan[1:] if "RIGHT PART" not in step] == []
