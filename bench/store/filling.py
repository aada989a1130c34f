"""A large store, made quickly: rows that the store itself wrote, copied by SQL with ids and times of their own.

One durable commit a write would take many minutes. So the turns of the corpus are recorded once, by the library, in a
store of one session each; a second store is made by the library and filled from the first, table by table, without
commits in between; sums and the full-text index are worked out at the end. A prompt ends with a word of its own.
Responses and events are left out unless they are asked for: nothing that is read of a large store here is in them.
``Store.check`` finds nothing wrong with what comes out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from bench.workplace import Workplace
from mcp_coder.llm_store import open_store

from .corpus import TURNS, corpus_file, read_corpus
from .records import SESSION_TURNS, in_sessions

RARE_WORD = "hapaxlegomenon"
RARE_TURNS = 3
"""How many turns of a filled store hold the rare word, evenly spread."""

_MODES = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000", "foreign_keys = OFF")

_SECOND = 1_000_000
_START = f"{1_767_225_600 * _SECOND} + {30 * _SECOND} * (row.id - 1)"
"""When the turn of a row began: one every 30 s from 2026-01-01 on, in microseconds."""
_KEY = ":first + :step * (row.id - 1)"
_SESSION_ID = "printf('00000000-0000-4000-8000-%012x', {} - 1)"
_TURN_ID = "printf('%08x-%04x-7000-8000-%012x', ({time}) / 65536000, ({time}) / 1000 & 65535, row.id {which})"
_NUMBER = "((row.id - 1) % :session_turns + 1)"
_SESSION = "((row.id - 1) / :session_turns + 1)"

_COPIES: Mapping[str, Mapping[str, str]] = {
    "sessions": {
        "id": _KEY,
        "session_id": _SESSION_ID.format("row.id"),
        "native_id": _SESSION_ID.format("row.id"),
    },
    "turns": {
        "id": _KEY,
        "turn_id": _TURN_ID.format(time=_START, which=""),
        "session": _SESSION,
        "number": _NUMBER,
        "parent_turn_id": f"iif({_NUMBER} = 1, NULL, {_TURN_ID.format(time=_START, which='- 1')})",
        "started_at": _START,
        "ended_at": f"{_START} + {20 * _SECOND}",
        "native_id": _SESSION_ID.format(_SESSION),
        "indexed": "1",
    },
    "turn_models": {"turn": _KEY},
    "turn_texts": {
        "turn": _KEY,
        "prompt": f"copied.prompt || printf(' mark%07d', row.id) || iif(row.id % :rare = 0, ' {RARE_WORD}', '')",
    },
    "turn_raws": {"turn": _KEY},
}
"""Of each table that is copied, its key and the other columns that do not stay as they are; ``row.id`` counts rows."""

_SUMS = """
UPDATE sessions SET
    turns = :session_turns, last_number = :session_turns,
    (created_at, updated_at, unaccounted_turns, cost_nano, unrecorded_nano, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens) = (
    SELECT min(started_at), max(ended_at), sum(cost_nano IS NULL), sum(cost_nano), sum(unrecorded_nano),
        sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens)
    FROM turns WHERE session = sessions.id)
"""
_INDEX = "INSERT INTO turn_index (turn_index) VALUES ('rebuild')"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filling:
    """How large a store is.

    Attributes:
        sessions: how many.
        session_turns: how many turns each has.
        raw: whether responses and events are there.
    """

    sessions: int
    session_turns: int = SESSION_TURNS
    raw: bool = False

    @property
    def turns(self) -> int:
        """How many turns there are."""
        return self.sessions * self.session_turns


def filled_store(place: Workplace, filling: Filling) -> Path:
    """Return the file of such a store, made when it is first asked for."""
    return _filled_store(place.home, place.size(TURNS), filling)


@functools.cache
def _filled_store(directory: Path, corpus: int, filling: Filling) -> Path:
    path = directory / f"filled-{filling.sessions}x{filling.session_turns}{'-raw' * filling.raw}.sqlite"
    open_store(_url(path)).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS copied", (str(_recorded_corpus(directory, corpus)),))
        _fill(connection, filling, corpus)
    open_store(_url(path)).close()  # it goes back to the journal that it wants
    return path


def _url(path: Path) -> str:
    return f"sqlite:///{path}"


@functools.cache
def _recorded_corpus(directory: Path, count: int) -> Path:
    """Return a store with each turn of the corpus, as the second one of a session: a first one has no baseline."""
    path = directory / "recorded-corpus.sqlite"
    with contextlib.closing(open_store(_url(path))) as store:
        turns = read_corpus(corpus_file(directory, count))
        for record in itertools.islice(in_sessions(turns, session_turns=1, behind=1), count):
            store.import_turn(*record)
    return path


def _fill(connection: sqlite3.Connection, filling: Filling, corpus: int) -> None:
    for mode in _MODES:
        connection.execute(f"PRAGMA main.{mode}")
    connection.execute("BEGIN")
    for table in _COPIES:
        if filling.raw or table != "turn_raws":
            _copy(connection, table, filling, corpus)
    connection.execute(_SUMS, {"session_turns": filling.session_turns})
    connection.execute(_INDEX)
    connection.execute("COMMIT")


def _copy(connection: sqlite3.Connection, table: str, filling: Filling, corpus: int) -> None:
    own = _COPIES[table]
    key = next(iter(own))
    names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(own.get(name, f"copied.{name}") for name in names)
    statement = f"""
    WITH RECURSIVE row (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM row WHERE id < :count)
    INSERT INTO main.{table} ({", ".join(names)}) SELECT {values}
    FROM row CROSS JOIN copied.{table} AS copied ON copied.{key} = :first + :step * ((row.id - 1) % {corpus})
    """
    # Keys go by time, or by one: in the corpus as recorded they are evenly spread, and they go on like that.
    bounds = f"SELECT min({key}), (max({key}) - min({key})) / {corpus - 1} FROM copied.{table}"
    first, step = connection.execute(bounds).fetchone()
    parameters = {
        "first": first,
        "step": step,
        "count": filling.sessions if table == "sessions" else filling.turns,
        "session_turns": filling.session_turns,
        "rare": max(filling.turns // RARE_TURNS, 1),
    }
    connection.execute(statement, parameters)
