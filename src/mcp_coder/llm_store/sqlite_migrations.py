"""The schema of a store, brought up to date: a connection comes in, its file has the tables of this version after.

Migrations are numbered and only add, so that older versions of mcp_coder still read and write what newer ones made.
One that they could not keep in order raises the minimum writer version, and they refuse it. All that are missing
are applied in one transaction, after a second look: of many processes that open a new store at once one makes it,
whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from mcp_coder.llm_errors import StoreError, UnsupportedVersionError
from mcp_coder.llm_store.raw_dictionaries import raw_dictionary
from mcp_coder.llm_store.sql_queries import load_queries, read_sql

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "is_current", "migrate", "refuse_newer"]

MIGRATIONS = ("0001_sessions_and_turns.sql",)
"""In their order; their place is their number. What was released is never edited."""

SCHEMA_VERSION = len(MIGRATIONS)

_MINIMUM_WRITER = 1
"""The oldest version whose code may write what this version's schema holds."""

_APPLICATION_ID = 0x6D63_6F64  # "mcod": tells `file` and us whose it is

_QUERIES = load_queries("sqlite")
_WHAT_IS_THERE = "SELECT count(*), total(type = 'table' AND name = 'meta') FROM sqlite_master"


def is_current(connection: sqlite3.Connection, url: str) -> bool:
    """Return whether nothing is to be done.

    Raises:
        UnsupportedVersionError: only newer versions of mcp_coder may write to it.
        StoreError: it is a database of somebody else.
    """
    return _version(connection, url) >= SCHEMA_VERSION


def migrate(connection: sqlite3.Connection, url: str) -> None:
    """Bring the schema up to date in one transaction, or leave it as it was."""
    connection.create_function("raw_dictionary", 1, raw_dictionary, deterministic=True)
    connection.execute(_QUERIES["begin_writing"])
    try:
        version = _version(connection, url)
        for name in MIGRATIONS[version:]:
            for statement in _statements(read_sql("sqlite", name)):
                connection.execute(statement)
        if version < SCHEMA_VERSION:
            _note_version(connection)
        connection.execute(_QUERIES["commit"])
    except BaseException:
        if connection.in_transaction:
            connection.execute(_QUERIES["rollback"])
        raise


def _note_version(connection: sqlite3.Connection) -> None:
    write = _QUERIES["write_meta"]
    connection.execute(write, {"key": "schema_version", "value": SCHEMA_VERSION})
    connection.execute(write, {"key": "minimum_writer", "value": _MINIMUM_WRITER})
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def _version(connection: sqlite3.Connection, url: str) -> int:
    # Asked in one statement: between two of them another process may make the schema.
    there, ours = connection.execute(_WHAT_IS_THERE).fetchone()
    if not ours:
        if there:
            raise StoreError(f"{url} is a database of something else; name another file for the store")
        return 0
    refuse_newer(connection, url)
    row = connection.execute(_QUERIES["read_meta"], ("schema_version",)).fetchone()
    return int(row[0]) if row else 0


def refuse_newer(connection: sqlite3.Connection, url: str) -> None:
    """Raise ``UnsupportedVersionError`` where only newer versions may write: they may come at any time."""
    row = connection.execute(_QUERIES["read_meta"], ("minimum_writer",)).fetchone()
    if row and row[0] > SCHEMA_VERSION:
        raise UnsupportedVersionError(
            f"the store {url} was written by a newer version of mcp_coder (its schema needs version {row[0]}, this one "
            f"knows {SCHEMA_VERSION}); update mcp_coder, or name another store"
        )


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script. ``executescript`` would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
