"""Words become a question to the index, whatever stands in them; what is not indexed yet is found too."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store
from mcp_coder.llm_store.sqlite_search import match_for
from mcp_coder.testing.promise import recorded
from mcp_coder.testing.store_samples import new_turn, turn_ending


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("blue", '"blue"'),
        ("Grüße, blue-col*", '"gruße" AND "blue" AND "col"*'),
        ("a b a", '"a" AND "b" AND "a"'),
        ('"quoted" OR x NOT y', '"quoted" AND "or" AND "x" AND "not" AND "y"'),
        ("col:umn ^x +y -z (w)", '"col" AND "umn" AND "x" AND "y" AND "z" AND "w"'),
        ("blue * ", '"blue"*'),
        ("* blue", '"blue"'),
        ("", ""),
        ("* ?! \n", ""),
        ("a\x00b \ud800 c", '"a" AND "b" AND "c"'),
    ],
)
def test_words_in_the_language_of_the_index(words: str, match: str) -> None:
    assert match_for(words) == match


def indexed(store: Store) -> int:
    with store._connections.use() as connection:  # type: ignore[attr-defined]
        count: int = connection.execute("SELECT count(*) FROM turns WHERE indexed").fetchone()[0]
        return count


def numbers(store: Store, words: str, limit: int | None = None) -> list[int]:
    return [hit.number for hit in store.search(words, limit=limit)]


def test_turns_are_found_before_and_after_they_are_indexed(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    seen = set()
    for number in range(1, 40):
        store.begin_turn(new_turn(number, prompt="the question"))
        assert numbers(store, "question") == list(range(number, 0, -1))
        store.end_turn(f"turn-{number:06d}", turn_ending(number, text="the reply"))
        assert numbers(store, "question reply") == list(range(number, 0, -1))
        assert numbers(store, "question", limit=5) == list(range(number, 0, -1))[:5]
        seen.add(indexed(store))
    assert seen == {0, 16, 32}
    assert store.check().problems == ()
    store.close()


def test_a_long_text_is_indexed_at_once(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    recorded(store, new_turn(1), turn_ending(1, text="word " * 10_000))
    assert indexed(store) == 1
    assert numbers(store, "prompt word") == [1]
    store.close()


@pytest.mark.parametrize("turns", [1, 16], ids=["waiting", "indexed"])
def test_a_snippet_of_odd_text_is_text(turns: int, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    for number in range(turns):
        recorded(
            store, new_turn(number, prompt="half \ud800 needle \x00 rest", session_id=f"session-{number}")
        )
    assert next(store.search("needle")).snippet.startswith("half \ud800 \x02needle\x03")
    store.close()


def test_a_deleted_session_is_not_found_whether_it_was_indexed_or_not(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    for number in range(20):
        recorded(store, new_turn(number, f"session-{number % 2}"))
    assert indexed(store) == 16
    store.delete_session("session-1")
    assert {hit.session_id for hit in store.search("prompt", limit=None)} == {"session-0"}
    assert store.check().problems == ()
    store.close()
