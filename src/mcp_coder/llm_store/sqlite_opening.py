"""A connection to a store, made ready: a path comes in, a connection with the right modes and schema goes out.

What SQLite and the system raise is left to the caller. On file systems of other machines, where the shared memory
of WAL cannot work, the journal is truncated instead; readers then wait for writers, and one warning in the log says
so.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3

from mcp_coder.llm_store.sqlite_files import create_private, identity, is_remote, writable
from mcp_coder.llm_store.sqlite_lock import WriteLock
from mcp_coder.llm_store.sqlite_migrations import is_current, migrate

__all__ = ["Opening", "open_memory"]

_BUSY_SECONDS = 10.0
"""How long SQLite itself waits for another writer, after the wait for the turn to write."""

_MODES = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "wal_autocheckpoint = 4000",  # pages of 4 kB: what many turns wrote to one page is then copied once
    "secure_delete = FAST",  # some builds of SQLite overwrite all that is freed, at the price of many writes
)

_warned: set[str] = set()


class Opening:
    """How the file of a store is opened.

    Attributes:
        remote: whether it lies on a network or FUSE file system.
    """

    def __init__(self, path: str, url: str, lock: WriteLock) -> None:
        self._path = path
        self._url = url
        self._lock = lock
        self._seen: tuple[int, int] | None = None
        self.remote = False

    def open(self) -> sqlite3.Connection:
        """Open the file, made where it is missing. Takes the turn to write where the file is to be changed."""
        create_private(self._path)
        connection = _connected(f"{_uri(self._path)}?mode=rw")
        try:
            self._make_ready(connection)
        except sqlite3.OperationalError:
            connection.close()
            if writable(self._path):
                raise
            return self._opened_for_reading()
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_ready(self, connection: sqlite3.Connection) -> None:
        _set_modes(connection)
        known = identity(self._path)
        if self._seen != known:
            self.remote = is_remote(self._path)
            self._seen = known
        # Each time: a file that was taken away and made anew may have the number of the old one.
        self._prepare(connection)
        if self.remote:
            connection.execute("PRAGMA journal_mode = TRUNCATE")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Do what is still to be done with the file: mostly nothing."""
        if self.remote:
            _warn_once(self._path)
        mode = "truncate" if self.remote else "wal"
        (found,) = connection.execute("PRAGMA journal_mode").fetchone()
        if (found == "wal") == (mode == "wal") and is_current(connection, self._url):
            return
        with self._lock.held():
            is_current(connection, self._url)  # before anything is changed: whose is it?
            _switch_journal(connection, mode)
            migrate(connection, self._url)

    def _opened_for_reading(self) -> sqlite3.Connection:
        """Open a file that cannot be written. WAL needs files beside it, unless nobody can be writing."""
        still = not os.path.exists(f"{self._path}-wal") or not os.path.getsize(f"{self._path}-wal")
        connection = _connected(f"{_uri(self._path)}?mode=ro{'&immutable=1' if still else ''}")
        try:
            _set_modes(connection)
            is_current(connection, self._url)
        except BaseException:
            connection.close()
            raise
        return connection


def open_memory() -> sqlite3.Connection:
    """Open a new store in memory."""
    connection = _connected("file::memory:")
    _set_modes(connection)
    migrate(connection, "memory:")
    return connection


def _uri(path: str) -> str:
    """Return a path as a URI. By hand: ``urllib`` takes 3 ms to import, and SQLite minds these three alone."""
    for character in "%?#":
        path = path.replace(character, f"%{ord(character):02x}")
    return f"file:{path}"


def _connected(uri: str) -> sqlite3.Connection:
    # The busy timeout is set before anything else, by sqlite3 itself. Threads: a connection is used by one at a time,
    # but closed by another before a fork.
    return sqlite3.connect(
        uri,
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _set_modes(connection: sqlite3.Connection) -> None:
    for mode in _MODES:
        connection.execute(f"PRAGMA {mode}")


def _switch_journal(connection: sqlite3.Connection, mode: str) -> None:
    """Change how the file is written; where a reader is in the way, a later opening does it."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute(f"PRAGMA journal_mode = {mode}")


def _warn_once(path: str) -> None:
    if path not in _warned:
        _warned.add(path)
        import logging

        logging.getLogger(__name__).warning(
            "%s lies on a network or FUSE file system: it is written without WAL, and readers wait for writers",
            path,
        )
