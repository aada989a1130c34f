"""What is read of sessions and turns: records, page by page, so that no transaction stays open between two of them.

A connection comes in, records go out. What is long is read until a page is large enough, in rows or in bytes.
"""

from __future__ import annotations

import array
import json
import operator
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from mcp_coder.llm_store.base import SessionFilter, SessionRecord, TurnRecord
from mcp_coder.llm_store.rows import models_by_turn, session_from_row, turn_from_row
from mcp_coder.llm_store.sqlite_connections import transaction
from mcp_coder.llm_store.sqlite_filters import conditions
from mcp_coder.llm_store.sqlite_statements import run, run_filled

__all__ = [
    "PAGE",
    "number_before_newest",
    "page_sizes",
    "session",
    "session_keys",
    "sessions_by_key",
    "sessions_like",
    "sessions_page",
    "turn",
    "turns_page",
    "unfinished_page",
]

PAGE = 256
"""Rows that are read at a time, at most."""

_prompt_of, _text_of = operator.itemgetter(-2), operator.itemgetter(-1)

_FIRST_PAGE = 8
_GROWTH = 4

_PAGE_CHARACTERS = 4_000_000
"""Of prompts and answers; so much is read at a time, and the one that passes it."""


def page_sizes(wanted: int | None) -> Iterator[int]:
    """Yield how many rows to read: as many as are wanted, or few at first, since many want the first only."""
    size = _FIRST_PAGE if wanted is None else min(max(wanted, 1), PAGE)
    while True:
        yield size
        size = min(size * _GROWTH, PAGE)


# --- sessions


def session(connection: sqlite3.Connection, session_id: str) -> SessionRecord | None:
    """Return a session; None where there is none."""
    row = run(connection, "session", (session_id,)).fetchone()
    return None if row is None else session_from_row(row)


def sessions_page(connection: sqlite3.Connection, which: SessionFilter, limit: int) -> list[SessionRecord]:
    """Return sessions, the last changed first."""
    where, parameters = conditions(which)
    rows = run_filled(connection, "newest_sessions", {**parameters, "limit": limit}, which=where)
    return [session_from_row(row) for row in rows]


def session_keys(connection: sqlite3.Connection, which: SessionFilter, limit: int | None) -> array.array[int]:
    """Return the keys of sessions, the last changed first: 8 bytes each, so that all can be kept."""
    where, parameters = conditions(which)
    bound = {**parameters, "limit": -1 if limit is None else min(limit, sys.maxsize)}
    rows = run_filled(connection, "newest_session_keys", bound, which=where)
    return array.array("q", (key for (key,) in rows))


def sessions_by_key(connection: sqlite3.Connection, keys: Sequence[int]) -> list[SessionRecord]:
    """Return the sessions of keys, in their order; those that were deleted meanwhile are left out."""
    rows = run(connection, "sessions_by_key", {"keys": json.dumps(list(keys))})
    return [session_from_row(row) for row in rows]


def sessions_like(connection: sqlite3.Connection, beginning: str, limit: int) -> list[SessionRecord]:
    """Return the sessions whose id begins so, or whose name is this."""
    parameters = {"beginning": beginning, "behind": beginning + chr(sys.maxunicode), "limit": limit}
    return [session_from_row(row) for row in run(connection, "sessions_like", parameters)]


# --- turns


def turn(connection: sqlite3.Connection, turn_id: str) -> TurnRecord | None:
    """Return a turn; None where there is none."""
    with transaction(connection, "begin_reading"):
        row = run(connection, "turn", (turn_id,)).fetchone()
        return None if row is None else _with_models(connection, [row])[0]


def turns_page(
    connection: sqlite3.Connection, session_id: str, edge: int, limit: int, *, backwards: bool = False
) -> list[TurnRecord]:
    """Return the next turns of a session: those behind a number, or, backwards, before it."""
    name, place = ("turns_backwards", "before") if backwards else ("turns_onwards", "behind")
    with transaction(connection, "begin_reading"):
        rows = _page(run(connection, name, {"session_id": session_id, place: edge, "limit": limit}))
        if not rows:
            return []
        first, last = sorted((rows[0][3], rows[-1][3]))
        between = {"session_id": session_id, "first": first, "last": last}
        models = models_by_turn(run(connection, "models_between", between))
    return [turn_from_row(row, models.get(row[0], ())) for row in rows]


def number_before_newest(connection: sqlite3.Connection, session_id: str, newest: int) -> int:
    """Return the number of the turn before the newest so many of a session; 0 where there is none."""
    found = run(connection, "number_before_newest", {"session_id": session_id, "newest": newest}).fetchone()
    return int(found[0]) if found else 0


def unfinished_page(
    connection: sqlite3.Connection, session_id: str | None, edge: tuple[int, int]
) -> tuple[list[TurnRecord], tuple[int, int]]:
    """Return the next turns that are started, and the edge behind them: the time and the key of the last one."""
    name = "unfinished_turns" if session_id is None else "unfinished_turns_of_session"
    parameters: dict[str, object] = {"behind": edge[0], "key": edge[1], "limit": PAGE}
    if session_id is not None:
        parameters["session_id"] = session_id
    with transaction(connection, "begin_reading"):
        rows = _page(run(connection, name, parameters))
        records = _with_models(connection, rows)
    return records, (rows[-1][6], rows[-1][0]) if rows else edge


def _with_models(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> list[TurnRecord]:
    found = []
    for row in rows:
        models = models_by_turn(run(connection, "models_of_turn", (row[0],)))
        found.append(turn_from_row(row, models.get(row[0], ())))
    return found


def _page(cursor: sqlite3.Cursor) -> list[Sequence[Any]]:
    """Return rows of turns until they are enough; their last two columns are texts."""
    rows: list[Sequence[Any]] = []
    left = _PAGE_CHARACTERS
    while left > 0 and (some := cursor.fetchmany(_FIRST_PAGE)):
        rows += some
        left -= sum(map(len, map(_prompt_of, some))) + sum(map(len, map(_text_of, some)))
    cursor.close()
    return rows
