"""From which turn a turn goes on: within its session, or, for a fork's first turn, in the session behind it.

A fork of a fork may share nothing of its parent's own turns, only what that one shares with its own parent.
"""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from mcp_coder.llm_store.sqlite_statements import run

__all__ = ["Past", "past_of_fork", "past_within"]

_MOST_GENERATIONS = 1000
"""Of forks of forks: what goes on beyond is a circle."""


class Past(NamedTuple):
    """The last turn that comes before.

    Attributes:
        number: its number among the parent's own turns; 0: it is older than those, None: it is not known.
        turn_id: its id; None: it is not in this store.
    """

    number: int | None = None
    turn_id: str | None = None


def past_within(connection: sqlite3.Connection, session: int, number: int) -> Past:
    """Return the turn of a number in a session, by the session's key."""
    found = run(connection, "turn_by_number", {"session": session, "number": number}).fetchone()
    return Past(number=number, turn_id=found[1] if found else None)


def past_of_fork(
    connection: sqlite3.Connection,
    parent_id: str | None,
    point: str | None = None,
    *,
    number: int | None = None,
) -> Past:
    """Return the last turn that a fork shares.

    Args:
        connection: reads it.
        parent_id: the session that it was forked from.
        point: the native id of the last message that they share; None: the parent's end.
        number: the number of that turn among the parent's own, where it is known already.
    """
    first = True
    for _ in range(_MOST_GENERATIONS):
        parent = _session(connection, parent_id)
        if parent is None:
            break
        key, _, parent_id, parent_turn = parent
        found = _found(connection, key, point, number)
        if found is not None:
            return Past(number=found[0] if first else 0, turn_id=found[1])
        first = False
        if point is None:  # all that it shares is older than the parent: go on where the parent was forked
            if parent_turn is None:
                break
            number = parent_turn
    return Past(number=number if first else None)


def _session(connection: sqlite3.Connection, session_id: str | None) -> Any:
    return None if session_id is None else run(connection, "session_to_write", (session_id,)).fetchone()


def _found(connection: sqlite3.Connection, key: int, point: str | None, number: int | None) -> Any:
    """Return the number and the id of the turn that is looked for, if it is one of a session's own."""
    if point is not None:
        return run(connection, "turn_by_point", {"session": key, "point": point}).fetchone()
    if number is not None:
        return run(connection, "turn_by_number", {"session": key, "number": number}).fetchone()
    return run(connection, "last_ended_turn", {"session": key}).fetchone()
