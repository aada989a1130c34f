"""Whether a store is sound, and how large: what SQLite finds, what our own sums say, and what its user should know.

A connection and a path come in, a ``StoreReport`` goes out. It changes nothing; a store that cannot be read at all
raises.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable

from mcp_coder.llm_store.base import StoreReport
from mcp_coder.llm_store.sqlite_files import writable
from mcp_coder.llm_store.sqlite_statements import run

__all__ = ["report"]

_LARGE = 2_000_000_000
"""Bytes from which on a store is called large."""

_MOST_PROBLEMS = 100
_MOST_COMPARED = 20_000
"""Turns whose texts are held against the index: half a second's work, during which nobody writes."""


def report(connection: sqlite3.Connection, path: str | None, *, remote: bool) -> StoreReport:
    """Return what a check finds."""
    size = _size(path)
    problems = [problem for find in _CHECKS for problem in _found(find, connection)]
    sessions, turns, unfinished = _counts(connection)
    return StoreReport(
        problems=tuple(problems[:_MOST_PROBLEMS]),
        notes=tuple(_notes(path, size, remote=remote)),
        size_bytes=size,
        sessions=sessions,
        turns=turns,
        unfinished=unfinished,
    )


def _found(find: Callable[[sqlite3.Connection], list[str]], connection: sqlite3.Connection) -> list[str]:
    """Return what one of the checks finds; that it stumbles over damage is a finding too."""
    try:
        return find(connection)
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            return [f"the file is damaged: {error}"]
        raise


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _counts(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return how many sessions, turns and turns under way there are; 0 where damage keeps them from being counted."""
    try:
        sessions, turns, unfinished = run(connection, "counts").fetchone()
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            return 0, 0, 0
        raise
    return sessions, turns, unfinished


def _size(path: str | None) -> int:
    if path is None:
        return 0
    beside = (path, f"{path}-wal", f"{path}-shm", f"{path}.lock")
    return sum(os.path.getsize(each) for each in beside if os.path.exists(each))


def _notes(path: str | None, size: int, *, remote: bool) -> list[str]:
    notes = []
    if path is None:
        notes.append("the store is in memory: it goes when it is closed")
    if remote:
        notes.append(
            "the store lies on a network or FUSE file system: it is written without WAL, and readers wait for writers"
        )
    if path is not None and not writable(path):
        notes.append("the store can be read but not written here")
    if size > _LARGE:
        notes.append(f"the store takes {size / 1e9:.1f} GB; `mcp-coder sessions prune` makes room in it")
    return notes


# --- what may be wrong


def _structure(connection: sqlite3.Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST_PROBLEMS})")]
    return [] if found == ["ok"] else [f"the file is damaged: {each}" for each in found]


def _references(connection: sqlite3.Connection) -> list[str]:
    return [
        f"a row of {table} belongs to nothing in {parent}"
        for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check")
    ]


def _sums(connection: sqlite3.Connection) -> list[str]:
    return [
        f"the sums of session {session_id} are not those of its turns"
        for (session_id,) in run(connection, "wrong_sums", {"limit": _MOST_PROBLEMS})
    ]


def _texts(connection: sqlite3.Connection) -> list[str]:
    return [
        f"the texts of turn {turn_id} are missing" for (turn_id,) in run(connection, "turns_without_texts")
    ]


def _index(connection: sqlite3.Connection) -> list[str]:
    """Ask the index whether it is sound, and, where that is soon done, whether it fits the texts.

    It takes the question for a change: writers wait for the answer, and a store that cannot be written is not asked.
    """
    _, turns, _ = _counts(connection)
    try:
        run(connection, "check_index", {"with_texts": int(turns <= _MOST_COMPARED)})
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            return ["the full-text index is damaged: searches may miss turns"]
    return []


_CHECKS: tuple[Callable[[sqlite3.Connection], list[str]], ...] = (
    _structure,
    _references,
    _texts,
    _sums,
    _index,
)
