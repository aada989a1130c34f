"""What a store promises of searches: which turns hold which words."""

from __future__ import annotations

from mcp_coder.llm_store.base import SessionFilter, Store
from mcp_coder.testing.promise import Opener, Promise, opened, recorded, same
from mcp_coder.testing.store_samples import at, new_turn, turn_ending

__all__ = ["SEARCH_PROMISES"]


def words_are_found_in_prompts_and_answers(opener: Opener) -> None:
    """All of them, in any order and either text; whatever stands between them."""
    with opened(opener) as store:
        recorded(
            store, new_turn(1, prompt="My favorite color is blue"), turn_ending(1, text="Noted: blue-green")
        )
        recorded(
            store,
            new_turn(2, prompt="Colour? Über_allem ÉTÉ"),
            turn_ending(2, text="Snake_case, CafE\u0301"),
        )
        recorded(
            store, new_turn(3, prompt="数据库 база 42"), turn_ending(3, text="half \ud800 and \x00 nothing")
        )
        store.begin_turn(new_turn(4, prompt="under way: blue"))
        for words, wanted in _FOUND.items():
            found = [hit.number for hit in store.search(words)]
            same(found, wanted, repr(words))


_FOUND = {
    "blue": [4, 1],
    "BLUE": [4, 1],
    "blue noted": [1],
    "color green": [1],
    "green, blue; noted!": [1],
    '"blue" AND (color)': [],
    "blue AND": [],
    "blu": [],
    "blu*": [4, 1],
    "favorite blu*": [1],
    "blu* favorite": [],
    "blue *": [4, 1],
    "uber": [2],
    "über allem": [2],
    "ete cafe": [2],
    "snake_case": [2],
    "база": [3],
    "数据库": [3],
    "4*": [3],
    "half nothing": [3],
    "and nothing": [3],
    "prompt:blue": [],
    "NEAR(blue)": [],
    "blue^2": [],
    "": [],
    "*": [],
    "?! \ud800 \x00": [],
    "missing": [],
}


def a_hit_shows_the_words(opener: Opener) -> None:
    """Between its marks, with what stands around them; whose turn it is."""
    text = "start " * 500 + "the needle is here" + " end" * 500
    with opened(opener) as store:
        recorded(store, new_turn(1), turn_ending(1, text=text))
        (hit,) = store.search("needle")
        same(
            (hit.session_id, hit.turn_id, hit.number, hit.started_at), ("session-a", "turn-000001", 1, at(1))
        )
        same("the \x02needle\x03 is here" in hit.snippet, True, f"the words in {hit.snippet!r}")
        same(len(hit.snippet) < 500, True, "a short snippet")


def hits_come_the_newest_first(opener: Opener) -> None:
    """All, or so many; also those that were imported later."""
    with opened(opener) as store:
        for number in range(270):
            store.begin_turn(new_turn(number + 1000, f"session-{number % 7}", prompt="word"))
        same(_minutes(store, limit=None), list(range(1269, 999, -1)))
        same(_minutes(store, limit=3), [1269, 1268, 1267])
        same(_minutes(store, limit=0), [])
        for number in (5, 9, 7):
            store.import_turn(new_turn(number, prompt="word"), turn_ending(number))
        same(_minutes(store, limit=None), [*range(1269, 999, -1), 9, 7, 5])
        recorded(store, new_turn(2000, prompt="word"))
        same(_minutes(store, limit=2), [2000, 1269])


def _minutes(store: Store, *, limit: int | None) -> list[int]:
    return [round((hit.started_at - at(0)).total_seconds() / 60) for hit in store.search("word", limit=limit)]


def a_search_keeps_to_the_sessions_of_a_filter(opener: Opener) -> None:
    """And finds as many as there are among them, however many others there are."""
    with opened(opener) as store:
        for number in range(60):
            recorded(store, new_turn(number, f"session-{number % 3}", project=f"/project-{number % 3}"))
        hits = list(store.search("prompt", which=SessionFilter(project="project-1"), limit=15))
        same([hit.session_id for hit in hits], ["session-1"] * 15)


SEARCH_PROMISES: tuple[Promise, ...] = (
    words_are_found_in_prompts_and_answers,
    a_hit_shows_the_words,
    hits_come_the_newest_first,
    a_search_keeps_to_the_sessions_of_a_filter,
)
