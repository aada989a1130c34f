"""How fast a store is read, whatever its size: measures of lists, searches and whole sessions.

Each returns the seconds of one call, the middle one of several, so that what the machine did meanwhile does not count.
What is plain is a ``SELECT`` of the same columns on the same file, its rows fetched and left as they are.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.figure import Sides
from bench.measures import seconds_of_python
from bench.pairs import Measure
from bench.workplace import Workplace
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store

from .corpus import commonest_word, corpus_of, read_corpus
from .filling import RARE_TURNS, RARE_WORD, Filling, filled_store
from .records import session_id

SESSIONS, TURNS_EACH, FEW_SESSIONS = 100_000, 3, 1_000
LISTED, HITS, LAST = 50, 20, 20
LONG = 1_000

_CALLS = 11

_SESSIONS_SQL = "SELECT * FROM sessions ORDER BY updated_at DESC LIMIT ?"
_WORD_SQL = """
SELECT turns.turn_id, turns.number, turns.started_at, turn_texts.prompt, turn_texts.text
FROM turn_index
    CROSS JOIN turns ON turns.id = turn_index.rowid
    CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE turn_index MATCH ? ORDER BY turn_index.rowid DESC LIMIT ?
"""
_TURNS_SQL = """
SELECT turns.*, turn_texts.prompt, turn_texts.text
FROM sessions CROSS JOIN turns ON turns.session = sessions.id CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE sessions.session_id = ? ORDER BY turns.number DESC LIMIT ?
"""


def seconds_of_call(call: Callable[[], int], expected: int, *, calls: int = _CALLS) -> Measure:
    """Measure a call that returns how much it found, which is to be as expected."""
    return lambda: statistics.median(_seconds(call, expected) for _ in range(calls))


def _seconds(call: Callable[[], int], expected: int) -> float:
    began = time.perf_counter()
    found = call()
    seconds = time.perf_counter() - began
    if found != expected:
        raise ValueError(f"{found} were found instead of {expected}")
    return seconds


# --- lists of sessions


def seconds_of_list(place: Workplace) -> Sides:
    """Measure the newest sessions of many, and the plain rows of the same."""
    ours, plain = _opened(place, SESSIONS)
    count = min(LISTED, place.size(SESSIONS))
    return (
        seconds_of_call(functools.partial(_list, ours), count),
        seconds_of_call(lambda: len(plain.execute(_SESSIONS_SQL, (LISTED,)).fetchall()), count),
    )


def seconds_of_lists(place: Workplace) -> Sides:
    """Measure the newest sessions of many, and of few."""
    many, few = _opened(place, SESSIONS)[0], _opened(place, FEW_SESSIONS)[0]
    count = min(LISTED, place.size(FEW_SESSIONS))
    return (
        seconds_of_call(functools.partial(_list, many, count), count),
        seconds_of_call(functools.partial(_list, few, count), count),
    )


def _list(store: Store, count: int = LISTED) -> int:
    return len(list(store.sessions(limit=count)))


def seconds_of_list_command(place: Workplace) -> Sides:
    """Measure ``mcp-coder sessions list`` on many sessions, and an empty interpreter."""
    url = f"sqlite:///{_filled(place, SESSIONS)}"
    return seconds_of_command(*our_command(), "sessions", "list", store=url), seconds_of_python("pass")


def our_command() -> tuple[str, ...]:
    """Return how ``mcp-coder`` is run: as installed beside this Python, or else by module."""
    script = Path(sys.executable).with_name("mcp-coder")
    return (str(script),) if script.exists() else (sys.executable, "-m", "mcp_coder")


def seconds_of_command(*argv: str, store: str = "") -> Measure:
    """Measure a command from its start to its end; it is to print something."""
    env = {**os.environ, "MCP_CODER_STORE": store}

    def measure() -> float:
        began = time.perf_counter()
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        seconds = time.perf_counter() - began
        if not done.stdout:
            raise ValueError(f"{argv} printed nothing")
        return seconds

    return measure


# --- words


def seconds_of_rare_word(place: Workplace) -> Sides:
    """Measure the search for a word that three turns of all hold, and the same in plain SQL."""
    return _search(place, RARE_WORD, RARE_TURNS)


def seconds_of_common_word(place: Workplace) -> Sides:
    """Measure the search for the newest turns that hold a word which nearly all hold, and the same in plain SQL."""
    return _search(place, commonest_word(read_corpus(corpus_of(place))), HITS)


def _search(place: Workplace, word: str, hits: int) -> Sides:
    store, plain = _opened(place, SESSIONS)
    return (
        seconds_of_call(lambda: len(list(store.search(word, limit=HITS))), hits),
        seconds_of_call(lambda: len(plain.execute(_WORD_SQL, (f'"{word}"', HITS)).fetchall()), hits),
    )


# --- turns


def seconds_of_session(place: Workplace) -> Sides:
    """Measure a long session read as a whole, and the plain rows of the same."""
    return _turns(place, None)


def seconds_of_last_turns(place: Workplace) -> Sides:
    """Measure the last turns of a long session, and the plain rows of the same."""
    return _turns(place, LAST)


def _turns(place: Workplace, newest: int | None) -> Sides:
    turns = place.size(LONG)
    store, plain = _open(place, filled_store(place, Filling(sessions=1, session_turns=turns, raw=True)))
    count, session = min(newest or turns, turns), session_id("0" * 8, 0)
    return (
        seconds_of_call(lambda: len(list(store.turns(session, newest=newest))), count),
        seconds_of_call(lambda: len(plain.execute(_TURNS_SQL, (session, count)).fetchall()), count),
    )


# --- stores


def _filled(place: Workplace, sessions: int) -> Path:
    return filled_store(place, Filling(sessions=place.size(sessions), session_turns=TURNS_EACH))


def _opened(place: Workplace, sessions: int) -> tuple[Store, sqlite3.Connection]:
    return _open(place, _filled(place, sessions))


def _open(place: Workplace, path: Path) -> tuple[Store, sqlite3.Connection]:
    store, plain = open_store(f"sqlite:///{path}"), sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    place.closing.callback(store.close)
    place.closing.callback(plain.close)
    return store, plain
