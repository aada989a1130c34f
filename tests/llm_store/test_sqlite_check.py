"""A check finds what is wrong, says what one should know, and changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_coder.llm_store import open_store, sqlite_check
from mcp_coder.llm_store.base import Store
from mcp_coder.testing.promise import recorded
from mcp_coder.testing.store_samples import new_turn, usage_of_dollars


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    for number in range(40):
        recorded(found, new_turn(number, f"session-{number % 4}"))
    yield found
    found.close()


def spoil(store: Store, *statements: str) -> None:
    connection = sqlite3.connect(store.url.removeprefix("sqlite:///"))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE sessions SET cost_nano = 1 WHERE session_id = 'session-1'", "the sums of session session-1"),
        ("UPDATE sessions SET turns = 3 WHERE session_id = 'session-2'", "the sums of session session-2"),
        ("DELETE FROM turn_texts WHERE turn = (SELECT max(id) FROM turns)", "the texts of turn turn-000039"),
        (
            "DELETE FROM sessions WHERE session_id = 'session-3'",
            "a row of turns belongs to nothing in sessions",
        ),
        ("UPDATE turn_texts SET text = 'another word'", "the full-text index is damaged"),
        ("DELETE FROM turn_index_data WHERE id > 100", "the full-text index is damaged"),
    ],
)
def test_what_is_wrong_is_found(store: Store, statement: str, problem: str) -> None:
    assert store.check().problems == ()
    spoil(store, statement)
    problems = store.check().problems
    assert [each for each in problems if problem in each] != [], problems
    assert store.check().problems == problems


def test_a_damaged_page_is_reported_not_raised_and_the_rest_can_be_read(store: Store) -> None:
    path = Path(store.url.removeprefix("sqlite:///"))
    recorded(store, new_turn(50, "session-z", prompt="needle " * 3000))
    store.close()
    data = path.read_bytes()
    page = data.index(b"needle needle") // 4096 * 4096
    path.write_bytes(data[:page] + b"\xaa" * 4096 + data[page + 4096 :])
    report = store.check()
    assert report.problems
    assert all("damaged" in problem for problem in report.problems)
    assert (report.sessions, report.turns) == (5, 41)
    assert len(list(store.turns("session-1"))) == 10


def test_counts_and_size(store: Store) -> None:
    store.begin_turn(new_turn(99))
    report = store.check()
    assert (report.sessions, report.turns, report.unfinished) == (5, 41, 1)
    path = Path(store.url.removeprefix("sqlite:///"))
    assert report.size_bytes == sum(each.stat().st_size for each in path.parent.iterdir())
    assert report.notes == ()


def test_a_large_store_is_noted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_check, "_LARGE", 1000)
    (note,) = store.check().notes
    assert "sessions prune" in note


def test_of_a_large_store_the_index_alone_is_checked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_check, "_MOST_COMPARED", 10)
    spoil(store, "UPDATE turn_texts SET text = 'another word'")
    assert store.check().problems == ()


def test_memory_is_noted() -> None:
    store = open_store("memory:")
    store.reread_turn(recorded(store).turn_id, usage_of_dollars("1"), reading=1, model=None)
    report = store.check()
    assert (report.problems, report.size_bytes) == ((), 0)
    assert report.notes == ("the store is in memory: it goes when it is closed",)
    store.close()
