"""What SQLite itself takes on this machine: bytes in a table of one column, durable, and nothing else.

No index, no search, no sums. Writers wait for one another as SQLite has them wait.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

_BUSY_SECONDS = 60.0


class PlainFile:
    """A file with one table, written durably."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE IF NOT EXISTS plain (id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
        ):
            self._connection.execute(statement)

    def write(self, data: bytes) -> None:
        """Write a row in a transaction of its own."""
        self._connection.execute("INSERT INTO plain (data) VALUES (?)", (data,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
