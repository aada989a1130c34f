"""Our stores keep all promises, each a test; a store that breaks one is found out, by the name of the promise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import NewTurn, Store, TurnEnding, TurnRecord
from mcp_coder.llm_store.sqlite import SQLiteStore
from mcp_coder.testing import STORE_PROMISES, check_store_promises

Opener = Callable[[], Store]


def in_a_file(place: Path) -> Opener:
    return lambda: open_store(f"sqlite:///{place}/store.sqlite")


def in_memory(place: Path) -> Opener:
    store = open_store("memory:")
    return lambda: store


@pytest.mark.parametrize("promise", STORE_PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("kind", [in_a_file, in_memory])
def test_our_stores_keep_their_promises(
    kind: Callable[[Path], Opener], promise: Callable[[Opener], None], tmp_path: Path
) -> None:
    promise(kind(tmp_path))


def test_each_promise_is_there_once_and_says_what_it_is() -> None:
    assert len(set(STORE_PROMISES)) == len(STORE_PROMISES) > 40
    assert [promise.__name__ for promise in STORE_PROMISES if not promise.__doc__] == []


class Rounding(SQLiteStore):
    def end_turn(self, turn_id: str, ending: TurnEnding) -> bool:
        return super().end_turn(turn_id, dataclasses.replace(ending, text=ending.text.strip()))


class Forgetful(SQLiteStore):
    def begin_turn(self, turn: NewTurn) -> TurnRecord:
        return super().begin_turn(dataclasses.replace(turn, host=""))


class Repeating(SQLiteStore):
    def import_turn(self, turn: NewTurn, ending: TurnEnding) -> bool:
        return super().import_turn(turn, ending) or True


BROKEN = {
    Rounding: "any_text_comes_back",
    Forgetful: "a_begun_turn_is_read_back_as_it_was_returned",
    Repeating: "an_import_is_a_turn_like_others_and_is_made_once",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: str(kind.__name__))
def test_a_broken_promise_is_found_out(kind: type[Any]) -> None:
    store = kind("memory:", None)
    (promise,) = (promise for promise in STORE_PROMISES if promise.__name__ == BROKEN[kind])
    with pytest.raises(AssertionError, match="promised"):
        promise(lambda: store)


def test_all_promises_checked_at_once_name_those_that_are_broken() -> None:
    def fresh() -> Opener:
        store = Repeating("memory:", None)
        return lambda: store

    with pytest.raises(ExceptionGroup, match=r"1 of [0-9]+ promises are broken") as caught:
        check_store_promises(fresh)
    (broken,) = caught.value.exceptions
    assert broken.__notes__ == [f"the promise: {BROKEN[Repeating]}"]
