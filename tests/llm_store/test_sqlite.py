"""The SQLite store as its callers have it: any record comes back, errors are ours, and nothing is left open.

What every store promises is tested in ``tests/testing/test_store_promises.py``.
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_coder.llm_errors import InvalidRequestError, StoreError, UnsupportedVersionError
from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import ENDED_STATES, NewTurn, Store, TurnEnding, TurnRecord
from mcp_coder.testing.promise import recorded
from mcp_coder.testing.store_samples import new_turn, turn_ending


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    yield found
    found.close()


def path_of(store: Store) -> Path:
    return Path(store.url.removeprefix("sqlite:///"))


# --- whatever is recorded comes back

texts = st.text(st.characters(codec=None), max_size=30)
maybe = st.none() | texts
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds have none
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=4
)
objects = st.dictionaries(texts, plain, max_size=3)
counts = st.integers(0, 10**17)
dollars = st.none() | st.integers(0, 10**17).map(lambda nano: Decimal(f"{nano}E-9"))
models = st.builds(
    ModelUsage,
    model=texts,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    cost_usd=dollars,
)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    thinking_tokens=st.none() | counts,
    cost_usd=dollars,
    total_cost_usd=dollars,
    basis=texts,
    baseline_usd=dollars,
    unrecorded_usd=dollars,
    models=st.lists(models, max_size=3, unique_by=lambda model: model.model).map(tuple),
)
turns = st.builds(
    NewTurn,
    turn_id=st.uuids().map(str),
    session_id=st.sampled_from(["a", "b"]),
    provider=texts,
    method=texts,
    prompt=texts,
    started_at=times,
    session_name=maybe,
    native_id=maybe,
    cwd=maybe,
    project=maybe,
    config_dir=maybe,
    model=maybe,
    agent_version=texts,
    mcp_coder_version=texts,
    host=texts,
    directory=maybe,
    options=objects,
    carried=st.lists(texts, max_size=2).map(tuple),
    baseline=st.none() | objects.filter(bool),
    redactions=st.integers(0, 99),
)
endings = st.builds(
    TurnEnding,
    state=st.sampled_from(ENDED_STATES),
    ended_at=times,
    text=texts,
    response=st.none() | objects.filter(bool),
    error=st.none() | objects.filter(bool),
    events=st.lists(objects, max_size=3),
    usage=usages,
    reading=st.integers(0, 99),
    model=texts,
    native_id=texts,
    point=maybe,
    counter=st.none() | objects.filter(bool),
    notices=st.lists(texts, max_size=2).map(tuple),
    redactions=st.integers(0, 99),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(turns, endings), min_size=1, max_size=4, unique_by=lambda each: each[0].turn_id))
def test_any_turn_comes_back_as_it_was(given_turns: list[tuple[NewTurn, TurnEnding]]) -> None:
    store = open_store("memory:")
    for turn, ending in given_turns:
        begun = store.begin_turn(turn)
        assert store.turn(turn.turn_id) == begun
        assert store.end_turn(turn.turn_id, ending)
        kept = {name: getattr(ending, name) for name in _KEPT_OF_ENDINGS}
        wanted = dataclasses.replace(begun, **kept, redactions=turn.redactions + ending.redactions)
        assert store.turn(turn.turn_id) == wanted
        assert (store.response(turn.turn_id), store.events(turn.turn_id)) == (
            ending.response,
            tuple(ending.events),
        )
    assert store.check().problems == ()
    store.close()


_KEPT_OF_ENDINGS = {field.name for field in dataclasses.fields(TurnEnding)} - {
    "response",
    "events",
    "redactions",
}


def test_what_is_not_json_is_refused_and_leaves_the_turn_under_way(store: Store) -> None:
    store.begin_turn(new_turn())
    bad: Any = {"at": datetime(2026, 1, 1, tzinfo=UTC)}
    for ending in (turn_ending(events=[bad]), turn_ending(error=bad), turn_ending(response=bad)):
        with pytest.raises(InvalidRequestError, match="datetime is not JSON"):
            store.end_turn("turn-000001", ending)
    assert store.turn("turn-000001").state == "started"


# --- errors


def test_a_newer_version_that_comes_while_it_is_open_is_noticed(store: Store) -> None:
    recorded(store)
    other = sqlite3.connect(path_of(store))
    other.execute("UPDATE meta SET value = 99 WHERE key = 'minimum_writer'")
    other.commit()
    other.close()
    with pytest.raises(UnsupportedVersionError):
        store.begin_turn(new_turn(2))
    assert store.session("session-a").turns == 1


def test_a_store_that_was_taken_away_begins_anew(store: Store) -> None:
    recorded(store)
    for name in ("s.sqlite", "s.sqlite-wal", "s.sqlite-shm"):
        path_of(store).with_name(name).unlink()
    recorded(store, new_turn(2))
    assert [turn.number for turn in store.turns("session-a")] == [1]


def test_a_writer_that_does_not_end_is_an_error_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_coder.llm_store.sqlite_opening._BUSY_SECONDS", 0.05)
    store.close()
    other = sqlite3.connect(path_of(store), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="Try again") as caught:
        store.begin_turn(new_turn())
    assert caught.value.retryable
    assert list(store.sessions()) == []  # who reads does not wait
    other.execute("ROLLBACK")
    other.close()
    recorded(store)


def test_a_full_store_is_an_error_and_later_writes_work(store: Store) -> None:
    recorded(store)
    with store._connections.use() as connection:  # type: ignore[attr-defined]  # a limit in place of a full disk
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    begun = store.begin_turn(new_turn(2))
    with pytest.raises(StoreError, match="Make room"):
        store.end_turn(begun.turn_id, turn_ending(2, text="word " * 100_000))
    assert store.turn(begun.turn_id) == begun
    assert (store.check().problems, store.check().unfinished) == ((), 1)
    with store._connections.use() as connection:  # type: ignore[attr-defined]
        connection.execute("PRAGMA max_page_count = 1000000")
    assert store.end_turn(begun.turn_id, turn_ending(2, text="word " * 100_000))
    assert len(store.turn(begun.turn_id).text) == 500_000


def test_a_closed_memory_is_a_store_error() -> None:
    store = open_store("memory:")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.begin_turn(new_turn())


# --- what it holds open


def open_files(path: Path) -> int:
    links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
    return sum(link.exists() and str(link.readlink()).startswith(str(path)) for link in links)


def use_and_forget(path: Path) -> None:
    """Use a store in four threads and in this one; close it, use it again, and do not close it."""
    store = open_store(f"sqlite:///{path}/s.sqlite")
    turns = [new_turn(number) for number in range(4)]
    threads = [threading.Thread(target=recorded, args=(store, turn)) for turn in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded(store, new_turn(8))
    assert open_files(path) > 0
    store.close()
    assert open_files(path) == 0
    recorded(store, new_turn(9))
    assert open_files(path) > 0


def test_nothing_is_left_open(tmp_path: Path) -> None:
    use_and_forget(tmp_path)
    gc.collect()
    assert open_files(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.sqlite", "s.sqlite.lock"]


def test_a_list_that_is_left_early_blocks_nobody(store: Store) -> None:
    for number in range(30):
        recorded(store, new_turn(number))
    left = [
        store.turns("session-a"),
        store.sessions(),
        store.search("prompt", limit=None),
        store.unfinished_turns(),
    ]
    for each in left:
        next(each, None)
    with store._connections.use() as connection:  # type: ignore[attr-defined]
        assert not connection.in_transaction
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
    assert store.delete_session("session-a")


def test_an_iterator_may_go_on_in_another_thread(store: Store) -> None:
    for number in range(30):
        recorded(store, new_turn(number))
    turns: Iterator[TurnRecord] = store.turns("session-a")
    rest: list[int] = []
    assert [turn.number for turn in itertools.islice(turns, 3)] == [1, 2, 3]
    thread = threading.Thread(target=lambda: rest.extend(turn.number for turn in turns))
    thread.start()
    thread.join()
    assert rest == list(range(4, 31))


def test_two_stores_of_one_file_see_each_other(store: Store) -> None:
    other = open_store(store.url)
    turn = recorded(store)
    assert other.turn(turn.turn_id) == turn
    recorded(other, new_turn(2))
    assert [turn.number for turn in store.turns("session-a")] == [1, 2]
    other.close()


def test_large_texts_are_read_a_few_at_a_time(store: Store) -> None:
    for number in range(10):
        recorded(store, new_turn(number, prompt="p" * 1_000_000), turn_ending(number, text="t" * 1_000_000))
    turns = list(store.turns("session-a"))
    assert [(len(turn.prompt), len(turn.text)) for turn in turns] == [(1_000_000, 1_000_000)] * 10
    assert [turn.number for turn in store.turns("session-a", newest_first=True)] == list(range(10, 0, -1))
