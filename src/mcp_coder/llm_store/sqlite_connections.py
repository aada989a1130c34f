"""Connections to the file of a store: one for each thread of a process, opened when it is first needed.

``use`` lends the calling thread its connection, ``write`` lends it within one durable transaction. What a
connection raises is left to the caller. Connections of threads that ended are closed. Before a ``fork()`` all are
closed: SQLite's own notes about its locks would otherwise be copied with them, and be wrong in the child. A file
that was replaced is opened anew.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Protocol

from mcp_coder.llm_store.sql_queries import load_queries
from mcp_coder.llm_store.sqlite_files import identity
from mcp_coder.llm_store.sqlite_lock import WriteLock

__all__ = ["Connections", "FileConnections", "MemoryConnection", "transaction"]

_QUERIES = load_queries("sqlite")
_FORK_WAIT_SECONDS = 5.0
"""A ``fork()`` waits so long for what other threads are doing with the store."""

Opener = Callable[[], sqlite3.Connection]


class _Lock(Protocol):
    def acquire(self, *, timeout: float) -> bool: ...
    def release(self) -> None: ...


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Let the block be one transaction: all of it, or, where it raises, nothing."""
    if connection.in_transaction:  # a signal's exception came between two lines of ours
        connection.execute(_QUERIES["rollback"])
    connection.execute(_QUERIES[begin])
    try:
        yield
        connection.execute(_QUERIES["commit"])
    except BaseException:
        if connection.in_transaction:
            connection.execute(_QUERIES["rollback"])
        raise


class _Held:
    """The connection of one thread, and the lock that says whether it is in use."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None
        self.file: tuple[int, int] | None = None

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def __del__(self, suppress: type = contextlib.suppress, error: type = sqlite3.Error) -> None:
        # Named here, since at the interpreter's end the modules are gone before the last connection.
        with suppress(error):
            self.close()


class FileConnections:
    """The connections of this process to one file.

    Args:
        path: the file.
        opener: opens it; made ready for use, usable from any thread.
        lock: the turn to write to it.
    """

    def __init__(self, path: str, opener: Opener, lock: WriteLock) -> None:
        self._path = path
        self._opener = opener
        self._lock = lock
        self._local = threading.local()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()
        self._gate = threading.Lock()
        self._frozen: list[_Lock] = []
        _all_connections.add(self)

    @contextlib.contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection of this thread."""
        held = self._held()
        with held.lock:
            yield self._opened(held)

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection of this thread within one transaction that is durable when the block has ended."""
        # The locks in this order everywhere, around a fork too: the connection's, then the turn to write.
        with self.use() as connection, self._lock.held(), transaction(connection, "begin_writing"):
            yield connection

    def close(self) -> None:
        """Close all; the next use opens anew."""
        for held in self._known():
            with held.lock:
                held.close()
        self._lock.close()

    def _held(self) -> _Held:
        held: _Held | None = getattr(self._local, "held", None)
        if held is None:
            with self._gate:
                held = self._local.held = _Held()
                self._all.add(held)
        return held

    def _known(self) -> list[_Held]:
        with self._gate:
            return list(self._all)

    def _opened(self, held: _Held) -> sqlite3.Connection:
        found = identity(self._path)
        if held.connection is not None and found is not None and found == held.file:
            return held.connection
        held.close()
        connection = held.connection = self._opener()
        held.file = identity(self._path)
        return connection

    # --- around a fork

    def before_fork(self) -> None:
        """Close all connections and keep every thread from opening one; give up on those that take too long."""
        self._frozen = []
        if self._freeze(self._gate):
            for held in list(self._all):
                if self._freeze(held.lock):
                    held.close()
        self._freeze(self._lock.thread_lock)

    def _freeze(self, lock: _Lock) -> bool:
        frozen = lock.acquire(timeout=_FORK_WAIT_SECONDS)
        if frozen:
            self._frozen.append(lock)
        return frozen

    def after_fork(self) -> None:
        """Let the threads go on."""
        frozen, self._frozen = self._frozen, []
        for lock in frozen:
            lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: the other threads are not here, nor is what they held."""
        self._frozen = []
        for held in list(self._all):
            if held.connection is not None:
                _keep_for_ever(held.connection)
                held.connection = None
        self._local = threading.local()
        self._all = weakref.WeakSet()
        self._gate = threading.Lock()
        self._lock.forget()


class MemoryConnection:
    """The one connection to a store in memory; threads take turns. After a ``fork()`` the child has a copy."""

    def __init__(self, opener: Opener) -> None:
        self._connection = opener()
        self._lock = threading.RLock()
        self._frozen = False
        _all_connections.add(self)

    @contextlib.contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection."""
        with self._lock:
            yield self._connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection within one transaction."""
        with self._lock, transaction(self._connection, "begin_writing"):
            yield self._connection

    def close(self) -> None:
        """Close it; what it held is gone."""
        with self._lock:
            self._connection.close()

    def before_fork(self) -> None:
        """Wait for the transaction that is under way."""
        self._frozen = self._lock.acquire(timeout=_FORK_WAIT_SECONDS)

    def after_fork(self) -> None:
        """Let the threads go on."""
        if self._frozen:
            self._frozen = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew with the copy."""
        self._frozen = False
        self._lock = threading.RLock()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()


Connections = FileConnections | MemoryConnection

_all_connections: weakref.WeakSet[FileConnections | MemoryConnection] = weakref.WeakSet()
_in_fork: list[FileConnections | MemoryConnection] = []


def _before_fork() -> None:
    _in_fork[:] = list(_all_connections)
    for connections in _in_fork:
        connections.before_fork()


def _after_fork() -> None:
    for connections in _in_fork:
        connections.after_fork()
    _in_fork.clear()


def _after_fork_in_child() -> None:
    for connections in _in_fork:
        connections.after_fork_in_child()
    _in_fork.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


def _keep_for_ever(connection: sqlite3.Connection) -> None:
    """Never close what another thread of the parent was using: closing it here could undo what the parent writes."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
